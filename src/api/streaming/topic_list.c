/*
 * GET /topics: one page of topics by name. A key that is restricted to prefixes sees only its own.
 */
#include "api/entity_tag.h"
#include "api/gate.h"
#include "api/operation.h"
#include "api/streaming/page_size.h"
#include "api/streaming/streaming.h"
#include "api/streaming/topic_text.h"
#include "base/text.h"

#include <string.h>

enum { CHUNKS_MAX = 20 }; /* of names that a restricted key may have to look through for one page */

typedef struct list {
	api_operation op;
	uint32_t page_size;
	str after; /* names up to this one were on earlier pages */
	/* while it runs */
	uint32_t written;
	bool has_more;
} list;

static bool read_cursor(list *l, err *e)
{
	str text;
	l->after = STR("");
	if (!http_request_query(l->op.x, STR("cursor"), &text) || text.len == 0) {
		return true;
	}
	if (text_base64url_decode(http_arena(l->op.x), text, &l->after) && text_is_utf8(l->after) &&
		memchr(l->after.ptr, '\0', l->after.len) == NULL) {
		return true;
	}
	return err_set(e, ERR_INVALID_REQUEST, "cursor must be the next_cursor of an earlier answer");
}

/* Writes topics until the page is full; the name behind which the next page begins is l->after. */
static void write_topics(list *l, const log_topic *const *topics, size_t count)
{
	buf *out = http_reply_body(l->op.x);
	const auth_principal *principal = gate_principal(l->op.x);
	for (size_t i = 0; i < count && !l->has_more; i++) {
		if (!auth_principal_allows_name(principal, topics[i]->name)) {
			l->after = topics[i]->name;
		} else if (l->written == l->page_size) {
			l->has_more = true;
		} else {
			buf_append_str(out, l->written > 0 ? STR(",{") : STR("{"));
			topic_text_write_shape(out, topics[i]);
			buf_append_byte(out, '}');
			l->written++;
			l->after = topics[i]->name;
		}
	}
}

/* One chunk of names. *is_last: there are no more behind it. */
static bool add_chunk(list *l, log_conn *conn, bool *is_last, err *e)
{
	arena *a = http_arena(l->op.x);
	const auth_principal *principal = gate_principal(l->op.x);
	str prefix = principal->prefix_count == 1 ? principal->prefixes[0] : STR("");
	uint32_t limit = principal->prefix_count > 1 ? PAGE_SIZE_MAX : l->page_size - l->written + 1;
	const log_topic **topics = NULL;
	size_t count = 0;
	if (!log_topic_list(api_of(l->op.x)->log, conn, principal->tenant_id, prefix, l->after, limit, a, &topics, &count,
						e)) {
		return false;
	}
	write_topics(l, topics, count);
	bool is_copied = arena_copy_str(a, l->after, &l->after);
	for (size_t i = 0; i < count; i++) {
		log_topic_unref(topics[i]);
	}
	*is_last = count < limit;
	return is_copied || err_set(e, ERR_NO_MEMORY, "the server has no memory left for this request; try again");
}

static bool run(api_operation *op, log_conn *conn, err *e)
{
	list *l = (list *)op;
	buf *out = http_reply_body(op->x);
	bool is_last = false;
	buf_append_str(out, STR("{\"topics\":["));
	for (int chunk = 0; chunk < CHUNKS_MAX && !l->has_more && !is_last; chunk++) {
		if (!add_chunk(l, conn, &is_last, e)) {
			return false;
		}
	}
	buf_append_byte(out, ']');
	if (l->has_more || !is_last) {
		buf_append_str(out, STR(",\"next_cursor\":\""));
		text_base64url_encode(out, l->after);
		buf_append_byte(out, '"');
	}
	buf_append_byte(out, '}');
	op->status = entity_tag_reply(op->x) ? 304 : 200;
	return true;
}

void streaming_list_topics(http_exchange *x)
{
	err e;
	list *l = api_operation_new(x, sizeof *l, run);
	if (l == NULL) {
		return;
	}
	if (!page_size_read(x, &l->page_size, &e) || !read_cursor(l, &e)) {
		api_fail(&l->op, &e);
		return;
	}
	api_run(&l->op);
}
