/*
 * cli/client/amount: numbers, sizes and words of options. Threads: any.
 *
 * Errors   ERR_INVALID_REQUEST, with a message that names the option and what it takes. Text NULL (the option was not
 *          given) is true and leaves *out alone.
 */
#ifndef TIDEGATE_CLI_CLIENT_AMOUNT_H
#define TIDEGATE_CLI_CLIENT_AMOUNT_H

#include <tidegate.h>

#include "base/buf.h"
#include "base/err.h"

bool amount_integer(const char *option, const char *text, int64_t least, int64_t most, int64_t *out, err *e) MUST_CHECK;
/* "4096", "10M", "1.5 GiB" without the blank: K, M, G, T count in thousands, Ki, Mi, Gi, Ti in 1024s; a B may follow. */
bool amount_bytes(const char *option, const char *text, int64_t *out, err *e) MUST_CHECK;
/* "150ms", "7d"; see when_parse_duration(). */
bool amount_duration_ms(const char *option, const char *text, int64_t *out, err *e) MUST_CHECK;
/* For people: "1.5 kB". */
void amount_append_bytes(buf *out, int64_t bytes);
/* For people, the largest unit that divides it: "7d", "90s"; "-" for 0. */
void amount_append_duration(buf *out, int64_t ms);

/* In any case of letters: none, gzip, snappy, lz4, zstd. */
bool amount_compression(const char *text, tg_compression *out, err *e) MUST_CHECK;
/* As Fluvio takes them: read_committed, ReadCommitted, … */
bool amount_isolation(const char *text, tg_isolation *out, err *e) MUST_CHECK;
/* at-least-once, at_least_once, AtLeastOnce, … */
bool amount_delivery(const char *text, tg_delivery *out, err *e) MUST_CHECK;

#endif
