/*
 * db/migrate: brings the schema up to date. Forward only; each migration is one transaction, under an advisory lock, so
 * that any number of workers may call it at once. Each of its statements may take an hour, whatever the connection's
 * timeout is; a lock that others hold may not.
 *
 * Errors   ERR_UNAVAILABLE no database; ERR_INTERNAL a migration failed (named in the message); ERR_NOT_READY the schema
 *          is newer than this binary knows; ERR_TIMEOUT another migrator, or somebody's long transaction, holds a lock:
 *          again later.
 */
#ifndef TIDEGATE_DB_MIGRATE_H
#define TIDEGATE_DB_MIGRATE_H

#include "db/conn.h"

typedef struct db_migration {
	int number;
	const char *name;
	const char *sql;
} db_migration;

extern const db_migration DB_MIGRATIONS[];
extern const size_t DB_MIGRATION_COUNT;

/* *applied: how many were run now. */
bool db_migrate(db_conn *c, slog *log, int *applied, err *e) MUST_CHECK;
/* False with ERR_NOT_READY when the schema is older than this binary needs. */
bool db_schema_is_current(db_conn *c, err *e) MUST_CHECK;

#endif
