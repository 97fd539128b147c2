/*
 * cli/client/terminal: what only a person sees: colours and progress.
 *
 * Threads  main thread only.
 */
#ifndef TIDEGATE_CLI_CLIENT_TERMINAL_H
#define TIDEGATE_CLI_CLIENT_TERMINAL_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* A terminal that knows colours, of a user who wants them (https://no-color.org). */
bool terminal_has_colours(FILE *stream);
/* How many columns it has; 0 when the stream is no terminal. */
unsigned terminal_width(FILE *stream);

/* A line on stderr that tells how far things are, written anew a few times a second. */
typedef struct progress {
	bool is_on;
	int64_t started_ms;
	int64_t shown_ms;
} progress;

void progress_start(progress *p, bool is_wanted); /* nothing is ever shown unless stderr is a terminal */
void progress_show(progress *p, uint64_t records, uint64_t bytes);
void progress_end(progress *p); /* clears the line */

#endif
