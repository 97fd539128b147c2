/*
 * profile_text: the text of the file of profiles, line by line, and where a profile stands in it.
 *
 * Owns     nothing; lines point into the text.
 * Threads  any.
 * Limits   TEXT_BYTES_MAX of a name or a value; what is longer counts as no text.
 */
#ifndef TG_PROFILE_TEXT_H
#define TG_PROFILE_TEXT_H

#include "buffer.h"

enum { TEXT_BYTES_MAX = 8192 };

typedef enum line_kind { LINE_OTHER, LINE_PAIR, LINE_PROFILE, LINE_SECTION } line_kind;

typedef struct line {
	line_kind kind;
	unsigned number;
	const char *begin;
	const char *end;                /* behind its line end */
	char name[TEXT_BYTES_MAX + 1];  /* of the profile or of the pair */
	char value[TEXT_BYTES_MAX + 1]; /* of a pair whose value is a text */
	bool has_value;
} line;

/* The line behind `l`, which is all zero before the first; false: there is none. */
bool tgi_profile_next_line(const buffer *text, line *l);
/* Whether a new part begins with this line. */
bool tgi_profile_is_head(const line *l);
/* The current profile's name, or "". */
void tgi_profile_find_current(const buffer *text, char name[TEXT_BYTES_MAX + 1]);
/* The profile's part of the text, from its head to its last pair. False: there is none. */
bool tgi_profile_find(const buffer *text, const char *name, size_t *begin, size_t *end);
/* What a name consists of that needs no quotes. */
bool tgi_profile_is_bare(char c);

#endif
