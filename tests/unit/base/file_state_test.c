#include "base/file_state.h"
#include "suite.h"

#include <stdio.h>
#include <unistd.h>

static void write_file(const char *path, const char *text)
{
	FILE *file = fopen(path, "we");
	ck_assert_ptr_nonnull(file);
	ck_assert_int_ge(fputs(text, file), 0);
	ck_assert_int_eq(fclose(file), 0);
}

START_TEST(every_change_is_noted_once)
{
	char directory[] = "/tmp/tidegate-file-state-XXXXXX";
	ck_assert_ptr_nonnull(mkdtemp(directory));
	ck_assert_int_eq(chdir(directory), 0);
	file_state state = {.bytes = 0};

	ck_assert(file_state_note(&state, "file")); /* there is none */
	ck_assert(!file_state_note(&state, "file"));
	write_file("file", "one");
	ck_assert(file_state_note(&state, "file"));
	ck_assert(!file_state_note(&state, "file"));
	write_file("file", "longer");
	ck_assert(file_state_note(&state, "file"));

	/* Another file under the same name, through a link as certificate tools make them. */
	write_file("other", "longer");
	ck_assert_int_eq(symlink("other", "link"), 0);
	ck_assert_int_eq(rename("link", "file"), 0);
	ck_assert(file_state_note(&state, "file"));
	ck_assert(!file_state_note(&state, "file"));

	ck_assert_int_eq(unlink("file"), 0);
	ck_assert(file_state_note(&state, "file"));
	ck_assert_int_eq(unlink("other"), 0);
	ck_assert_int_eq(rmdir(directory), 0);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {every_change_is_noted_once};
	return SUITE_RUN("base/file_state", tests);
}
