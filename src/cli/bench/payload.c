#include "cli/bench/payload.h"

#include <stdlib.h>
#include <string.h>

enum { BODY_BYTES_MAX = 64 * 1024 * 1024 };

struct payload {
	payload_options options;
	char *values; /* variants * records of value_bytes each */
	char *keys;
	buf *requests; /* one per variant */
};

/* ---- contents ---- */

/* xorshift64*: the same numbers in every run. */
static uint64_t next_random(uint64_t *state)
{
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return *state * 0x2545F4914F6CDD1Du;
}

static void fill_random(char *out, uint32_t len, uint64_t *state)
{
	static const char ALPHABET[65] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
	for (uint32_t i = 0; i < len; i++) {
		out[i] = ALPHABET[next_random(state) >> 58];
	}
}

static void fill_text(char *out, uint32_t len, uint64_t *state)
{
	static const char *const WORDS[] = {"order",    "payment",   "shipped", "customer", "created", "pending",
										"region",   "eu-west",   "us-east", "status",   "invoice", "refund",
										"basket",   "checkout",  "amount",  "currency", "EUR",     "USD",
										"item",     "quantity",  "address", "parcel",   "carrier", "delivery",
										"expected", "warehouse", "session", "device",   "mobile",  "desktop"};
	buf text;
	buf_init(&text, (size_t)len + 64);
	while (text.len < len && !text.failed) {
		uint64_t r = next_random(state);
		if (r % 4 == 0) {
			buf_append_u64(&text, (r >> 8) % 100000);
		} else {
			buf_append_str(&text, str_from_c(WORDS[(r >> 8) % (sizeof WORDS / sizeof WORDS[0])]));
		}
		buf_append_byte(&text, ' ');
	}
	memset(out, ' ', len);
	if (text.len >= len) {
		memcpy(out, text.ptr, len);
	}
	buf_dispose(&text);
}

static void fill(payload *p)
{
	uint64_t state = 88172645463325252u;
	size_t count = (size_t)p->options.variants * p->options.records;
	for (size_t i = 0; i < count; i++) {
		char *value = p->values + i * p->options.value_bytes;
		if (p->options.kind == PAYLOAD_TEXT) {
			fill_text(value, p->options.value_bytes, &state);
		} else {
			fill_random(value, p->options.value_bytes, &state);
		}
		fill_random(p->keys + i * p->options.key_bytes, p->options.key_bytes, &state);
	}
}

/* ---- life ---- */

payload *payload_new(const payload_options *options)
{
	payload *p = calloc(1, sizeof *p);
	size_t count = (size_t)options->variants * options->records;
	if (p == NULL) {
		return NULL;
	}
	p->options = *options;
	p->values = malloc(count * options->value_bytes + 1);
	p->keys = malloc(count * options->key_bytes + 1);
	p->requests = calloc(options->variants, sizeof *p->requests);
	if (p->values == NULL || p->keys == NULL || p->requests == NULL) {
		payload_free(p);
		return NULL;
	}
	for (uint32_t i = 0; i < options->variants; i++) {
		buf_init(&p->requests[i], BODY_BYTES_MAX);
	}
	fill(p);
	return p;
}

void payload_free(payload *p)
{
	if (p != NULL) {
		for (uint32_t i = 0; p->requests != NULL && i < p->options.variants; i++) {
			buf_dispose(&p->requests[i]);
		}
		free(p->requests);
		free(p->values);
		free(p->keys);
		free(p);
	}
}

/* ---- access ---- */

uint32_t payload_records(const payload *p)
{
	return p->options.records;
}

uint32_t payload_variants(const payload *p)
{
	return p->options.variants;
}

static size_t index_of(const payload *p, uint32_t variant, uint32_t record)
{
	return (size_t)variant * p->options.records + record;
}

str payload_value(const payload *p, uint32_t variant, uint32_t record)
{
	return (str){p->values + index_of(p, variant, record) * p->options.value_bytes, p->options.value_bytes};
}

str payload_key(const payload *p, uint32_t variant, uint32_t record)
{
	if (p->options.key_bytes == 0) {
		return STR_NONE;
	}
	return (str){p->keys + index_of(p, variant, record) * p->options.key_bytes, p->options.key_bytes};
}

static void render_body(const payload *p, uint32_t variant, buf *out)
{
	buf_append_str(out, STR("{\"messages\":["));
	for (uint32_t i = 0; i < p->options.records; i++) {
		buf_append_str(out, i > 0 ? STR(",{") : STR("{"));
		if (p->options.key_bytes > 0) {
			buf_append_str(out, STR("\"key\":\""));
			buf_append_str(out, payload_key(p, variant, i));
			buf_append_str(out, STR("\","));
		}
		buf_append_str(out, STR("\"value\":\""));
		buf_append_str(out, payload_value(p, variant, i));
		buf_append_str(out, STR("\"}"));
	}
	buf_append_str(out, STR("]}"));
}

bool payload_render(payload *p, const gateway *s, const gateway_topic *topic, err *e)
{
	buf body;
	bool ok = true;
	buf_init(&body, BODY_BYTES_MAX);
	for (uint32_t i = 0; i < p->options.variants && ok; i++) {
		buf_clear(&body);
		buf_clear(&p->requests[i]);
		render_body(p, i, &body);
		gateway_render_produce(s, topic, buf_str(&body), &p->requests[i]);
		ok = !body.failed && !p->requests[i].failed;
	}
	buf_dispose(&body);
	return ok || err_set(e, ERR_NO_MEMORY, "a request of %u records of %u bytes is too large", p->options.records,
						 p->options.value_bytes);
}

str payload_request(const payload *p, uint32_t variant)
{
	return buf_str(&p->requests[variant]);
}
