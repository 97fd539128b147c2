/*
 * api/durable/subscription/pattern: which streams a subscription wants: a path whose segments are literals, `*` (exactly
 * one segment) or `**` (none or more).
 *
 * Matching is Postgres's: a pattern is translated once and kept with the subscription, because it is matched where
 * topics are made (trigger link_new_topic).
 *
 * Threads  any.
 * Limits   SUBSCRIPTION_PATTERN_MAX bytes, SUBSCRIPTION_SEGMENTS_MAX segments.
 * Errors   ERR_INVALID_REQUEST; ERR_NO_MEMORY.
 */
#ifndef TIDEGATE_API_DURABLE_SUBSCRIPTION_PATTERN_H
#define TIDEGATE_API_DURABLE_SUBSCRIPTION_PATTERN_H

#include "base/arena.h"
#include "base/err.h"

enum { SUBSCRIPTION_PATTERN_MAX = 1024, SUBSCRIPTION_SEGMENTS_MAX = 32 };

typedef struct subscription_pattern {
	str text;  /* without slashes at its ends */
	str head;  /* what every matching path begins with: up to the first wildcard */
	str regex; /* for '/' || path, in the part of POSIX extended syntax that Postgres shares */
} subscription_pattern;

bool subscription_pattern_read(str text, arena *a, subscription_pattern *out, err *e) MUST_CHECK;

/* A stream's path as bodies have it: slashes at its ends do not count. */
bool subscription_path_read(str text, str *out, err *e) MUST_CHECK;

#endif
