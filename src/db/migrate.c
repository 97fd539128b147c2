#include "db/migrate.h"

#include "sql/migrate.h"

enum { STATEMENT_MS_MAX = 3600000 }; /* an index over a large table takes its time */

/* Any number of workers may start at once: one holds the lock of the transaction, the others wait and find nothing to
 * do. */

static bool current_version(db_conn *c, int *version, err *e)
{
	db_result *r = NULL;
	if (!db_run(c, &SQL_MIGRATE_HAS_TABLE, NULL, &r, e)) {
		return false;
	}
	bool exists = db_rows(r) == 1 && db_bool(r, 0, 0);
	db_result_free(r);
	if (!exists) {
		*version = 0;
		return true;
	}
	if (!db_run(c, &SQL_MIGRATE_VERSION, NULL, &r, e)) {
		return false;
	}
	*version = db_i32(r, 0, 0);
	db_result_free(r);
	return true;
}

static bool check_not_newer(int version, err *e)
{
	if (version > (int)DB_MIGRATION_COUNT) {
		return err_set(
			e, ERR_NOT_READY,
			"the schema is at version %d and this binary knows %zu; run a newer tidegate against this database",
			version, DB_MIGRATION_COUNT);
	}
	return true;
}

static bool apply(db_conn *c, const db_migration *m, err *e)
{
	db_params p;
	if (!db_run_script(c, m->sql, e)) {
		char cause[ERR_LOG_MAX];
		snprintf(cause, sizeof cause, "%s", e->log);
		err_code code = e->code == ERR_UNAVAILABLE || e->code == ERR_TIMEOUT ? e->code : ERR_INTERNAL;
		err_set(e, code, "migration %04d_%s failed and was rolled back: %s", m->number, m->name, cause);
		return false;
	}
	db_params_init(&p);
	db_param_i32(&p, m->number);
	db_param_str(&p, str_from_c(m->name));
	return db_do(c, &SQL_MIGRATE_RECORD, &p, NULL, e);
}

bool db_migrate(db_conn *c, slog *log, int *applied, err *e)
{
	int done = 0;
	for (;;) {
		int version = 0;
		bool ok = db_conn_ensure(c, e) && db_begin_slow(c, STATEMENT_MS_MAX, e) &&
				  db_do(c, &SQL_MIGRATE_LOCK, NULL, NULL, e) && current_version(c, &version, e) &&
				  check_not_newer(version, e);
		if (ok && version == (int)DB_MIGRATION_COUNT) {
			db_rollback(c);
			break;
		}
		ok = ok && apply(c, &DB_MIGRATIONS[version], e) && db_commit(c, e);
		if (!ok) {
			db_rollback(c);
			return err_frame(e, "migrate");
		}
		SLOG(log, SLOG_INFO, "migrate", "applied", F_INT("number", DB_MIGRATIONS[version].number),
			 F_C("name", DB_MIGRATIONS[version].name));
		done++;
	}
	*applied = done;
	return true;
}

bool db_schema_is_current(db_conn *c, err *e)
{
	int version = 0;
	if (!current_version(c, &version, e)) {
		return false;
	}
	if (version < (int)DB_MIGRATION_COUNT) {
		return err_set(e, ERR_NOT_READY,
					   "the schema is at version %d and this binary needs %zu; run `tidegate migrate`", version,
					   DB_MIGRATION_COUNT);
	}
	return check_not_newer(version, e);
}
