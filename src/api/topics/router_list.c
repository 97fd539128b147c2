/*
 * GET /v0/routers: one page of routers by name. A key that is restricted to prefixes sees those of which it may use the
 * name and both ends.
 */
#include "api/gate.h"
#include "api/operation.h"
#include "api/topics/topics.h"
#include "api/topics/wire.h"
#include "base/jwrite.h"
#include "log/route.h"

enum { CHUNKS_MAX = 20 /* of routers that a restricted key may have to look through for one page */ };

typedef struct list {
	api_operation op;
	log_router_query query;
	wire_page page;
	uint32_t written;
	bool has_more;
} list;

static bool is_visible(const auth_principal *principal, const log_router *router)
{
	return auth_principal_allows_name(principal, router->name) &&
		   auth_principal_allows_name(principal, router->source) && auth_principal_allows_name(principal, router->dest);
}

static void write_router(buf *out, const log_router *router)
{
	buf_append_str(out, STR("{\"router\":"));
	jwrite_string(out, router->name);
	buf_append_str(out, STR(",\"source\":"));
	jwrite_string(out, router->source);
	buf_append_str(out, STR(",\"dest\":"));
	jwrite_string(out, router->dest);
	buf_printf(out, ",\"guarantee\":\"%s\",\"forwarded_total\":%lld}",
			   router->exactly_once ? "exactly_once" : "at_least_once", (long long)router->forwarded_total);
}

/* Writes routers until the page is full; the name behind which the next page begins is query.after. */
static void write_routers(list *l, const log_router *routers, size_t count)
{
	buf *out = http_reply_body(l->op.x);
	const auth_principal *principal = gate_principal(l->op.x);
	for (size_t i = 0; i < count && !l->has_more; i++) {
		bool visible = is_visible(principal, &routers[i]);
		if (visible && l->written == l->page.size) {
			l->has_more = true;
			return;
		}
		if (visible) {
			if (l->written > 0) {
				buf_append_byte(out, ',');
			}
			write_router(out, &routers[i]);
			l->written++;
		}
		l->query.after = routers[i].name;
	}
}

static bool run_list(api_operation *op, log_conn *conn, err *e)
{
	list *l = (list *)op;
	buf *out = http_reply_body(op->x);
	bool is_last = false;
	buf_append_str(out, STR("{\"routers\":["));
	for (int chunk = 0; chunk < CHUNKS_MAX && !is_last && !l->has_more; chunk++) {
		log_router *routers = NULL;
		size_t count = 0;
		if (!log_router_list(api_of(op->x)->log, conn, &l->query, http_arena(op->x), &routers, &count, e)) {
			return false;
		}
		is_last = count < l->query.limit;
		write_routers(l, routers, count);
	}
	buf_append_byte(out, ']');
	if (!is_last || l->has_more) {
		wire_write_cursor(out, l->query.after);
	}
	buf_append_byte(out, ',');
	wire_write_performance(out, op->x);
	buf_append_byte(out, '}');
	return true;
}

static str query_text(http_exchange *x, const char *name)
{
	str text;
	return http_request_query(x, str_from_c(name), &text) && text.len > 0 ? text : STR_NONE;
}

void topics_list_routers(http_exchange *x)
{
	err e;
	list *l = api_operation_new(x, sizeof *l, run_list);
	if (l == NULL) {
		return;
	}
	if (!wire_read_page(x, &l->page, &e)) {
		api_fail(&l->op, &e);
		return;
	}
	l->query = (log_router_query){.tenant_id = gate_principal(x)->tenant_id,
								  .prefix = query_text(x, "prefix"),
								  .after = l->page.after,
								  .source = query_text(x, "source"),
								  .dest = query_text(x, "dest"),
								  .limit = l->page.size + 1};
	api_run(&l->op);
}
