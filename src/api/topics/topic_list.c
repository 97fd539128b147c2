/*
 * GET /v0/topics: one page of topics by name, with what they hold. A key that is restricted to prefixes sees only its own.
 */
#include "api/gate.h"
#include "api/operation.h"
#include "api/topics/state_text.h"
#include "api/topics/topics.h"
#include "api/topics/touch.h"
#include "api/topics/wire.h"
#include "base/jwrite.h"

enum { CHUNKS_MAX = 20 /* of names that a restricted key may have to look through for one page */ };

typedef struct list {
	api_operation op;
	wire_page page;
	str prefix;
	/* while it runs */
	const log_topic **topics; /* chosen; references */
	size_t count;
	str last; /* names up to this one were looked at */
	bool has_more;
} list;

/* Keeps references to the topics that the key may see, until the page is full. */
static void choose(list *l, const log_topic *const *topics, size_t count)
{
	const auth_principal *principal = gate_principal(l->op.x);
	for (size_t i = 0; i < count && !l->has_more; i++) {
		bool is_visible = auth_principal_allows_name(principal, topics[i]->name);
		l->has_more = is_visible && l->count == l->page.size;
		if (is_visible && !l->has_more) {
			l->topics[l->count++] = log_topic_ref(topics[i]);
		}
		if (!l->has_more) {
			l->last = topics[i]->name;
		}
	}
}

/* One chunk of names. *is_last: there are no more behind it. */
static bool add_chunk(list *l, log_conn *conn, bool *is_last, err *e)
{
	arena *a = http_arena(l->op.x);
	const auth_principal *principal = gate_principal(l->op.x);
	uint32_t limit = principal->prefix_count > 0 ? WIRE_PAGE_MAX : l->page.size - (uint32_t)l->count + 1;
	const log_topic **topics = NULL;
	size_t count = 0;
	if (!log_topic_list(api_of(l->op.x)->log, conn, principal->tenant_id, l->prefix, l->last, limit, a, &topics, &count,
						e)) {
		return false;
	}
	choose(l, topics, count);
	bool is_copied = arena_copy_str(a, l->last, &l->last);
	for (size_t i = 0; i < count; i++) {
		log_topic_unref(topics[i]);
	}
	*is_last = count < limit;
	return is_copied || err_set(e, ERR_NO_MEMORY, "the server has no memory left for this request; try again");
}

static bool gather(list *l, log_conn *conn, err *e)
{
	bool is_last = false;
	l->last = l->page.after;
	l->topics = arena_alloc_array(http_arena(l->op.x), l->page.size, sizeof *l->topics);
	if (l->topics == NULL) {
		return err_set(e, ERR_NO_MEMORY, "the server has no memory left for this request; try again");
	}
	for (int chunk = 0; chunk < CHUNKS_MAX && !l->has_more && !is_last; chunk++) {
		if (!add_chunk(l, conn, &is_last, e)) {
			return false;
		}
	}
	l->has_more = l->has_more || !is_last;
	return true;
}

/* ---- the answer ---- */

static void write_topic(buf *out, const log_topic *t, const log_state *s, int64_t last_read_ms)
{
	buf_append_byte(out, '{');
	state_write_name(out, t->name);
	buf_append_byte(out, ',');
	state_write_seqs(out, s->end_offset, s->start_offset);
	buf_append_byte(out, ',');
	state_write_sizes(out, s);
	buf_append_str(out, STR(",\"durable\":"));
	jwrite_bool(out, t->config.durability == LOG_FSYNC);
	buf_append_str(out, STR(",\"effective_priority\":"));
	buf_append_i64(out, state_priority(&t->config, last_read_ms, s->now_ms));
	buf_append_byte(out, '}');
}

/* The states come in the order of the topics, without those that were deleted meanwhile. */
static void write_topics(list *l, const log_state *states, size_t count)
{
	buf *out = http_reply_body(l->op.x);
	touch_book *touched = api_of(l->op.x)->touched;
	size_t written = 0;
	buf_append_str(out, STR("{\"topics\":["));
	for (size_t i = 0; i < l->count && written < count; i++) {
		if (states[written].topic_id == l->topics[i]->topic_id) {
			buf_append_str(out, written > 0 ? STR(",") : STR(""));
			write_topic(out, l->topics[i], &states[written], touch_last_read_ms(touched, &states[written]));
			written++;
		}
	}
	buf_append_byte(out, ']');
	if (l->has_more) {
		wire_write_cursor(out, l->last);
	}
	buf_append_byte(out, ',');
	wire_write_performance(out, l->op.x);
	buf_append_byte(out, '}');
}

static bool describe(list *l, log_conn *conn, err *e)
{
	arena *a = http_arena(l->op.x);
	log_state *states = NULL;
	size_t count = 0;
	int64_t *ids = arena_alloc_array(a, l->count + 1, sizeof *ids);
	if (ids == NULL) {
		return err_set(e, ERR_NO_MEMORY, "the server has no memory left for this request; try again");
	}
	for (size_t i = 0; i < l->count; i++) {
		ids[i] = l->topics[i]->topic_id;
	}
	if (wire_query_switch(l->op.x, "touch", false) && !touch_topics(api_of(l->op.x)->touched, conn, ids, l->count, e)) {
		return false;
	}
	if (!log_state_read(api_of(l->op.x)->log, conn, ids, l->count, a, &states, &count, e)) {
		return false;
	}
	write_topics(l, states, count);
	return true;
}

static bool run(api_operation *op, log_conn *conn, err *e)
{
	list *l = (list *)op;
	bool ok = gather(l, conn, e) && describe(l, conn, e);
	for (size_t i = 0; i < l->count; i++) {
		log_topic_unref(l->topics[i]);
	}
	return ok;
}

void topics_list_topics(http_exchange *x)
{
	err e;
	list *l = api_operation_new(x, sizeof *l, run);
	if (l == NULL) {
		return;
	}
	if (!http_request_query(x, STR("prefix"), &l->prefix) || !api_topic_name_can_exist(l->prefix)) {
		l->prefix = STR("");
	}
	if (wire_read_page(x, &l->page, &e)) {
		api_run(&l->op);
	} else {
		api_fail(&l->op, &e);
	}
}
