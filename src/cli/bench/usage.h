/*
 * bench/usage: processor time and memory of the three that share the machine: generator, server, Postgres.
 *
 * Threads  any.
 * Units    seconds of processor time, user and system.
 * Note     read from /proc, so only for processes of this machine. Processor time of Postgres is that of the
 *          postmaster, its living children, and those that ended meanwhile.
 */
#ifndef TIDEGATE_CLI_BENCH_USAGE_H
#define TIDEGATE_CLI_BENCH_USAGE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

typedef struct usage_sources {
	pid_t server;     /* 0 = unknown */
	pid_t postmaster; /* 0 = unknown */
} usage_sources;

typedef struct usage {
	double generator_s;
	double server_s;
	double postgres_s;
	double machine_s; /* of everyone on this machine, the three included; 0 = unknown */
	bool has_server;
	bool has_postgres;
} usage;

usage usage_now(const usage_sources *sources);
usage usage_between(const usage *begin, const usage *end);
/* What processes had that have no part in it; 0 when it is not known. */
double usage_of_others(const usage *u);
/* The same as a share of all processors over `seconds`. */
double usage_share_of_others(const usage *u, double seconds);
/* The parent of a backend, when that is a Postgres of this machine; 0 otherwise. */
pid_t usage_postmaster_of(pid_t backend);
/* Resident memory; false when the process is not there. */
bool usage_resident_bytes(pid_t pid, int64_t *bytes);

#endif
