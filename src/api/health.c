#include "api/api.h"
#include "api/probe.h"

void probe_health(http_exchange *x)
{
	buf_append_str(http_reply_body(x), STR("{\"status\":\"ok\"}"));
	http_send(x, 200, "application/json");
}

void probe_ready(http_exchange *x)
{
	api *a = api_of(x);
	err e;
	if (atomic_load(&a->is_stopping)) {
		err_set(&e, ERR_SHUTTING_DOWN, "this server is shutting down; use another one");
		http_send_error(x, &e);
	} else if (!log_engine_is_ready(a->log)) {
		err_set(&e, ERR_NOT_READY, "the database does not answer; this server tries again by itself");
		http_send_error(x, &e);
	} else {
		buf_append_str(http_reply_body(x), STR("{\"status\":\"ready\"}"));
		http_send(x, 200, "application/json");
	}
}
