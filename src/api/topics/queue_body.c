#include "api/topics/queue_body.h"

#include "api/api.h"
#include "api/topics/wire.h"

#include <inttypes.h>

enum { HEX_DIGITS_MAX = 16, NO_SUCH_LEASE = -1, NO_SUCH_OFFSET = -1 };

#define LEASE_PREFIX "lease_"

/* ---- values ---- */

uint32_t queue_jobs_max(const http_exchange *x)
{
	return (uint32_t)api_of(x)->config->topics_max_claim;
}

uint32_t queue_clamp_max(uint64_t max, uint32_t most)
{
	return max == 0 ? 1 : max < most ? (uint32_t)max : most;
}

int64_t queue_clamp_lease(uint64_t lease_ms)
{
	if (lease_ms > QUEUE_LEASE_MS_MOST) {
		return QUEUE_LEASE_MS_MOST;
	}
	return lease_ms < QUEUE_LEASE_MS_LEAST ? QUEUE_LEASE_MS_LEAST : (int64_t)lease_ms;
}

bool queue_check_node(str node, err *e)
{
	if (node.len > 0 && node.len <= QUEUE_NODE_BYTES_MAX) {
		return true;
	}
	return err_set(e, ERR_INVALID_REQUEST, "node must be a text of 1 to %d bytes that names the worker",
				   QUEUE_NODE_BYTES_MAX);
}

void queue_write_lease_id(buf *out, int64_t number)
{
	buf_printf(out, LEASE_PREFIX "%" PRIx64, (uint64_t)number);
}

static int hex_value(char c)
{
	return c >= '0' && c <= '9'   ? c - '0'
		   : c >= 'a' && c <= 'f' ? c - 'a' + 10
		   : c >= 'A' && c <= 'F' ? c - 'A' + 10
								  : -1;
}

bool queue_parse_lease_id(str text, int64_t *number)
{
	uint64_t value = 0;
	if (!str_starts_with(text, STR(LEASE_PREFIX))) {
		return false;
	}
	str digits = str_skip(text, sizeof LEASE_PREFIX - 1);
	if (digits.len == 0 || digits.len > HEX_DIGITS_MAX) {
		return false;
	}
	for (size_t i = 0; i < digits.len; i++) {
		int digit = hex_value(digits.ptr[i]);
		if (digit < 0) {
			return false;
		}
		value = value << 4 | (uint64_t)digit;
	}
	*number = value > 0 && value <= INT64_MAX ? (int64_t)value : NO_SUCH_LEASE;
	return true;
}

/* ---- members ---- */

static void read_node(body *b, queue_body *out)
{
	body_text(b, "node", &out->node);
	out->has_node = true;
}

static void read_lease_ms(body *b, queue_body *out)
{
	int64_t value = 0;
	wire_read_u64(b, "lease_ms", QUEUE_LEASE_MS_MOST, &value);
	out->lease_ms = queue_clamp_lease((uint64_t)value);
	out->has_lease_ms = true;
}

/* Elements up to the limit; *count is how many there are. */
static void read_seqs(body *b, queue_body *out, size_t *count)
{
	*count = 0;
	if (!body_array(b, "seqs")) {
		return;
	}
	while (body_next_element(b)) {
		uint64_t seq = 0;
		if (jscan_peek(&b->scan) != JSCAN_NUMBER) {
			body_refuse(b, "seqs", "an array of whole numbers");
		} else if (!jscan_u64(&b->scan, UINT64_MAX, &seq)) {
			body_skip(b);
		} else if ((*count)++ < QUEUE_SEQS_MAX) {
			out->seqs[*count - 1] = seq;
			/* Beyond what an offset can be there is no record. */
			out->refs[*count - 1].offset = seq > 0 && seq < INT64_MAX ? (int64_t)seq - 1 : NO_SUCH_OFFSET;
		}
	}
}

static void read_lease_ids(body *b, queue_body *out, size_t *count)
{
	str text = STR_NONE;
	*count = 0;
	if (!body_array(b, "lease_ids")) {
		return;
	}
	while (body_next_element(b)) {
		int64_t number = 0;
		body_text(b, "lease_ids", &text);
		if (text.len > 0 && !queue_parse_lease_id(text, &number)) {
			body_refuse(b, "lease_ids", "an array of lease ids, as claims give them, or empty texts");
		}
		if ((*count)++ < QUEUE_SEQS_MAX) {
			out->refs[*count - 1].number = number;
		}
	}
}

/* ---- bodies ---- */

bool queue_read_claim(http_exchange *x, queue_body *out, err *e)
{
	body b;
	str key;
	int64_t max = 1;
	*out = (queue_body){.max = 1};
	if (wire_is_empty(x)) {
		return err_set(e, ERR_INVALID_REQUEST, "the body is empty; send a JSON object with the worker's node");
	}
	if (!wire_begin(&b, x, e)) {
		return false;
	}
	while (body_next(&b, &key)) {
		if (str_equal(key, STR("node"))) {
			read_node(&b, out);
		} else if (str_equal(key, STR("max"))) {
			body_integer(&b, "max", 0, UINT32_MAX, &max);
		} else if (str_equal(key, STR("lease_ms"))) {
			out->has_lease_ms = false;
			if (!body_null(&b)) {
				read_lease_ms(&b, out);
			}
		} else {
			body_skip(&b);
		}
	}
	out->max = queue_clamp_max((uint64_t)max, queue_jobs_max(x));
	return body_end(&b);
}

static bool check_counts(size_t seqs, size_t ids, uint32_t most, err *e)
{
	if (seqs > most) {
		err_set(e, ERR_BATCH_TOO_LARGE, "%zu seqs are more than the %" PRIu32 " that one request may name; split it",
				seqs, most);
		err_detail(e, "{\"seqs\":%zu,\"max\":%" PRIu32 "}", seqs, most);
		return false;
	}
	return ids == 0 || ids == seqs ||
		   err_set(
			   e, ERR_INVALID_REQUEST,
			   "lease_ids has %zu elements and seqs has %zu: name a lease for each, \"\" where any will do, or none",
			   ids, seqs);
}

bool queue_read_seqs(http_exchange *x, log_lease_action action, queue_body *out, err *e)
{
	body b;
	str key;
	size_t ids = 0;
	bool has_seqs = false;
	*out = (queue_body){.max = 0};
	out->seqs = arena_alloc_array(http_arena(x), QUEUE_SEQS_MAX, sizeof *out->seqs);
	out->refs = arena_alloc_zero(http_arena(x), QUEUE_SEQS_MAX * sizeof *out->refs);
	if (out->seqs == NULL || out->refs == NULL) {
		return err_set(e, ERR_NO_MEMORY, "the server has no memory left for this request; try again");
	}
	if (!wire_begin(&b, x, e)) {
		return false;
	}
	while (body_next(&b, &key)) {
		if (str_equal(key, STR("node"))) {
			read_node(&b, out);
		} else if (str_equal(key, STR("seqs"))) {
			read_seqs(&b, out, &out->seq_count);
			has_seqs = true;
		} else if (str_equal(key, STR("lease_ids"))) {
			read_lease_ids(&b, out, &ids);
		} else if (action == LOG_LEASE_NACK && str_equal(key, STR("delay_ms"))) {
			wire_read_u64(&b, "delay_ms", QUEUE_DELAY_MS_MOST, &out->delay_ms);
		} else if (action == LOG_LEASE_EXTEND && str_equal(key, STR("lease_ms"))) {
			read_lease_ms(&b, out);
		} else {
			body_skip(&b);
		}
	}
	if (!body_end(&b)) {
		return false;
	}
	if (!has_seqs) {
		return err_set(e, ERR_INVALID_REQUEST, "seqs is missing: name the jobs that this is about");
	}
	if (action == LOG_LEASE_EXTEND && !out->has_lease_ms) {
		return err_set(e, ERR_INVALID_REQUEST, "lease_ms is missing: say how long the leases are to last from now on");
	}
	return check_counts(out->seq_count, ids, queue_jobs_max(x), e) && queue_check_node(out->node, e);
}
