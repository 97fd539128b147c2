/*
 * cli/service: one worker, from configuration to a clean stop: what `serve` and `dev` have in common.
 *
 * Threads  main thread; it blocks SIGINT and SIGTERM for all threads and waits for them.
 * Life     the parts start in the order logs, database, schema, credentials, log, API, HTTP, and stop in reverse:
 *          HTTP stops accepting and answers what it took, streams end with a cursor, appends are committed,
 *          connections close.
 * Errors   ERR_INVALID_REQUEST a setting; ERR_UNAVAILABLE an address cannot be bound; those of db/migrate. An absent
 *          database is not an error: the service waits for it, until it is told to stop.
 */
#ifndef TIDEGATE_CLI_SERVICE_H
#define TIDEGATE_CLI_SERVICE_H

#include "base/slog.h"
#include "cli/cli.h"

typedef struct service_options {
	const config *config;
	/* Called once when requests are answered; the ports are those really bound, in the order of the listen setting. */
	void (*on_ready)(void *context, const uint16_t *ports, size_t count);
	/* Called every second while serving or waiting for the database; false ends the service. NULL: nothing to do. */
	bool (*keep)(void *context, err *e);
	void *context;
} service_options;

/* Serves until SIGINT or SIGTERM. True when everything accepted was finished. */
bool service_run(const service_options *options, err *e) MUST_CHECK;

/* SIGINT and SIGTERM wait until service_run() looks, from here on in this thread and all it starts. To be called before
 * the first thread is. */
void service_block_signals(void);

/* Connects and migrates. */
bool service_migrate(const config *c, slog *log, int *applied, err *e) MUST_CHECK;
/* A log with the configured level and format; NULL when memory is out. */
slog *service_log(const config *c);

#endif
