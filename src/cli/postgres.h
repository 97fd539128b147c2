/*
 * cli/postgres: the private Postgres of `tidegate dev`: made, started, watched and stopped by us. Unix socket only.
 *
 * What lies in the directory:
 *
 *   lock            held while we run; a second program on the directory is refused
 *   postgres/       the data. As root, when the user that runs Postgres may not enter the directory, a link to a place
 *                   under /var/lib/tidegate that it may
 *   socket/         mode 0700: whoever can enter it is the database's superuser. A link to a short directory under
 *                   XDG_RUNTIME_DIR or /tmp when the path is too long for a socket
 *   postgres.log    what the server says
 *
 * Postgres refuses to run as root. Root therefore runs it as the owner of existing data, else as the user `postgres`.
 *
 * Survives, in any combination: being killed (the server then stops by itself, or the next start stops it), a killed
 * server, an interrupted first start, stale pid and socket files, a pid file whose number now is another process.
 *
 * Owns     the server process, the lock, the log's descriptor.
 * Threads  main thread only. The server takes the end of the thread that started it for our end, and stops.
 * Limits   one server a directory. Settings are for a machine that does other things too; commits are durable
 *          (fsync and synchronous_commit on). `local.conf` in the data directory overrides them.
 */
#ifndef TIDEGATE_CLI_POSTGRES_H
#define TIDEGATE_CLI_POSTGRES_H

#include <limits.h>
#include <stdio.h>

#include "base/err.h"

enum { POSTGRES_URL_MAX = PATH_MAX + 64 };

/* Where it is when nothing else is said. */
#define POSTGRES_DIRECTORY "./.tidegate"

typedef struct postgres postgres;

typedef struct postgres_options {
	const char *directory;     /* made when it does not exist, with those above it */
	char *const *environment;  /* TIDEGATE_POSTGRES_BIN, PATH, XDG_RUNTIME_DIR */
	FILE *progress;            /* a line per step, for a person; NULL: silent */
	uint32_t start_timeout_ms; /* crash recovery included; 0 = 300 000 */
	uint32_t stop_timeout_ms;  /* for a fast shutdown, before an immediate one; 0 = 30 000 */
} postgres_options;

/* Returns when the server accepts connections.
 * Errors: ERR_UNAVAILABLE, with a message that says what to do: no server installed, directory in use or not ours, the
 * server did not start (with its own words). ERR_NO_MEMORY. */
bool postgres_start(const postgres_options *options, postgres **out, err *e) MUST_CHECK;
/* A libpq connection string to the database `tidegate`, as superuser. Valid until postgres_stop(). */
const char *postgres_url(const postgres *p);
/* The same for the server that another process runs in that directory; false when none does. */
bool postgres_find_url(const char *directory, char url[POSTGRES_URL_MAX]);
/* To be called now and then: starts the server again if it ended. Errors as postgres_start(). */
bool postgres_keep(postgres *p, err *e) MUST_CHECK;
/* Stops the server: fast (no client is waited for, commits are safe), after the deadline at once. Accepts NULL. */
void postgres_stop(postgres *p);

#endif
