#include "cli/bench/rawlog.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "db/array.h"
#include "db/conn.h"
#include "sql/batch.h"
#include "sql/bench.h"

enum { LOG_TOPIC = -1 }; /* as in sql/bench.sql */
enum { STATEMENT_TIMEOUT_MS = 60000, PARAMETERS_MAX = 64 * 1024 * 1024 };

static const char MAKE_SINGLE[] = "DROP SCHEMA IF EXISTS tidegate_bench CASCADE;"
								  "CREATE SCHEMA tidegate_bench;"
								  "CREATE TABLE tidegate_bench.single ("
								  " id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,"
								  " key bytea, value bytea NOT NULL)";
static const char DROP_SINGLE[] = "DROP SCHEMA IF EXISTS tidegate_bench CASCADE";

struct rawlog {
	db_conn *conn;
};

/* The parameters of one append: two arrays in one block. */
typedef struct prepared {
	str keys; /* ptr NULL = none */
	str vals;
	int64_t key_bytes;
	int64_t value_bytes;
} prepared;

/* ---- life ---- */

static bool remove_log(rawlog *l, err *e)
{
	return db_do(l->conn, &SQL_BENCH_BATCH_DELETE, NULL, NULL, e) &&
		   db_do(l->conn, &SQL_BENCH_HEAD_DELETE, NULL, NULL, e);
}

bool rawlog_open(str database_url, rawlog **out, err *e)
{
	bool ok = false;
	rawlog *l = calloc(1, sizeof *l);
	if (l == NULL) {
		err_set(e, ERR_NO_MEMORY, "out of memory");
		goto out;
	}
	l->conn = db_conn_new(
		&(db_conn_options){.url = database_url, .role = "bench", .timeout_ms = STATEMENT_TIMEOUT_MS, .log = NULL});
	if (l->conn == NULL) {
		err_set(e, ERR_NO_MEMORY, "out of memory");
		goto out;
	}
	if (!db_run_script(l->conn, MAKE_SINGLE, e) || !remove_log(l, e) ||
		!db_do(l->conn, &SQL_BENCH_HEAD_INSERT, NULL, NULL, e)) {
		err_frame(e, "making the tables of the baselines");
		goto out;
	}
	*out = l;
	l = NULL;
	ok = true;
out:
	rawlog_close(l);
	return ok;
}

void rawlog_close(rawlog *l)
{
	err e = {0};
	if (l != NULL) {
		if (l->conn != NULL && db_conn_is_open(l->conn) &&
			(!remove_log(l, &e) || !db_run_script(l->conn, DROP_SINGLE, &e))) {
			fprintf(stderr, "bench: what the baselines wrote could not be removed: %s\n", e.message);
		}
		db_conn_free(l->conn);
		free(l);
	}
}

/* False when the server is still erasing topics, or that cannot be known. */
static bool has_erased(rawlog *l)
{
	err ignored;
	db_result *r = NULL;
	bool erased = db_run(l->conn, &SQL_BENCH_IS_ERASED, NULL, &r, &ignored) && db_bool(r, 0, 0);
	db_result_free(r);
	return erased;
}

void rawlog_settle(rawlog *l)
{
	enum { LOOKS = 600 };
	static const char *const SCRIPTS[] = {"VACUUM (ANALYZE)", "CHECKPOINT"};
	const struct timespec pause = {.tv_nsec = 50 * 1000 * 1000};
	err ignored;
	for (int i = 0; i < LOOKS && !has_erased(l); i++) {
		nanosleep(&pause, NULL);
	}
	for (size_t i = 0; i < sizeof SCRIPTS / sizeof SCRIPTS[0]; i++) {
		if (!db_run_script(l->conn, SCRIPTS[i], &ignored)) {
			return;
		}
	}
}

/* ---- appends ---- */

static void build_array(buf *out, const payload *p, uint32_t variant, str (*item)(const payload *, uint32_t, uint32_t),
						int64_t *bytes)
{
	db_array_builder a;
	db_array_begin(&a, out, DB_BYTEA);
	for (uint32_t i = 0; i < payload_records(p); i++) {
		str s = item(p, variant, i);
		*bytes += (int64_t)s.len;
		db_array_add_str(&a, s);
	}
	db_array_end(&a);
}

/* Builds all parameters into *block; *list has one entry per variant. */
static bool build(const payload *p, buf *block, prepared *list, err *e)
{
	bool has_keys = payload_key(p, 0, 0).ptr != NULL;
	for (uint32_t i = 0; i < payload_variants(p); i++) {
		size_t start = block->len;
		if (has_keys) {
			build_array(block, p, i, payload_key, &list[i].key_bytes);
		}
		size_t middle = block->len;
		build_array(block, p, i, payload_value, &list[i].value_bytes);
		/* The block may still move: places now, addresses below. */
		list[i].keys.len = middle - start;
		list[i].vals.len = block->len - middle;
	}
	if (block->failed) {
		return err_set(e, ERR_NO_MEMORY, "the parameters of the baseline need more than %d bytes", PARAMETERS_MAX);
	}
	const char *at = block->ptr;
	for (uint32_t i = 0; i < payload_variants(p); i++) {
		list[i].keys.ptr = has_keys ? at : NULL;
		list[i].vals.ptr = at + list[i].keys.len;
		at += list[i].keys.len + list[i].vals.len;
	}
	return true;
}

static bool append_one(rawlog *l, const payload *p, const prepared *one, err *e)
{
	db_params params;
	db_result *r = NULL;
	db_params_init(&params);
	db_param_i64(&params, LOG_TOPIC);
	db_param_i32(&params, 0);
	db_param_i64(&params, payload_records(p));
	db_param_i64(&params, one->value_bytes);
	db_param_i64(&params, one->value_bytes + one->key_bytes);
	db_param_str(&params, one->keys);
	db_param_str(&params, one->vals);
	while (params.count < SQL_APPEND_BATCH.parameter_count) {
		db_param_null(&params); /* timestamps, headers, …: as of records that have none */
	}
	if (!db_run(l->conn, &SQL_APPEND_BATCH, &params, &r, e)) {
		return false;
	}
	bool ok = db_rows(r) == 1 || err_set(e, ERR_INTERNAL, "the baseline's append found no head");
	db_result_free(r);
	return ok;
}

static bool verify(rawlog *l, err *e)
{
	db_result *r = NULL;
	if (!db_run(l->conn, &SQL_BENCH_COUNT, NULL, &r, e)) {
		return false;
	}
	int64_t promised = db_i64(r, 0, 0);
	int64_t found = db_i64(r, 0, 1);
	bool is_dense = db_bool(r, 0, 2);
	db_result_free(r);
	return (promised == found && is_dense) ||
		   err_set(e, ERR_INTERNAL, "the baseline appended %" PRId64 " records and %" PRId64 " are there%s", promised,
				   found, is_dense ? "" : ", with holes");
}

bool rawlog_append(rawlog *l, const payload *p, int64_t warmup_ms, int64_t measure_ms, rawlog_result *sum, err *e)
{
	bool ok = false;
	buf block;
	prepared *list = calloc(payload_variants(p), sizeof *list);
	buf_init(&block, PARAMETERS_MAX);
	if (list == NULL) {
		err_set(e, ERR_NO_MEMORY, "out of memory");
		goto out;
	}
	if (!build(p, &block, list, e)) {
		goto out;
	}
	int64_t window_ns = latency_now_ns() + warmup_ms * 1000000;
	int64_t end_ns = window_ns + measure_ms * 1000000;
	int64_t now_ns = 0;
	int64_t first_ns = 0;
	for (uint32_t i = 0; now_ns < end_ns; i = (i + 1) % payload_variants(p)) {
		int64_t begin_ns = latency_now_ns();
		if (!append_one(l, p, &list[i], e)) {
			goto out;
		}
		now_ns = latency_now_ns();
		if (begin_ns >= window_ns) {
			first_ns = first_ns == 0 ? begin_ns : first_ns;
			sum->records += payload_records(p);
			latency_add(&sum->latency, now_ns - begin_ns);
		}
	}
	sum->elapsed_ns += first_ns != 0 ? now_ns - first_ns : 0;
	ok = verify(l, e);
out:
	buf_dispose(&block);
	free(list);
	return ok;
}

/* ---- facts ---- */

bool rawlog_setting(rawlog *l, const char *name, char out[RAWLOG_SETTING_MAX], err *e)
{
	db_params params;
	db_result *r = NULL;
	db_params_init(&params);
	db_param_str(&params, str_from_c(name));
	if (!db_run(l->conn, &SQL_BENCH_SETTING, &params, &r, e)) {
		return false;
	}
	snprintf(out, RAWLOG_SETTING_MAX, "%.*s", STR_ARG(db_str(r, 0, 0)));
	db_result_free(r);
	return true;
}

bool rawlog_backend(rawlog *l, int32_t *pid, err *e)
{
	db_result *r = NULL;
	if (!db_run(l->conn, &SQL_BENCH_BACKEND, NULL, &r, e)) {
		return false;
	}
	*pid = db_i32(r, 0, 0);
	db_result_free(r);
	return true;
}
