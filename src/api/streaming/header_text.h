/*
 * api/streaming/header_text: a message's headers as the log keeps them: the compact JSON text of [[name, value], …].
 *
 * Owns     nothing: a view of the text read, or in the arena.
 * Threads  any.
 */
#ifndef TIDEGATE_API_STREAMING_HEADER_TEXT_H
#define TIDEGATE_API_STREAMING_HEADER_TEXT_H

#include "base/jscan.h"

#define HEADER_TEXT_RULE "an array of [name, value] pairs of strings"

typedef enum header_text_result {
	HEADER_TEXT_OK,
	HEADER_TEXT_WRONG,     /* valid JSON so far, but something else */
	HEADER_TEXT_BROKEN,    /* the scanner has failed */
	HEADER_TEXT_NO_MEMORY, /* the arena is full */
} header_text_result;

/* Reads the value that comes next. *out is STR_NONE when it is null or holds none. */
header_text_result header_text_read(jscan *s, arena *a, str *out);

#endif
