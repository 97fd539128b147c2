#include "api/durable/subscription/config.h"

#include "api/durable/subscription/webhook_url.h"

enum { HASHED_MAX = 4 << 20 };

/* ---- members ---- */

/* Paths as they were sent; judged when all is read. */
static void read_streams(body *b, subscription_paths *out)
{
	out->count = 0;
	out->list = arena_alloc_array(b->arena, SUBSCRIPTION_STREAMS_MAX, sizeof *out->list);
	if (out->list == NULL) {
		b->failed = true;
		err_set(b->error, ERR_NO_MEMORY, "the server has no memory left for this request; try again");
		return;
	}
	if (!body_array(b, "streams")) {
		return;
	}
	while (body_next_element(b)) {
		if (out->count == SUBSCRIPTION_STREAMS_MAX) {
			body_refuse(b, "streams", "at most 1000 paths; link further ones with POST …/streams");
			return;
		}
		body_text(b, "streams", &out->list[out->count]);
		out->count++;
	}
}

static void read_webhook(body *b, str *url)
{
	str key;
	if (!body_object(b, "webhook")) {
		return;
	}
	while (body_next(b, &key)) {
		if (str_equal(key, STR("url")) && !body_null(b)) {
			body_text(b, "webhook.url", url);
		} else {
			body_skip(b);
		}
	}
}

static void read_type(body *b, subscription_config *c, bool *has_type)
{
	str type = STR_NONE;
	body_text(b, "type", &type);
	if (b->failed) {
		return;
	}
	*has_type = true;
	c->is_webhook = str_equal(type, STR("webhook"));
	if (!c->is_webhook && !str_equal(type, STR("pull-wake"))) {
		body_refuse(b, "type", "\"webhook\" or \"pull-wake\"");
	}
}

static void read_member(body *b, str key, subscription_config *c, bool *has_type)
{
	if (body_null(b)) {
		return;
	}
	if (str_equal(key, STR("type"))) {
		read_type(b, c, has_type);
	} else if (str_equal(key, STR("pattern"))) {
		body_text(b, "pattern", &c->pattern.text);
	} else if (str_equal(key, STR("streams"))) {
		read_streams(b, &c->streams);
	} else if (str_equal(key, STR("webhook"))) {
		read_webhook(b, &c->webhook_url);
	} else if (str_equal(key, STR("wake_stream"))) {
		body_text(b, "wake_stream", &c->wake_stream);
	} else if (str_equal(key, STR("lease_ttl_ms"))) {
		body_integer(b, "lease_ttl_ms", SUBSCRIPTION_LEASE_MS_MIN, SUBSCRIPTION_LEASE_MS_MAX, &c->lease_ttl_ms);
	} else if (str_equal(key, STR("description"))) {
		body_text(b, "description", &c->description);
		if (!b->failed && (c->description.len > SUBSCRIPTION_DESCRIPTION_MAX ||
						   memchr(c->description.ptr, '\0', c->description.len) != NULL)) {
			body_refuse(b, "description", "a string of at most 4096 bytes without NUL");
		}
	} else {
		body_skip(b);
	}
}

/* ---- judging ---- */

static int compare_paths(const void *left, const void *right)
{
	return str_compare(*(const str *)left, *(const str *)right);
}

/* Each path in its plain form, sorted, each once. */
static bool settle_paths(subscription_paths *p, err *e)
{
	size_t kept = 0;
	for (size_t i = 0; i < p->count; i++) {
		if (!subscription_path_read(p->list[i], &p->list[i], e)) {
			return false;
		}
	}
	if (p->count == 0) {
		return true;
	}
	qsort(p->list, p->count, sizeof *p->list, compare_paths);
	for (size_t i = 0; i < p->count; i++) {
		if (kept == 0 || !str_equal(p->list[kept - 1], p->list[i])) {
			p->list[kept++] = p->list[i];
		}
	}
	p->count = kept;
	return true;
}

static bool check_delivery(subscription_config *c, bool allow_localhost, err *e)
{
	if (c->is_webhook) {
		c->wake_stream = STR_NONE;
		if (c->webhook_url.ptr == NULL) {
			return err_set(e, ERR_INVALID_REQUEST, "a webhook needs webhook.url: where to send notifications");
		}
		return webhook_url_judge(c->webhook_url, allow_localhost, e);
	}
	c->webhook_url = STR_NONE;
	if (c->wake_stream.ptr == NULL) {
		return err_set(e, ERR_INVALID_REQUEST, "pull-wake needs wake_stream: the JSON stream to append wake events to");
	}
	if (!subscription_path_read(c->wake_stream, &c->wake_stream, e)) {
		return false;
	}
	for (size_t i = 0; i < c->streams.count; i++) {
		if (str_equal(c->streams.list[i], c->wake_stream)) {
			return err_set(e, ERR_INVALID_REQUEST,
						   "wake_stream cannot be one of the streams: each wake would cause another");
		}
	}
	return true;
}

static void hash_text(buf *out, str text)
{
	buf_append_byte(out, text.ptr != NULL ? '+' : '-');
	buf_append_u64(out, text.len);
	buf_append_byte(out, ':');
	buf_append_str(out, text);
}

static bool hash(subscription_config *c, err *e)
{
	buf text;
	buf_init(&text, HASHED_MAX);
	buf_append_str(&text, c->is_webhook ? STR("webhook") : STR("pull-wake"));
	hash_text(&text, c->pattern.text);
	buf_append_u64(&text, c->streams.count);
	for (size_t i = 0; i < c->streams.count; i++) {
		hash_text(&text, c->streams.list[i]);
	}
	hash_text(&text, c->webhook_url);
	hash_text(&text, c->wake_stream);
	buf_append_i64(&text, c->lease_ttl_ms);
	hash_text(&text, c->description);
	auth_digest_sha256(buf_str(&text), c->hash);
	bool ok = !text.failed;
	buf_dispose(&text);
	return ok || err_set(e, ERR_NO_MEMORY, "the server has no memory left for this request; try again");
}

bool subscription_config_read(str text, arena *a, bool allow_localhost, subscription_config *out, err *e)
{
	body b;
	str key;
	bool has_type = false;
	subscription_config c = {.lease_ttl_ms = SUBSCRIPTION_LEASE_MS_DEFAULT};
	if (!body_begin_text(&b, text, a, e)) {
		return false;
	}
	while (body_next(&b, &key)) {
		read_member(&b, key, &c, &has_type);
	}
	if (!body_end(&b)) {
		return false;
	}
	if (!has_type) {
		return err_set(e, ERR_INVALID_REQUEST, "type is missing; it is \"webhook\" or \"pull-wake\"");
	}
	if (c.pattern.text.ptr == NULL && c.streams.count == 0) {
		return err_set(e, ERR_INVALID_REQUEST, "give a pattern, or streams, or both: what the subscription is about");
	}
	if ((c.pattern.text.ptr != NULL && !subscription_pattern_read(c.pattern.text, a, &c.pattern, e)) ||
		!settle_paths(&c.streams, e) || !check_delivery(&c, allow_localhost, e) || !hash(&c, e)) {
		return false;
	}
	*out = c;
	return true;
}

bool subscription_streams_read(str text, arena *a, subscription_paths *out, err *e)
{
	body b;
	str key;
	subscription_paths paths = {0};
	if (!body_begin_text(&b, text, a, e)) {
		return false;
	}
	while (body_next(&b, &key)) {
		if (str_equal(key, STR("streams"))) {
			read_streams(&b, &paths);
		} else {
			body_skip(&b);
		}
	}
	if (!body_end(&b)) {
		return false;
	}
	if (paths.count == 0) {
		return err_set(e, ERR_INVALID_REQUEST, "streams must be an array of at least one path, like [\"events/abc\"]");
	}
	if (!settle_paths(&paths, e)) {
		return false;
	}
	*out = paths;
	return true;
}
