/*
 * api/durable/path: the path of a stream, which is the name of its topic.
 *
 * Decoded once; segments are not empty, `.` or `..`; no control characters; UTF-8. What begins with the segment `__ds` is
 * control space and no stream.
 *
 * Threads  any.
 * Limits   those given: bytes decoded (LOG_TOPIC_NAME_MAX at most) and segments.
 * Errors   ERR_INVALID_REQUEST; ERR_NOT_FOUND for control space; ERR_NO_MEMORY.
 */
#ifndef TIDEGATE_API_DURABLE_PATH_H
#define TIDEGATE_API_DURABLE_PATH_H

#include "base/arena.h"
#include "base/err.h"

#define DURABLE_PREFIX "/v1/stream/"

/* The settings durable_path_bytes and durable_path_segments. */
typedef struct durable_path_limits {
	size_t bytes;
	size_t segments;
} durable_path_limits;

/* Decodes what follows the prefix, as it was sent. */
bool durable_path_decode(arena *a, str raw, durable_path_limits limits, str *out, err *e) MUST_CHECK;
/* A decoded path. */
bool durable_path_check(str path, durable_path_limits limits, err *e) MUST_CHECK;

#endif
