/*
 * GET /positions: what groups have committed, in all topics of the tenant, page by page. A key that is restricted to
 * prefixes sees only its own topics: a page of its may have fewer entries than it asked for.
 */
#include "api/body.h"
#include "api/entity_tag.h"
#include "api/gate.h"
#include "api/operation.h"
#include "api/streaming/offsets.h"
#include "api/streaming/page_size.h"
#include "api/streaming/streaming.h"
#include "base/jwrite.h"
#include "base/text.h"

typedef struct list {
	api_operation op;
	str group; /* ptr NULL = all */
	uint32_t page_size;
	log_group_position after; /* the last one of the page before */
} list;

/* ---- the request ---- */

static bool read_group(list *l, err *e)
{
	str text;
	if (!http_request_query(l->op.x, STR("group_id"), &text)) {
		return true;
	}
	l->group = text;
	return body_is_name(text, LOG_GROUP_NAME_MAX) ||
		   err_set(e, ERR_INVALID_REQUEST, "group_id must be 1 to %d bytes of UTF-8 without control characters",
				   LOG_GROUP_NAME_MAX);
}

/* A cursor is base64url of: topic, NUL, group, NUL, partition. Neither name can hold a NUL. */
static bool read_place(str text, log_group_position *out)
{
	str rest;
	str digits;
	int64_t partition;
	if (!str_split(text, '\0', &out->topic, &rest) || !str_split(rest, '\0', &out->group, &digits) ||
		!str_parse_i64(digits, 0, LOG_PARTITIONS_MAX - 1, &partition)) {
		return false;
	}
	out->partition = (int32_t)partition;
	return text_is_utf8(text);
}

static bool read_cursor(list *l, err *e)
{
	str text;
	l->after = (log_group_position){.topic = STR(""), .group = STR(""), .partition = -1};
	if (!http_request_query(l->op.x, STR("cursor"), &text) || text.len == 0) {
		return true;
	}
	return (text_base64url_decode(http_arena(l->op.x), text, &text) && read_place(text, &l->after)) ||
		   err_set(e, ERR_INVALID_REQUEST, "cursor must be the next_cursor of an earlier answer");
}

/* ---- the answer ---- */

static void write_position(buf *out, const log_group_position *p)
{
	buf_append_str(out, STR("{\"topic\":"));
	jwrite_string(out, p->topic);
	buf_append_str(out, STR(",\"group_id\":"));
	jwrite_string(out, p->group);
	buf_append_str(out, STR(",\"partition\":"));
	buf_append_i64(out, p->partition);
	buf_append_str(out, STR(",\"offset\":"));
	buf_append_i64(out, p->committed_offset);
	buf_append_str(out, STR(",\"committed_at\":"));
	offsets_write_time(out, p->committed_ms);
	buf_append_byte(out, '}');
}

static bool write_cursor(list *l, const log_group_position *last, err *e)
{
	buf *out = http_reply_body(l->op.x);
	size_t most = last->topic.len + last->group.len + 16;
	char *bytes = arena_alloc(http_arena(l->op.x), most);
	if (bytes == NULL) {
		return err_set(e, ERR_NO_MEMORY, "the server has no memory left for this request; try again");
	}
	buf place = {.ptr = bytes, .capacity = most, .max_bytes = most};
	buf_append_str(&place, last->topic);
	buf_append_byte(&place, '\0');
	buf_append_str(&place, last->group);
	buf_append_byte(&place, '\0');
	buf_append_i64(&place, last->partition);
	buf_append_str(out, STR(",\"next_cursor\":\""));
	text_base64url_encode(out, buf_str(&place));
	buf_append_byte(out, '"');
	return true;
}

static bool run(api_operation *op, log_conn *conn, err *e)
{
	list *l = (list *)op;
	const auth_principal *principal = gate_principal(op->x);
	str prefix = principal->prefix_count == 1 ? principal->prefixes[0] : STR("");
	log_group_position *found = NULL;
	size_t count = 0;
	if (!log_group_positions(conn, principal->tenant_id, l->group, prefix, &l->after, l->page_size + 1,
							 http_arena(op->x), &found, &count, e)) {
		return false;
	}
	buf *out = http_reply_body(op->x);
	bool has_more = count > l->page_size;
	bool is_first = true;
	count = has_more ? l->page_size : count;
	buf_append_str(out, STR("{\"positions\":["));
	for (size_t i = 0; i < count; i++) {
		if (auth_principal_allows_name(principal, found[i].topic)) {
			buf_append_str(out, is_first ? STR("") : STR(","));
			write_position(out, &found[i]);
			is_first = false;
		}
	}
	buf_append_byte(out, ']');
	if (has_more && !write_cursor(l, &found[count - 1], e)) {
		return false;
	}
	buf_append_byte(out, '}');
	op->status = entity_tag_reply(op->x) ? 304 : 200;
	return true;
}

void streaming_list_positions(http_exchange *x)
{
	err e;
	list *l = api_operation_new(x, sizeof *l, run);
	if (l == NULL) {
		return;
	}
	if (!read_group(l, &e) || !page_size_read(x, &l->page_size, &e) || !read_cursor(l, &e)) {
		api_fail(&l->op, &e);
		return;
	}
	api_run(&l->op);
}
