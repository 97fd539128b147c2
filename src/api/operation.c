#include "api/operation.h"

#include "api/gate.h"
#include "base/jwrite.h"
#include "base/text.h"

#include <inttypes.h>
#include <string.h>

void *api_operation_new(http_exchange *x, size_t bytes, api_run_fn *run)
{
	api_operation *op = arena_alloc_zero(http_arena(x), bytes);
	if (op == NULL) {
		err e;
		err_set(&e, ERR_NO_MEMORY, "the server has no memory left for this request; try again");
		http_send_error(x, &e);
		return NULL;
	}
	op->x = x;
	op->run = run;
	op->status = 200;
	return op;
}

/* ---- the end ---- */

static http_exchange *release(api_operation *op)
{
	log_topic_unref(op->topic);
	op->topic = NULL;
	return op->x;
}

void api_reply(api_operation *op)
{
	int status = op->status;
	const char *content_type = op->content_type != NULL ? op->content_type : "application/json";
	http_send(release(op), status, content_type);
}

void api_fail(api_operation *op, const err *e)
{
	http_exchange *x = release(op);
	buf_clear(http_reply_body(x));
	http_send_error(x, e);
}

/* ---- the topic ---- */

bool api_topic_name_is_valid(str name)
{
	if (name.len == 0 || name.len > 255) {
		return false;
	}
	for (size_t i = 0; i < name.len; i++) {
		char c = name.ptr[i];
		bool is_alphanumeric = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
		if (!is_alphanumeric && (i == 0 || (c != '.' && c != '_' && c != ':' && c != '-'))) {
			return false;
		}
	}
	return true;
}

bool api_set_topic_name_invalid(err *e)
{
	return err_set(
		e, ERR_INVALID_REQUEST,
		"a topic's name has 1 to 255 letters, digits, '.', '_', ':' or '-', and begins with a letter or digit");
}

bool api_topic_name_can_exist(str name)
{
	return name.len > 0 && name.len <= LOG_TOPIC_NAME_MAX && memchr(name.ptr, '\0', name.len) == NULL &&
		   text_is_utf8(name);
}

bool api_set_topic_not_found(err *e, str name)
{
	if (!api_topic_name_can_exist(name)) {
		return err_set(e, ERR_TOPIC_NOT_FOUND, "there is no such topic");
	}
	err_set(e, ERR_TOPIC_NOT_FOUND, "there is no topic \"%.*s\"; create it first", STR_ARG(str_take(name, 255)));
	buf quoted;
	buf_init(&quoted, ERR_DETAIL_MAX);
	jwrite_string(&quoted, name);
	if (!quoted.failed) {
		err_detail(e, "{\"topic\":%.*s}", STR_ARG(buf_str(&quoted)));
	}
	buf_dispose(&quoted);
	return false;
}

/* Drops a stale topic: the next resolve asks the database. */
static void forget(api_operation *op)
{
	log_topic_forget(api_of(op->x)->log, op->topic);
	log_topic_unref(op->topic);
	op->topic = NULL;
	op->is_fresh = true;
	op->is_doubtful = false;
}

static bool is_stale(const api_operation *op, const err *e)
{
	return (e->code == ERR_TOPIC_NOT_FOUND || op->is_doubtful) && op->topic != NULL && !op->is_fresh;
}

bool api_check_partition(api_operation *op, int64_t partition, err *e)
{
	if (partition < op->topic->partitions) {
		return true;
	}
	op->is_doubtful = true;
	return err_set(e, ERR_INVALID_REQUEST, "partition is %" PRId64 ", but the topic has the partitions 0 to %" PRId32,
				   partition, op->topic->partitions - 1);
}

static bool find_topic(api_operation *op, log_conn *conn, err *e)
{
	op->is_fresh = true;
	if (!api_topic_name_can_exist(op->topic_name)) {
		return api_set_topic_not_found(e, op->topic_name);
	}
	int64_t tenant_id = gate_principal(op->x)->tenant_id;
	if (log_topic_find(api_of(op->x)->log, conn, tenant_id, op->topic_name, &op->topic, e)) {
		return true;
	}
	return e->code == ERR_TOPIC_NOT_FOUND && op->make_topic != NULL && op->make_topic(op, conn, e);
}

/* True when op->topic is set, or none is wanted. */
static bool take_cached_topic(api_operation *op)
{
	if (op->topic_name.ptr == NULL || op->topic != NULL) {
		return true;
	}
	if (!op->is_fresh) {
		op->topic = log_topic_cached(api_of(op->x)->log, gate_principal(op->x)->tenant_id, op->topic_name);
	}
	return op->topic != NULL;
}

/* ---- with a session ---- */

bool api_attempt(api_operation *op, log_conn *conn, err *e)
{
	for (;;) {
		if (!take_cached_topic(op) && !find_topic(op, conn, e)) {
			return false;
		}
		buf_clear(http_reply_body(op->x));
		if (op->run(op, conn, e)) {
			return true;
		}
		if (!is_stale(op, e)) {
			return false;
		}
		forget(op);
	}
}

static void attempt_job(void *context, log_conn *conn)
{
	api_operation *op = context;
	err e;
	if (api_attempt(op, conn, &e)) {
		op->then(op);
	} else {
		api_fail(op, &e);
	}
}

static void refuse_job(void *context, const err *e)
{
	api_fail(context, e);
}

static void submit(api_operation *op, void (*run)(void *context, log_conn *conn))
{
	err e;
	if (!log_engine_submit(api_of(op->x)->log, (log_job){run, refuse_job, op}, &e)) {
		api_fail(op, &e);
	}
}

void api_run_then(api_operation *op, void (*then)(api_operation *op))
{
	op->then = then;
	submit(op, attempt_job);
}

void api_run(api_operation *op)
{
	api_run_then(op, api_reply);
}

/* ---- without ---- */

static void find_job(void *context, log_conn *conn)
{
	api_operation *op = context;
	err e;
	if (find_topic(op, conn, &e)) {
		op->then(op);
	} else {
		api_fail(op, &e);
	}
}

void api_with_topic(api_operation *op, void (*then)(api_operation *op))
{
	op->then = then;
	if (take_cached_topic(op)) {
		then(op);
	} else {
		submit(op, find_job);
	}
}

bool api_with_topic_again(api_operation *op, const err *e)
{
	if (!is_stale(op, e)) {
		return false;
	}
	forget(op);
	submit(op, find_job);
	return true;
}
