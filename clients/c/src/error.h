/*
 * error: filling in a tg_error, and the table of statuses.
 *
 * Threads  any. Errors: none; an error pointer may always be NULL.
 */
#ifndef TG_ERROR_H
#define TG_ERROR_H

#include "tidegate.h"

/* Returns kind, so that a function can end with it. */
tg_status tgi_error_set(tg_error *error, tg_status kind, const char *format, ...) __attribute__((format(printf, 3, 4)));
tg_status tgi_error_no_memory(tg_error *error);
tg_status tgi_error_copy(tg_error *to, const tg_error *from); /* from's kind */
/* Fluvio's number for a status, 0 = none. */
int tgi_error_code(tg_status kind);

#endif
