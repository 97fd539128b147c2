/*
 * api/durable/path: the path of a stream, which is the name of its topic.
 *
 * Decoded once; segments are not empty, `.` or `..`; no control characters; UTF-8. What begins with the segment `__ds` is
 * control space and no stream.
 *
 * Threads  any.
 * Limits   LOG_TOPIC_NAME_MAX bytes decoded, DURABLE_SEGMENTS_MAX segments.
 * Errors   ERR_INVALID_REQUEST; ERR_NOT_FOUND for control space; ERR_NO_MEMORY.
 */
#ifndef TIDEGATE_API_DURABLE_PATH_H
#define TIDEGATE_API_DURABLE_PATH_H

#include "base/arena.h"
#include "base/err.h"

enum { DURABLE_SEGMENTS_MAX = 32 };

#define DURABLE_PREFIX "/v1/stream/"

/* Decodes what follows the prefix, as it was sent. */
bool durable_path_decode(arena *a, str raw, str *out, err *e) MUST_CHECK;
/* A decoded path. */
bool durable_path_check(str path, err *e) MUST_CHECK;

#endif
