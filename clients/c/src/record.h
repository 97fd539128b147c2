/*
 * record: one record as a stream hands it out.
 *
 * Owns     nothing: key and value belong to the stream until its next call; a retained record is one piece of memory.
 */
#ifndef TG_RECORD_H
#define TG_RECORD_H

#include "tidegate.h"

struct tg_record {
	const char *key; /* NULL = none */
	size_t key_len;
	const char *value;
	size_t value_len;
	int64_t offset;
	int64_t timestamp_ms;
	int32_t partition;
};

#endif
