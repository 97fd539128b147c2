/*
 * cli/postgres_place: where the private Postgres lives, as whom it runs, and that nobody else runs it. Private to
 * cli/postgres, whose header describes the directory.
 *
 * Owns     the lock, until postgres_place_close().
 */
#ifndef TIDEGATE_CLI_POSTGRES_PLACE_H
#define TIDEGATE_CLI_POSTGRES_PLACE_H

#include <limits.h>
#include <stdio.h>

#include "base/child.h"

typedef struct postgres_place {
	char directory[PATH_MAX]; /* absolute, without links */
	char home[PATH_MAX];      /* holds the data: `directory`, or one under /var/lib/tidegate */
	char data[PATH_MAX];      /* data directory, without links; not there yet when version is 0 */
	char socket[PATH_MAX];    /* directory of the socket: short, no character that needs quotes */
	child_user user;          /* runs Postgres, owns data and socket */
	int version;              /* major version that the data was made with; 0: no data */
	int lock_fd;
} postgres_place;

/* Errors: ERR_UNAVAILABLE, with a message that says what to do. */
bool postgres_place_open(const char *directory, char *const *environment, FILE *progress, postgres_place *out,
						 err *e) MUST_CHECK;
/* Also after a failed open. Call it with the server stopped. */
void postgres_place_close(postgres_place *p);
/* A line of progress; `progress` may be NULL. */
void postgres_say(FILE *progress, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
