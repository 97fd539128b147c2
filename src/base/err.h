/*
 * base/err: the one error type. An explicit out-parameter of fixed size: reporting never allocates.
 *
 * A function that can fail returns bool (true = done), takes `err *e` last and carries MUST_CHECK. On
 * false *e is filled and every other out-parameter is untouched. Context is added on the way up with
 * err_frame(); the code is never overwritten.
 *
 * Limits   texts longer than their field are cut at a character boundary.
 */
#ifndef TIDEGATE_BASE_ERR_H
#define TIDEGATE_BASE_ERR_H

#include "base/err_table.h"
#include "base/str.h"

#define MUST_CHECK __attribute__((warn_unused_result))

typedef enum err_code {
	ERR_NONE,
#define ERR_ENUM(name, wire, status) ERR_##name,
	ERR_TABLE(ERR_ENUM)
#undef ERR_ENUM
} err_code;

enum { ERR_MESSAGE_MAX = 320, ERR_DETAIL_MAX = 1024, ERR_LOG_MAX = 256, ERR_FRAMES_MAX = 4 };

typedef struct err {
	err_code code;
	char sqlstate[6];                   /* "" when no SQL is involved */
	uint32_t retry_after_ms;            /* 0 = the code's default */
	char message[ERR_MESSAGE_MAX];      /* for the client: a sentence that says what to do */
	char detail[ERR_DETAIL_MAX];        /* for the client: a JSON object, or "" */
	char log[ERR_LOG_MAX];              /* for the log only */
	const char *frames[ERR_FRAMES_MAX]; /* "what we were doing", literals, innermost first */
	uint8_t frame_count;
} err;

/* Fills *e and returns false, so that a failing function can end with it. */
bool err_set(err *e, err_code code, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* Adds the public detail object, for instance err_detail(e, "{\"topic\":%s}", quoted). Dropped when too long. */
void err_detail(err *e, const char *format, ...) __attribute__((format(printf, 2, 3)));
void err_log(err *e, const char *format, ...) __attribute__((format(printf, 2, 3)));
bool err_frame(err *e, const char *what); /* returns false */
void err_clear(err *e);
const char *err_wire_code(err_code code); /* "topic_not_found"; "internal" for an unknown code */
int err_http_status(err_code code);

#endif
