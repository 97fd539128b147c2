#include "api/durable/fields.h"

#include "api/api.h"
#include "api/body.h"
#include "api/durable/instant.h"

#include <inttypes.h>
#include <string.h>

#define PRODUCER_NUMBER_MAX ((INT64_C(1) << 53) - 1)

bool durable_field(const http_exchange *x, const char *name, str *out, err *e)
{
	str wanted = str_from_c(name);
	str value = http_request_header(x, wanted);
	if (value.ptr != NULL && http_request_header_count(x, wanted) > 1) {
		return err_set(e, ERR_INVALID_REQUEST, "%s is sent twice; send it once", name);
	}
	*out = value;
	return true;
}

bool durable_field_closed(const http_exchange *x, bool *out, err *e)
{
	str value = STR_NONE;
	if (!durable_field(x, "Stream-Closed", &value, e)) {
		return false;
	}
	*out = str_equal_ignore_case(value, STR("true"));
	return true;
}

/* ---- Content-Type ---- */

static bool is_token(str s)
{
	for (size_t i = 0; i < s.len; i++) {
		unsigned char c = (unsigned char)s.ptr[i];
		if (c <= ' ' || c >= 0x7f || strchr("\"(),/:;<=>?@[\\]{}", c) != NULL) {
			return false;
		}
	}
	return s.len > 0;
}

static bool is_printable(str s)
{
	for (size_t i = 0; i < s.len; i++) {
		unsigned char c = (unsigned char)s.ptr[i];
		if ((c < ' ' && c != '\t') || c >= 0x7f) {
			return false;
		}
	}
	return true;
}

bool durable_field_content_type(const http_exchange *x, str *out, err *e)
{
	str value = STR_NONE;
	str type;
	str kind;
	str parameters;
	if (!durable_field(x, "Content-Type", &value, e)) {
		return false;
	}
	str_split(value, ';', &type, &parameters);
	bool has_slash = str_split(str_trim(type), '/', &kind, &type);
	bool is_sound = has_slash && is_token(kind) && is_token(type) && is_printable(value);
	*out = is_sound ? value : STR_NONE;
	return true;
}

/* ---- producer and sequence ---- */

static bool read_number(str value, const char *name, int64_t *out, err *e)
{
	uint64_t number;
	if (!str_parse_u64(value, PRODUCER_NUMBER_MAX, &number)) {
		return err_set(e, ERR_INVALID_REQUEST, "%s must be an integer from 0 to %" PRId64 " in decimal digits", name,
					   PRODUCER_NUMBER_MAX);
	}
	*out = (int64_t)number;
	return true;
}

bool durable_field_producer(const http_exchange *x, log_producer *out, err *e)
{
	str id = STR_NONE;
	str epoch = STR_NONE;
	str seq = STR_NONE;
	log_producer found = {.id = STR_NONE};
	if (!durable_field(x, "Producer-Id", &id, e) || !durable_field(x, "Producer-Epoch", &epoch, e) ||
		!durable_field(x, "Producer-Seq", &seq, e)) {
		return false;
	}
	if (id.ptr == NULL && epoch.ptr == NULL && seq.ptr == NULL) {
		*out = found;
		return true;
	}
	if (id.ptr == NULL || epoch.ptr == NULL || seq.ptr == NULL) {
		return err_set(e, ERR_INVALID_REQUEST,
					   "Producer-Id, Producer-Epoch and Producer-Seq belong together: send all three or none");
	}
	if (!body_is_name(id, API_ID_BYTES_MAX)) {
		return err_set(e, ERR_INVALID_REQUEST, "Producer-Id must be 1 to %d bytes of UTF-8 without control characters",
					   API_ID_BYTES_MAX);
	}
	found.id = id;
	if (!read_number(epoch, "Producer-Epoch", &found.epoch, e) ||
		!read_number(seq, "Producer-Seq", &found.sequence, e)) {
		return false;
	}
	*out = found;
	return true;
}

bool durable_field_seq(const http_exchange *x, str *out, err *e)
{
	str value = STR_NONE;
	if (!durable_field(x, "Stream-Seq", &value, e)) {
		return false;
	}
	if (value.ptr != NULL && (value.len == 0 || value.len > DURABLE_SEQ_BYTES_MAX)) {
		return err_set(e, ERR_INVALID_REQUEST, "Stream-Seq has 1 to %d bytes", DURABLE_SEQ_BYTES_MAX);
	}
	*out = value;
	return true;
}

/* ---- expiry ---- */

/* `0`, or digits without a leading zero. */
static bool parse_plain(str text, uint64_t most, int64_t *out)
{
	uint64_t value;
	if ((text.len > 1 && text.ptr[0] == '0') || !str_parse_u64(text, most, &value)) {
		return false;
	}
	*out = (int64_t)value;
	return true;
}

bool durable_field_expiry(const http_exchange *x, durable_expiry *out, err *e)
{
	str ttl = STR_NONE;
	str instant = STR_NONE;
	durable_expiry found = {.has_ttl = false};
	if (!durable_field(x, "Stream-TTL", &ttl, e) || !durable_field(x, "Stream-Expires-At", &instant, e)) {
		return false;
	}
	if (ttl.ptr != NULL && instant.ptr != NULL) {
		return err_set(e, ERR_INVALID_REQUEST, "send either Stream-TTL or Stream-Expires-At, not both");
	}
	found.has_ttl = ttl.ptr != NULL;
	found.has_instant = instant.ptr != NULL;
	if (found.has_ttl && !parse_plain(ttl, DURABLE_TTL_S_MAX, &found.ttl_s)) {
		return err_set(e, ERR_INVALID_REQUEST,
					   "Stream-TTL must be a number of seconds from 0 to %" PRId64 " in plain decimal digits",
					   DURABLE_TTL_S_MAX);
	}
	if (found.has_instant && !durable_instant_parse(instant, &found.expires_ms)) {
		return err_set(e, ERR_INVALID_REQUEST, "Stream-Expires-At must be a date and time as in 2026-01-31T12:00:00Z");
	}
	*out = found;
	return true;
}

/* ---- forks ---- */

bool durable_field_fork(const http_exchange *x, durable_fork_request *out, err *e)
{
	str source = STR_NONE;
	str offset = STR_NONE;
	str sub = STR_NONE;
	durable_fork_request found = {.source = STR_NONE};
	if (!durable_field(x, "Stream-Forked-From", &source, e) || !durable_field(x, "Stream-Fork-Offset", &offset, e) ||
		!durable_field(x, "Stream-Fork-Sub-Offset", &sub, e)) {
		return false;
	}
	if (source.ptr == NULL && (offset.ptr != NULL || sub.ptr != NULL)) {
		return err_set(e, ERR_INVALID_REQUEST,
					   "Stream-Fork-Offset and Stream-Fork-Sub-Offset need Stream-Forked-From, the path of the source");
	}
	if (source.ptr != NULL && source.len == 0) {
		return err_set(e, ERR_INVALID_REQUEST, "Stream-Forked-From is empty; send the path of the source");
	}
	found.source = source;
	found.has_offset = offset.ptr != NULL;
	if (found.has_offset && !durable_offset_parse(offset, &found.offset)) {
		return err_set(e, ERR_INVALID_REQUEST,
					   "Stream-Fork-Offset must be a token that this server gave as Stream-Next-Offset");
	}
	if (sub.ptr != NULL && !parse_plain(sub, INT64_MAX, &found.sub_offset)) {
		return err_set(e, ERR_INVALID_REQUEST,
					   "Stream-Fork-Sub-Offset must be a number from 0 on in plain decimal digits");
	}
	*out = found;
	return true;
}
