/*
 * cli/client/reading: a stream of records on stdout, until its end or until somebody interrupts it.
 *
 * With a consumer id the position is saved after what was read is written, every two seconds and at the end: what is not
 * written is read again.
 *
 * Threads  main thread only; blocks SIGINT and SIGTERM while it runs, and ends with them as with success.
 */
#ifndef TIDEGATE_CLI_CLIENT_READING_H
#define TIDEGATE_CLI_CLIENT_READING_H

#include "cli/client/session.h"
#include "cli/client/show.h"

typedef struct reading {
	const session *s;
	show *show;
	bool has_positions; /* a consumer id was given */
	bool has_progress;  /* tells on a terminal how far it is, when the records themselves go elsewhere */
	/* Writes what goes before a record; NULL = nothing. */
	void (*begin)(buf *out, const tg_record *record);
} reading;

/* Opens the stream and reads. Returns the exit status, with the message printed. */
int reading_run(const reading *r, const tg_consumer_config *setup);

/* The values of --partition. ERR_INVALID_REQUEST, ERR_NO_MEMORY. */
bool reading_add_partitions(tg_consumer_config *setup, const cli_list *partitions, err *e) MUST_CHECK;

/* Of an on_gap callback: a line on stderr. context: the cli_call. */
void reading_tell_gap(void *context, int32_t partition, int64_t from_offset, int64_t to_offset);

#endif
