/*
 * bench/payload: the records that are produced, the same in every run: values and keys without characters that JSON
 * escapes, in a number of variants, so that not every request carries the same bytes.
 *
 * Owns     all values, keys and rendered requests.
 * Threads  immutable once made and rendered.
 */
#ifndef TIDEGATE_CLI_BENCH_PAYLOAD_H
#define TIDEGATE_CLI_BENCH_PAYLOAD_H

#include "cli/bench/gateway.h"

typedef enum payload_kind {
	PAYLOAD_TEXT,  /* like an event of an application: words and numbers, which compress as such do */
	PAYLOAD_RANDOM /* does not compress as far as lz4 is concerned */
} payload_kind;

typedef struct payload_options {
	payload_kind kind;
	uint32_t records; /* per variant: one request */
	uint32_t variants;
	uint32_t value_bytes;
	uint32_t key_bytes; /* 0 = records have no key */
} payload_options;

typedef struct payload payload;

payload *payload_new(const payload_options *options); /* NULL when out of memory */
void payload_free(payload *p);                        /* accepts NULL */
uint32_t payload_records(const payload *p);
uint32_t payload_variants(const payload *p);
str payload_value(const payload *p, uint32_t variant, uint32_t record);
str payload_key(const payload *p, uint32_t variant, uint32_t record); /* STR_NONE without keys */

/* Renders the produce request of every variant for this topic; the ones before are gone. */
bool payload_render(payload *p, const gateway *s, const gateway_topic *topic, err *e) MUST_CHECK;
str payload_request(const payload *p, uint32_t variant);

#endif
