#include "db/conn.h"

#include <errno.h>
#include <poll.h>
#include <string.h>

#include "base/clock.h"
#include "db/private.h"

/* Times an idle connection may have something to say; beyond that it is replaced. */
enum { IDLE_READS = 8 };

/* A statement is planned once, perhaps while its table is nearly empty: reading all of it would look cheapest then, and
 * go on while it grows (docs/decisions/0013). Compiling costs more than any of our statements. */
static const char PLANS[] = " -c plan_cache_mode=force_generic_plan -c enable_seqscan=off -c jit=off";

/* ---- life ---- */

db_conn *db_conn_new(const db_conn_options *options)
{
	db_conn *c = calloc(1, sizeof *c);
	size_t name_bytes = 0;
	buf name;
	buf_init(&name, 64);
	if (c == NULL) {
		return NULL;
	}
	buf_printf(&name, "tidegate %s", options->role);
	buf_append_byte(&name, '\0');
	c->application_name = name.failed ? NULL : buf_detach(&name, &name_bytes);
	c->url = strndup(options->url.ptr != NULL ? options->url.ptr : "", options->url.len);
	c->relaxed_commit = options->relaxed_commit;
	c->session_features = options->session_features;
	c->timeout_ms = options->timeout_ms != 0 ? options->timeout_ms : 5000;
	c->statement_ms = c->timeout_ms;
	c->log = options->log;
	buf_dispose(&name);
	if (c->url == NULL || c->application_name == NULL) {
		db_conn_free(c);
		return NULL;
	}
	return c;
}

static void leave_transaction(db_conn *c)
{
	c->in_transaction = false;
	c->statement_ms = c->timeout_ms;
}

void db_conn_close(db_conn *c)
{
	if (c->notification != NULL) {
		PQfreemem(c->notification);
		c->notification = NULL;
	}
	PQfinish(c->pg);
	c->pg = NULL;
	leave_transaction(c);
	c->in_pipeline = false;
	c->expected_count = 0;
	memset(c->prepared, 0, sizeof c->prepared);
}

void db_conn_free(db_conn *c)
{
	if (c != NULL) {
		db_conn_close(c);
		free(c->url);
		free(c->application_name);
		free(c);
	}
}

bool db_conn_is_open(const db_conn *c)
{
	return c->pg != NULL;
}

int db_conn_socket(const db_conn *c)
{
	return c->pg != NULL ? PQsocket(c->pg) : -1;
}

/* The caller's own "options" of the URL stay in force, ours come after them. */
static bool build_options(const db_conn *c, buf *out, err *e)
{
	bool ok = false;
	/* What libpq says is wrong with it may quote the password, so it is not asked. */
	PQconninfoOption *parsed = PQconninfoParse(c->url, NULL);
	if (parsed == NULL) {
		err_set(e, ERR_UNAVAILABLE,
				"database_url cannot be understood; see the libpq documentation for its form, and escape what is "
				"special in a "
				"password: %% of a URI is %%25");
		goto out;
	}
	for (const PQconninfoOption *option = parsed; option->keyword != NULL; option++) {
		if (strcmp(option->keyword, "options") == 0 && option->val != NULL) {
			buf_append_str(out, str_from_c(option->val));
		}
	}
	buf_printf(out,
			   " -c statement_timeout=%u -c lock_timeout=%u -c idle_in_transaction_session_timeout=60000"
			   " -c default_transaction_isolation=read\\ committed%s",
			   c->timeout_ms, c->timeout_ms, PLANS);
	if (c->relaxed_commit) {
		buf_append_str(out, STR(" -c synchronous_commit=off"));
	}
	buf_append_byte(out, '\0');
	ok = !out->failed || err_set(e, ERR_UNAVAILABLE, "database_url is too long");
out:
	PQconninfoFree(parsed);
	return ok;
}

/* Notices are the server's chatter; the log has our own lines. */
static void ignore_notice(void *context, const PGresult *result)
{
	(void)context;
	(void)result;
}

/* A server that went away while nothing was asked of it has left its last words in the socket, and behind them an end
 * of file. */
static bool is_alive(db_conn *c)
{
	if (c->pg == NULL || PQstatus(c->pg) != CONNECTION_OK) {
		return false;
	}
	if (c->in_transaction || c->in_pipeline || c->session_features) {
		return true;
	}
	for (int reads = 0; reads < IDLE_READS; reads++) {
		struct pollfd p = {.fd = PQsocket(c->pg), .events = POLLIN};
		if (poll(&p, 1, 0) == 0) {
			return true;
		}
		if (PQconsumeInput(c->pg) == 0 || PQisBusy(c->pg) == 1 || PQstatus(c->pg) != CONNECTION_OK ||
			(p.revents & (POLLHUP | POLLERR)) != 0) {
			return false;
		}
	}
	return false;
}

bool db_conn_ensure(db_conn *c, err *e)
{
	buf options;
	bool ok = false;
	if (is_alive(c)) {
		return true;
	}
	db_conn_close(c);
	buf_init(&options, 4096);
	if (!build_options(c, &options, e)) {
		goto out;
	}
	/* What comes before the URL is for those who say nothing about it there. */
	const char *const keys[] = {"connect_timeout",  "dbname",     "application_name", "client_encoding",
								"options",          "keepalives", "keepalives_idle",  "keepalives_interval",
								"tcp_user_timeout", NULL};
	const char *const values[] = {"2", c->url, c->application_name, "UTF8", options.ptr, "1", "10", "5", "10000", NULL};
	c->pg = PQconnectdbParams(keys, values, 1);
	if (c->pg == NULL) {
		err_set(e, ERR_NO_MEMORY, "out of memory");
		goto out;
	}
	if (PQstatus(c->pg) != CONNECTION_OK) {
		err_set(e, ERR_UNAVAILABLE, "the database cannot be reached; try again");
		err_log(e, "%s", PQerrorMessage(c->pg));
		db_conn_close(c);
		goto out;
	}
	PQsetNoticeReceiver(c->pg, ignore_notice, NULL);
	PQsetnonblocking(c->pg, 1);
	SLOG(c->log, SLOG_DEBUG, "db", "connected", F_C("role", c->application_name), F_INT("pid", PQbackendPID(c->pg)));
	ok = true;
out:
	buf_dispose(&options);
	return ok;
}

/* ---- failure ---- */

static bool fail_lost(db_conn *c, bool may_commit, const char *what, err *e)
{
	if (may_commit) {
		err_set(e, ERR_OUTCOME_UNKNOWN,
				"the database stopped answering after the operation was sent: it may or may not have taken effect; "
				"repeat it with an idempotency key, or look");
	} else {
		err_set(e, ERR_UNAVAILABLE, "the database stopped answering; nothing was changed; try again");
	}
	err_log(e, "%s", what);
	db_conn_close(c);
	return false;
}

bool conn_fail(db_conn *c, const PGresult *result, bool may_commit, err *e)
{
	const char *state = result != NULL ? PQresultErrorField(result, PG_DIAG_SQLSTATE) : NULL;
	if (state == NULL) {
		return fail_lost(c, may_commit, PQerrorMessage(c->pg), e);
	}
	const char *severity = PQresultErrorField(result, PG_DIAG_SEVERITY_NONLOCALIZED);
	const char *primary = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
	bool is_over = PQstatus(c->pg) != CONNECTION_OK || (severity != NULL && strcmp(severity, "ERROR") != 0);
	if (is_over && may_commit) {
		/* The backend may have ended right behind its commit. */
		fail_lost(c, true, primary != NULL ? primary : "no message", e);
	} else {
		err_set(e, sqlstate_code(state), "%s", sqlstate_advice(state));
		err_log(e, "%s", primary != NULL ? primary : "no message");
	}
	snprintf(e->sqlstate, sizeof e->sqlstate, "%s", state);
	if (is_over || sqlstate_ends_connection(state)) {
		db_conn_close(c);
	}
	return false;
}

/* ---- waiting ---- */

/* Until something moves: a slow network may take its time, a silent one may not. */
static bool wait_socket(db_conn *c, short events, int64_t timeout_ms, bool may_commit, err *e)
{
	int64_t deadline_ms = clock_now_ms() + timeout_ms;
	for (;;) {
		int64_t left_ms = deadline_ms - clock_now_ms();
		struct pollfd p = {.fd = PQsocket(c->pg), .events = events};
		int n = poll(&p, 1, left_ms > 0 ? (int)left_ms : 0);
		if (n > 0) {
			return true;
		}
		if (n == 0) {
			return fail_lost(c, may_commit, "no answer in time", e);
		}
		if (errno != EINTR) {
			return fail_lost(c, may_commit, "poll failed", e);
		}
	}
}

bool conn_flush(db_conn *c, bool may_commit, err *e)
{
	int left;
	while ((left = PQflush(c->pg)) == 1) {
		/* The server may be waiting for us to read before it reads on. */
		if (!wait_socket(c, POLLIN | POLLOUT, c->timeout_ms, may_commit, e)) {
			return false;
		}
		if (PQconsumeInput(c->pg) == 0) {
			return conn_fail(c, NULL, may_commit, e);
		}
	}
	return left == 0 || conn_fail(c, NULL, may_commit, e);
}

bool conn_wait_result(db_conn *c, bool may_commit, PGresult **out, err *e)
{
	while (PQisBusy(c->pg) == 1) {
		/* A little longer than the server's own statement timeout, so that the server's word comes first. */
		if (!wait_socket(c, POLLIN, (int64_t)c->statement_ms + 500, may_commit, e)) {
			return false;
		}
		if (PQconsumeInput(c->pg) == 0) {
			return conn_fail(c, NULL, may_commit, e);
		}
	}
	*out = PQgetResult(c->pg);
	return true;
}

/* ---- statements ---- */

bool conn_is_prepared(const db_conn *c, const db_query *query)
{
	return (c->prepared[query->index / 64] >> (query->index % 64) & 1) != 0;
}

void conn_set_prepared(db_conn *c, int query_index, bool is_prepared)
{
	uint64_t bit = (uint64_t)1 << (query_index % 64);
	uint64_t *word = &c->prepared[query_index / 64];
	*word = is_prepared ? *word | bit : *word & ~bit;
}

bool query_is_read(const db_query *query)
{
	return strncmp(query->text, "SELECT", 6) == 0;
}

/* Reads the one result of a plain (not pipelined) statement and the NULL behind it. */
static bool take_result(db_conn *c, bool may_commit, PGresult **out, err *e)
{
	PGresult *first = NULL;
	PGresult *next = NULL;
	if (!conn_flush(c, may_commit, e) || !conn_wait_result(c, may_commit, &first, e)) {
		return false;
	}
	for (;;) {
		if (!conn_wait_result(c, may_commit, &next, e)) {
			PQclear(first);
			return false;
		}
		if (next == NULL) {
			break;
		}
		/* A fatal error follows the first result when the server stops between the two. */
		PQclear(first);
		first = next;
	}
	ExecStatusType status = PQresultStatus(first);
	if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK) {
		conn_fail(c, first, may_commit, e);
		PQclear(first);
		return false;
	}
	*out = first;
	return true;
}

static bool prepare(db_conn *c, const db_query *query, err *e)
{
	PGresult *result = NULL;
	if (conn_is_prepared(c, query)) {
		return true;
	}
	if (PQsendPrepare(c->pg, query->name, query->text, 0, NULL) == 0) {
		return conn_fail(c, NULL, false, e);
	}
	if (!take_result(c, false, &result, e)) {
		return err_frame(e, query->name);
	}
	PQclear(result);
	conn_set_prepared(c, query->index, true);
	return true;
}

bool db_run(db_conn *c, const db_query *query, const db_params *p, db_result **out, err *e)
{
	static const db_params NO_PARAMS;
	PGresult *result = NULL;
	if (p == NULL) {
		p = &NO_PARAMS;
	}
	if (p->count != query->parameter_count) {
		return err_set(e, ERR_INTERNAL, "query %s wants %d parameters and was given %d", query->name,
					   query->parameter_count, p->count);
	}
	if (!db_conn_ensure(c, e) || !prepare(c, query, e)) {
		return false;
	}
	bool may_commit = !c->in_transaction && !query_is_read(query);
	int formats[DB_PARAMS_MAX];
	for (int i = 0; i < p->count; i++) {
		formats[i] = 1;
	}
	if (PQsendQueryPrepared(c->pg, query->name, p->count, p->values, p->lengths, formats, 1) == 0) {
		return conn_fail(c, NULL, false, e);
	}
	if (!take_result(c, may_commit, &result, e)) {
		return err_frame(e, query->name);
	}
	db_result *wrapped = result_wrap(result);
	if (wrapped == NULL) {
		return err_set(e, may_commit ? ERR_OUTCOME_UNKNOWN : ERR_NO_MEMORY, "out of memory");
	}
	*out = wrapped;
	return true;
}

bool db_do(db_conn *c, const db_query *query, const db_params *p, int64_t *affected, err *e)
{
	db_result *r = NULL;
	if (!db_run(c, query, p, &r, e)) {
		return false;
	}
	if (affected != NULL) {
		*affected = db_affected(r);
	}
	db_result_free(r);
	return true;
}

bool db_run_script(db_conn *c, const char *sql, err *e)
{
	PGresult *result = NULL;
	bool may_commit = !c->in_transaction;
	if (!db_conn_ensure(c, e)) {
		return false;
	}
	if (PQsendQuery(c->pg, sql) == 0) {
		return conn_fail(c, NULL, false, e);
	}
	if (!take_result(c, may_commit, &result, e)) {
		return false;
	}
	PQclear(result);
	return true;
}

/* ---- transactions ---- */

bool db_begin(db_conn *c, err *e)
{
	if (c->in_transaction) {
		return err_set(e, ERR_INTERNAL, "a transaction is open already");
	}
	if (!db_run_script(c, "BEGIN", e)) {
		return false;
	}
	c->in_transaction = true;
	return true;
}

bool db_begin_slow(db_conn *c, uint32_t statement_ms, err *e)
{
	char sql[64];
	snprintf(sql, sizeof sql, "SET LOCAL statement_timeout = %u", statement_ms);
	if (!db_begin(c, e)) {
		return false;
	}
	if (!db_run_script(c, sql, e)) {
		db_rollback(c);
		return false;
	}
	c->statement_ms = statement_ms;
	return true;
}

bool db_commit(db_conn *c, err *e)
{
	PGresult *result = NULL;
	if (c->pg == NULL) {
		leave_transaction(c);
		return err_set(e, ERR_UNAVAILABLE, "the connection was lost inside a transaction; nothing was changed");
	}
	if (PQsendQuery(c->pg, "COMMIT") == 0) {
		return conn_fail(c, NULL, false, e);
	}
	c->in_transaction = false;
	bool ok = take_result(c, true, &result, e);
	leave_transaction(c);
	if (!ok) {
		return err_frame(e, "commit");
	}
	/* COMMIT of a failed transaction reports success as ROLLBACK. */
	bool committed = strcmp(PQcmdStatus(result), "COMMIT") == 0;
	PQclear(result);
	return committed || err_set(e, ERR_INTERNAL, "the transaction had failed before its commit");
}

void db_rollback(db_conn *c)
{
	err ignored;
	if (c->in_pipeline) {
		/* Results of a broken group are not worth reading. */
		db_conn_close(c);
	}
	if (c->in_transaction && c->pg != NULL) {
		leave_transaction(c);
		if (!db_run_script(c, "ROLLBACK", &ignored)) {
			db_conn_close(c);
		}
	}
	leave_transaction(c);
}

bool db_in_transaction(const db_conn *c)
{
	return c->in_transaction;
}

/* ---- notifications ---- */

bool db_listen(db_conn *c, const char *channel, err *e)
{
	buf sql;
	bool ok = false;
	buf_init(&sql, 128);
	buf_printf(&sql, "LISTEN %s", channel);
	buf_append_byte(&sql, '\0');
	ok = !sql.failed ? db_run_script(c, sql.ptr, e) : err_set(e, ERR_INTERNAL, "channel name too long");
	buf_dispose(&sql);
	return ok;
}

bool db_wait_notification(db_conn *c, int64_t deadline_ms, int wake_fd, str *channel, str *payload, err *e)
{
	if (c->pg == NULL) {
		return err_set(e, ERR_UNAVAILABLE, "not connected");
	}
	for (;;) {
		if (PQconsumeInput(c->pg) == 0) {
			return conn_fail(c, NULL, false, e);
		}
		PGnotify *next = PQnotifies(c->pg);
		if (next != NULL) {
			PQfreemem(c->notification);
			c->notification = next;
			*channel = str_from_c(next->relname);
			*payload = str_from_c(next->extra);
			return true;
		}
		int64_t left_ms = deadline_ms - clock_now_ms();
		struct pollfd p[2] = {{.fd = PQsocket(c->pg), .events = POLLIN}, {.fd = wake_fd, .events = POLLIN}};
		int n = poll(p, 2, left_ms > 0 ? (int)left_ms : 0);
		if (n == 0 || (n > 0 && p[1].revents != 0)) {
			return err_set(e, ERR_TIMEOUT, "no notification");
		}
		if (n < 0 && errno != EINTR) {
			return fail_lost(c, false, "poll failed", e);
		}
	}
}
