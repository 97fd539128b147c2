#include "cli/client/input.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "suite.h"

static char path[] = "/tmp/tidegate-input-XXXXXX";

/* The file holds these bytes, and is open. */
static input open_file(const char *bytes, size_t len)
{
	input in;
	err e;
	int fd;
	snprintf(path + sizeof path - 7, 7, "XXXXXX");
	fd = mkstemp(path);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, bytes, len), (ssize_t)len);
	close(fd);
	ck_assert(input_open(&in, path, &e));
	unlink(path);
	return in;
}

START_TEST(lines_end_with_lf_or_cr_lf_or_the_file)
{
	static const char text[] = "one\r\n\ntw\ro\n\r\nthree\r";
	static const char *const wanted[] = {"one", "", "tw\ro", "", "three\r"};
	input in = open_file(text, sizeof text - 1);
	str line;
	err e;
	for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++) {
		ck_assert_int_eq(input_line(&in, &line, &e), INPUT_LINE);
		ck_assert_view_eq(line, str_from_c(wanted[i]));
	}
	ck_assert_int_eq(input_line(&in, &line, &e), INPUT_END);
	ck_assert_int_eq(input_line(&in, &line, &e), INPUT_END);
	input_close(&in);
}
END_TEST

START_TEST(lines_cross_the_reads)
{
	enum { LINES = 3000, LINE_BYTES = 100 };
	char *text = malloc((size_t)LINES * LINE_BYTES);
	str line;
	err e;
	for (size_t i = 0; i < LINES; i++) {
		memset(text + i * LINE_BYTES, 'a' + (int)(i % 26), LINE_BYTES - 1);
		text[(i + 1) * LINE_BYTES - 1] = '\n';
	}
	input in = open_file(text, (size_t)LINES * LINE_BYTES);
	for (size_t i = 0; i < LINES; i++) {
		ck_assert_int_eq(input_line(&in, &line, &e), INPUT_LINE);
		ck_assert_uint_eq(line.len, LINE_BYTES - 1);
		ck_assert_int_eq(line.ptr[0], 'a' + (int)(i % 26));
		ck_assert_int_eq(line.ptr[LINE_BYTES - 2], 'a' + (int)(i % 26));
	}
	ck_assert_int_eq(input_line(&in, &line, &e), INPUT_END);
	input_close(&in);
	in = open_file(text, (size_t)LINES * LINE_BYTES);
	ck_assert(input_all(&in, &line, &e));
	ck_assert(line.len == (size_t)LINES * LINE_BYTES && memcmp(line.ptr, text, line.len) == 0);
	input_close(&in);
	free(text);
}
END_TEST

START_TEST(a_line_has_a_limit)
{
	size_t len = (size_t)INPUT_BYTES_MAX + 1;
	char *text = malloc(len);
	str line;
	err e;
	memset(text, 'x', len);
	input in = open_file(text, len);
	ck_assert_int_eq(input_line(&in, &line, &e), INPUT_FAILED);
	ck_assert_str_eq(e.message, "a record of more than 64 MiB cannot be sent");
	input_close(&in);
	free(text);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		lines_end_with_lf_or_cr_lf_or_the_file,
		lines_cross_the_reads,
		a_line_has_a_limit,
	};
	return SUITE_RUN("cli/client/input", tests);
}
