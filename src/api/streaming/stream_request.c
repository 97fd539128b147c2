#include "api/streaming/stream_request.h"

#include "api/api.h"
#include "api/body.h"
#include "api/streaming/packet.h"
#include "api/streaming/streaming.h"
#include "log/group.h"
#include "log/wake.h"

#include <inttypes.h>

/* *out is untouched when the parameter is absent or empty. */
static bool read_integer(const http_exchange *x, const char *name, int64_t least, int64_t most, int64_t *out, err *e)
{
	str text;
	if (!http_request_query(x, str_from_c(name), &text) || text.len == 0 || str_parse_i64(text, least, most, out)) {
		return true;
	}
	return err_set(e, ERR_INVALID_REQUEST, "%s must be an integer from %" PRId64 " to %" PRId64, name, least, most);
}

static bool read_name(const http_exchange *x, const char *name, size_t most_bytes, str *out, err *e)
{
	str text;
	if (!http_request_query(x, str_from_c(name), &text)) {
		return true;
	}
	*out = text;
	return body_is_name(text, most_bytes) ||
		   err_set(e, ERR_INVALID_REQUEST, "%s must be 1 to %zu bytes of UTF-8 without control characters", name,
				   most_bytes);
}

static bool read_bool(const http_exchange *x, const char *name, bool *out, err *e)
{
	str text;
	return !http_request_query(x, str_from_c(name), &text) || text.len == 0 || str_parse_bool(text, out) ||
		   err_set(e, ERR_INVALID_REQUEST, "%s must be true or false", name);
}

static bool check_offsets(str list, err *e)
{
	str number;
	int64_t offset;
	for (str rest = list; rest.ptr != NULL;) {
		str_split(rest, ',', &number, &rest);
		if (!str_parse_i64(number, 0, INT64_MAX, &offset)) {
			return err_set(
				e, ERR_INVALID_REQUEST,
				"offset must be latest, earliest or an integer from 0; or one for each partition, with commas between");
		}
	}
	return true;
}

/* Last-Event-ID wins over the query: a client that connects again keeps its address. */
static bool read_start(const http_exchange *x, stream_request *r, err *e)
{
	str text = http_request_header(x, STR("Last-Event-ID"));
	if (text.len > 0 || (http_request_query(x, STR("cursor"), &text) && text.len > 0)) {
		r->start = START_AT_CURSOR;
		r->cursor = text;
		r->has_start = true;
		return true;
	}
	r->start = START_LATEST;
	if (!http_request_query(x, STR("offset"), &text) || text.len == 0) {
		return true;
	}
	r->has_start = true;
	if (str_equal(text, STR("latest"))) {
		return true;
	}
	if (str_equal(text, STR("earliest"))) {
		r->start = START_EARLIEST;
		return true;
	}
	r->start = START_AT_OFFSETS;
	r->offsets = text;
	return check_offsets(text, e);
}

bool stream_request_read(const http_exchange *x, stream_request *out, err *e)
{
	int64_t partition = LOG_ALL_PARTITIONS;
	stream_request r = {
		.form = stream_form_choose(http_request_header(x, STR("Accept"))),
		.lease_ms = STREAMING_LEASE_MS_DEFAULT,
	};
	if (r.form == NULL) {
		return err_set(e, ERR_NOT_ACCEPTABLE,
					   "a stream is text/event-stream, application/x-ndjson or " PACKET_MEDIA_TYPE
					   "; accept one of them");
	}
	if (!read_integer(x, "partition", 0, LOG_PARTITIONS_MAX - 1, &partition, e) || !read_start(x, &r, e) ||
		!read_bool(x, "strict", &r.is_strict, e) || !read_name(x, "group_id", LOG_GROUP_NAME_MAX, &r.group_id, e) ||
		!read_name(x, "consumer_id", API_ID_BYTES_MAX, &r.consumer_id, e) ||
		!read_integer(x, "lease_ms", STREAMING_LEASE_MS_MIN, STREAMING_LEASE_MS_MAX, &r.lease_ms, e)) {
		return false;
	}
	if (r.group_id.ptr != NULL && r.start == START_AT_OFFSETS) {
		return err_set(
			e, ERR_INVALID_REQUEST,
			"a group goes on where it committed: leave out offset, or set it with POST …/groups/{group}/reset");
	}
	r.partition = (int32_t)partition;
	*out = r;
	return true;
}
