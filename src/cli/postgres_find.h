/*
 * cli/postgres_find: which Postgres server to use. Private to cli/postgres.
 *
 * The directory named by the environment variable TIDEGATE_POSTGRES_BIN, and no other, when it is set; else the newest
 * of those under /usr/lib/postgresql, in PATH and where pg_config points. At least version 15.
 */
#ifndef TIDEGATE_CLI_POSTGRES_FIND_H
#define TIDEGATE_CLI_POSTGRES_FIND_H

#include <limits.h>

#include "base/err.h"

typedef struct postgres_server {
	char bin[PATH_MAX]; /* directory of `postgres` and `initdb` */
	int version;        /* major: 15 */
} postgres_server;

/* wanted_version: the one that data was made with, or 0 for the newest.
 * Errors: ERR_UNAVAILABLE with what to install or set. */
bool postgres_find(char *const *environment, int wanted_version, postgres_server *out, err *e) MUST_CHECK;

#endif
