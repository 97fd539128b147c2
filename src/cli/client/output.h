/*
 * cli/client/output: what a command found, as a table for people or as JSON, YAML or TOML for programs.
 *
 * A list is a JSON array of objects. The table shows the members that its columns name; the other forms show all members
 * as they are, times as ms since 1970.
 *
 * Threads  any. Limits: OUTPUT_BYTES_MAX of text. Errors: as of buf.
 */
#ifndef TIDEGATE_CLI_CLIENT_OUTPUT_H
#define TIDEGATE_CLI_CLIENT_OUTPUT_H

#include <jansson.h>

#include "cli/cli.h"

enum { OUTPUT_BYTES_MAX = 64 << 20 };

typedef enum output_form { OUTPUT_TABLE, OUTPUT_JSON, OUTPUT_YAML, OUTPUT_TOML } output_form;

/* How people are shown a number. Of a time, a duration and a limit, 0 is "-": none. */
typedef enum output_kind { OUTPUT_PLAIN, OUTPUT_TIME, OUTPUT_BYTES, OUTPUT_LIMIT, OUTPUT_DURATION } output_kind;

typedef struct output_column {
	const char *title;
	const char *member; /* "config.ttl_ms": of an object within */
	output_kind kind;
} output_column;

/* NULL: a table. ERR_INVALID_REQUEST. */
bool output_parse(const char *text, output_form *out, err *e) MUST_CHECK;

/* noun: "topics"; the table of an empty list is "No topics found", and TOML's arrays are called by it.
 * columns: up to one without a title. */
void output_list(buf *out, output_form form, const char *noun, const output_column columns[], json_t *list);
/* The same on stdout. Returns the exit status. */
int output_print_list(const cli_call *call, output_form form, const char *noun, const output_column columns[],
					  json_t *list);
/* One object: as a table, a line for each column. */
void output_object(buf *out, output_form form, const output_column columns[], json_t *object);

#endif
