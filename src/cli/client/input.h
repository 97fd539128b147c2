/*
 * cli/client/input: lines, or all, of a file or of standard input.
 *
 * Owns     its descriptor, unless that is standard input, and the bytes read; a line is valid until the next call.
 * Threads  one at a time. Reading blocks.
 * Limits   INPUT_BYTES_MAX of a line, or of all.
 */
#ifndef TIDEGATE_CLI_CLIENT_INPUT_H
#define TIDEGATE_CLI_CLIENT_INPUT_H

#include "base/buf.h"
#include "base/err.h"

enum { INPUT_BYTES_MAX = 64 << 20 };

typedef struct input {
	int fd;
	buf text;
	size_t at;   /* the first byte that was not handed out */
	size_t seen; /* up to here there is no line end */
	bool is_over;
} input;

typedef enum input_result { INPUT_LINE, INPUT_END, INPUT_FAILED } input_result;

bool input_open(input *in, const char *path, err *e) MUST_CHECK; /* path NULL: standard input. ERR_INVALID_REQUEST */
void input_close(input *in);
/* Without its line end, LF or CR LF; the last line may lack one. ERR_INVALID_REQUEST: also too long a line. */
input_result input_line(input *in, str *line, err *e) MUST_CHECK;
/* Everything up to the end. */
bool input_all(input *in, str *all, err *e) MUST_CHECK;

#endif
