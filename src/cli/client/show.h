/*
 * cli/client/show: records as text, in the forms of `tidegate consume`.
 *
 * Owns     the columns that a table has come to, until show_dispose(); not the texts of its options.
 * Threads  one at a time.
 * Limits   SHOW_PARTS_MAX of a format.
 */
#ifndef TIDEGATE_CLI_CLIENT_SHOW_H
#define TIDEGATE_CLI_CLIENT_SHOW_H

#include <jansson.h>
#include <tidegate.h>

#include "base/buf.h"
#include "base/err.h"

enum { SHOW_PARTS_MAX = 64, SHOW_COLUMNS_MAX = 64 };

typedef enum show_form {
	SHOW_DYNAMIC,   /* text; a hex dump of what is none */
	SHOW_TEXT,      /* text; "binary: (n bytes)" of what is none */
	SHOW_BINARY,    /* a hex dump */
	SHOW_JSON,      /* indented; "not JSON: (n bytes)" */
	SHOW_RAW,       /* the bytes */
	SHOW_TABLE,     /* a row for each JSON object, with the members of the first as columns */
	SHOW_FULL_TABLE /* with partition, offset, time and key before them */
} show_form;

/* What a format puts in a place; the names in the braces, in this order. */
typedef enum show_field { SHOW_LITERAL, SHOW_KEY, SHOW_VALUE, SHOW_OFFSET, SHOW_PARTITION, SHOW_TIME } show_field;

typedef struct show_part {
	show_field field;
	str literal;
} show_part;

typedef struct show {
	show_form form;
	bool has_keys;        /* "[key] " before each record */
	bool skips_unknown;   /* nothing, in the place of "binary: …" and "not JSON: …" */
	unsigned cut_columns; /* of a line; 0 = whole */
	size_t part_count;    /* of a format, which goes before the form; 0 = none */
	show_part parts[SHOW_PARTS_MAX];

	bool has_titles; /* were shown */
	json_t *columns; /* names, of the first object; NULL = none came yet */
	size_t widths[SHOW_COLUMNS_MAX];
} show;

bool show_parse_form(const char *text, show_form *out, err *e) MUST_CHECK; /* NULL: dynamic */
/* "{{offset}}: {{value}}". ERR_INVALID_REQUEST. text stays the caller's and has to last. */
bool show_parse_format(show *s, const char *text, err *e) MUST_CHECK;
void show_dispose(show *s);

/* The record with its line end; perhaps nothing. */
void show_record(show *s, buf *out, const tg_record *record);

#endif
