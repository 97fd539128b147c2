/*
 * cli/postgres_leftover: stops what an earlier run left on a data directory. Private to cli/postgres.
 *
 * Server processes are known by their program and working directory, not by the number in postmaster.pid, which may be
 * another process's by now. The caller holds the directory's lock, so whatever runs there is nobody's.
 */
#ifndef TIDEGATE_CLI_POSTGRES_LEFTOVER_H
#define TIDEGATE_CLI_POSTGRES_LEFTOVER_H

#include "cli/postgres_place.h"

/* After success no server process uses the data, and no pid file is in the way.
 * Errors: ERR_UNAVAILABLE when one cannot be stopped. */
bool postgres_leftover_stop(const postgres_place *place, uint32_t stop_timeout_ms, FILE *progress, err *e) MUST_CHECK;
/* The process number in postmaster.pid, and whether that server says it is ready. 0 without such a file. */
pid_t postgres_leftover_read_pid(const postgres_place *place, bool *is_ready);

#endif
