/*
 * tests/unit/db/relay: a network between a connection and the scratch Postgres, with the faults that a real one has.
 *
 *   relay *r = relay_new(url);                   url of the fixture, over its unix socket
 *   db_conn *c = db_fixture_conn(relay_url(r), 1000);     the same database, over TCP
 *
 * Owns     its thread and sockets, until relay_free().
 * Threads  one at a time, besides its own.
 * Errors   whatever fails ends the test with a message.
 */
#ifndef TIDEGATE_TESTS_RELAY_H
#define TIDEGATE_TESTS_RELAY_H

#include <stdbool.h>

typedef struct relay relay;

typedef enum relay_mode {
	RELAY_PASS,
	RELAY_HOLD,          /* nothing passes, nothing is closed: a cable was pulled */
	RELAY_CUT_AT_ANSWER, /* the next bytes of the server are lost, and with them the connection */
} relay_mode;

/* The server has to be the fixture's own: postgres_fixture_can_stop(). */
relay *relay_new(const char *url);
const char *relay_url(const relay *r);
void relay_set_mode(relay *r, relay_mode mode); /* in force when this returns */
void relay_cut(relay *r);                       /* every connection, at once; new ones are taken */
/* Bytes a second in each direction; 0 = as fast as they come. */
void relay_set_rate(relay *r, long bytes_a_second);
void relay_free(relay *r);

#endif
