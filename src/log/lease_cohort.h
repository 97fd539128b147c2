/*
 * log/lease_cohort: claims of a queue with a claim window. The first claim opens the window; all that arrive before its
 * end, at whatever worker, are dealt together.
 *
 * Each waits as a row of lease_claim. At the window's end the worker whose turn comes first deals for all of them: its own
 * are answered, the others' rows hold what they got until their worker fetches it.
 *
 * Threads  the turn's. Limits: a row that nobody fetched for LEASE_COHORT_KEPT_MS goes; its leases end by themselves.
 * Errors   those of log/lease_gather.
 */
#ifndef TIDEGATE_LOG_LEASE_COHORT_H
#define TIDEGATE_LOG_LEASE_COHORT_H

#include "log/lease_turn.h"

enum {
	LEASE_COHORT_KEPT_MS = 60000,
	LEASE_COHORT_STRANGER_MS = 5000, /* a claim that its worker did not deal by then has no worker any more */
};

bool lease_cohort_serve(lease_turn *t, err *e) MUST_CHECK;

#endif
