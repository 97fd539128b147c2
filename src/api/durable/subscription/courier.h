/*
 * api/durable/subscription/courier: carries letters (HTTP POSTs) out of the building. One thread, many at a time.
 *
 * Only addresses that are public are connected to: each is judged at the moment of its connection, so that a name which
 * leads elsewhere by then is refused. No redirect is followed, no proxy used, no credential sent; time and answer are
 * capped.
 *
 * Owns     its thread. A letter is the sender's, untouched by him from courier_send() until `done`.
 * Threads  new, stop, free: the main thread. reserve, release, send: any. done: the courier's thread, or courier_stop()'s
 *          caller; it must not block.
 * Limits   COURIER_PARALLEL_MAX letters, sent or reserved. COURIER_ANSWER_MAX bytes of an answer.
 */
#ifndef TIDEGATE_API_DURABLE_SUBSCRIPTION_COURIER_H
#define TIDEGATE_API_DURABLE_SUBSCRIPTION_COURIER_H

#include "base/buf.h"
#include "base/err.h"
#include "base/metric.h"

enum { COURIER_PARALLEL_MAX = 256, COURIER_ANSWER_MAX = 64 * 1024, COURIER_HEADERS_MAX = 4, COURIER_PROBLEM_MAX = 256 };

typedef struct courier courier;
typedef struct courier_letter courier_letter;

struct courier_letter {
	const char *url;
	str body;                                 /* JSON */
	const char *headers[COURIER_HEADERS_MAX]; /* "Name: value"; NULL ends the list early */
	void (*done)(courier_letter *letter);
	/* out */
	long status;                       /* 0: no answer */
	buf answer;                        /* the courier's sender disposes of it */
	char problem[COURIER_PROBLEM_MAX]; /* why there is no answer */
	bool was_stopped;                  /* nobody knows whether it arrived, and it was not its fault */

	/* the courier's */
	courier_letter *next;
	void *transfer;
	void *header_list;
	size_t header_bytes;
};

typedef struct courier_options {
	uint32_t timeout_ms; /* of one letter, name resolution included */
	bool allow_localhost;
	metric_registry *metrics;
} courier_options;

bool courier_new(const courier_options *options, courier **out, err *e) MUST_CHECK;
/* Takes one place; false when all are taken. */
bool courier_reserve(courier *c) MUST_CHECK;
void courier_release(courier *c);
/* Needs a reserved place and gives it back before `done`. */
void courier_send(courier *c, courier_letter *letter);
/* Every letter under way is given back as stopped, and so is what is sent from now on. */
void courier_stop(courier *c);
void courier_free(courier *c); /* stops first if need be; accepts NULL */

#endif
