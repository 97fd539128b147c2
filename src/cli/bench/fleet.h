/*
 * bench/fleet: workers that a case starts for itself, on a scratch database beside the one under test: several of them
 * share it, each with settings of its own, and whatever the case does there is gone with it.
 *
 * Owns     the database `tidegate_bench_fleet`, a directory in /tmp for settings and logs (it holds the database url, so
 *          only its owner may enter), the processes and their gateways.
 * Threads  one at a time; it must be the same one, and outlive the fleet.
 * Limits   FLEET_WORKERS_MAX workers.
 * Errors   ERR_UNAVAILABLE the database cannot be made, a worker did not start (the message has its last words), the
 *          directory; those of db/conn and bench/gateway.
 */
#ifndef TIDEGATE_CLI_BENCH_FLEET_H
#define TIDEGATE_CLI_BENCH_FLEET_H

#include "cli/bench/gateway.h"
#include "db/conn.h"

enum { FLEET_WORKERS_MAX = 4 };

typedef struct fleet fleet;

/* The user of the url must be allowed to create databases. */
bool fleet_open(str database_url, fleet **out, err *e) MUST_CHECK;
void fleet_close(fleet *f); /* accepts NULL; stops the workers and drops the database */

/* Starts one more worker and waits until it answers. `settings` are lines of a configuration file; the API key is for
 * the gateway, ptr NULL = none. */
bool fleet_add(fleet *f, const char *settings, str api_key, err *e) MUST_CHECK;
gateway *fleet_gateway(const fleet *f, size_t worker);
pid_t fleet_process(const fleet *f, size_t worker);

/* A connection to the scratch database; its schema is there once a worker is. */
db_conn *fleet_database(const fleet *f);
/* Runs a subcommand of this program against the scratch database; appends what it prints. The words end with NULL. */
bool fleet_run(fleet *f, char *const *words, buf *out, err *e) MUST_CHECK;

#endif
