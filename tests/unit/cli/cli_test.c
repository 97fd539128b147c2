/* The program as a user calls it: what goes to stdout, to stderr, and the exit status. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

static char output[65536];

/* Runs `tidegate ARGUMENTS` (a shell text) and keeps what it wrote. Returns its exit status. */
static int tidegate(const char *arguments)
{
	char command[1024];
	snprintf(command, sizeof command, "'%s' %s", TIDEGATE, arguments);
	FILE *pipe = popen(command, "r");
	ck_assert_ptr_nonnull(pipe);
	size_t len = fread(output, 1, sizeof output - 1, pipe);
	output[len] = '\0';
	int status = pclose(pipe);
	ck_assert(WIFEXITED(status));
	return WEXITSTATUS(status);
}

START_TEST(without_a_command_the_usage_goes_to_stderr)
{
	ck_assert_int_eq(tidegate("2>/dev/null"), 2);
	ck_assert_str_eq(output, "");
	ck_assert_int_eq(tidegate("2>&1"), 2);
	ck_assert_ptr_nonnull(strstr(output, "Usage: tidegate COMMAND"));
}
END_TEST

START_TEST(help_lists_every_command)
{
	static const char *const calls[] = {"help", "--help", "-h", "help help"};
	for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++) {
		ck_assert_int_eq(tidegate(calls[i]), 0);
		ck_assert_ptr_nonnull(strstr(output, "\n  config "));
		ck_assert_ptr_nonnull(strstr(output, "\n  version "));
	}
}
END_TEST

START_TEST(every_command_has_help_in_three_ways)
{
	static const char *const calls[] = {"version --help", "help version", "version -h", "version --nonsense --help"};
	for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++) {
		ck_assert_int_eq(tidegate(calls[i]), 0);
		ck_assert_ptr_nonnull(strstr(output, "Usage: tidegate version"));
	}
}
END_TEST

START_TEST(version_is_printed)
{
	ck_assert_int_eq(tidegate("version"), 0);
	ck_assert_str_eq(output, "tidegate " TIDEGATE_VERSION "\n");
	ck_assert_int_eq(tidegate("--version"), 0);
	ck_assert_str_eq(output, "tidegate " TIDEGATE_VERSION "\n");
}
END_TEST

static const struct {
	const char *arguments;
	const char *message;
} MISTAKES[] = {
	{"cofnig", "tidegate: there is no command `cofnig`; did you mean `config`?\n"},
	{"vesion --help", "tidegate: there is no command `vesion`; did you mean `version`?\n"},
	{"help vers1on", "tidegate: there is no command `vers1on`; did you mean `version`?\n"},
	{"elephant", "tidegate: there is no command `elephant`; `tidegate help` lists them all\n"},
	{"''", "tidegate: there is no command ``; `tidegate help` lists them all\n"},
	{"a-name-that-is-longer-than-any-command-could-be",
	 "tidegate: there is no command `a-name-that-is-longer-than-any-command-could-be`; `tidegate help` lists them "
	 "all\n"},
	{"version now", "tidegate version: unexpected argument `now`\n`tidegate version --help` shows how it is used\n"},
	{"config --lanes=99", "tidegate config: lanes must be a whole number from 1 to 64, not \"99\"\n"
						  "`tidegate config --help` shows how it is used\n"},
	{"config everything", "tidegate config: the argument is `show`, `sample` or nothing\n"
						  "`tidegate config --help` shows how it is used\n"},
};

START_TEST(a_mistake_is_explained_on_stderr_with_status_2)
{
	char arguments[512];
	snprintf(arguments, sizeof arguments, "%s 2>&1 >/dev/null", MISTAKES[_i].arguments);
	ck_assert_int_eq(tidegate(arguments), 2);
	ck_assert_str_eq(output, MISTAKES[_i].message);
}
END_TEST

START_TEST(a_full_disk_is_a_failure)
{
	ck_assert_int_eq(tidegate("version 2>&1 >/dev/full"), 1);
	ck_assert_str_eq(output, "tidegate version: cannot write to standard output: No space left on device\n");
	ck_assert_int_eq(tidegate("help 2>&1 >/dev/full"), 1);
}
END_TEST

START_TEST(config_shows_settings_in_force_with_passwords_masked)
{
	setenv("TIDEGATE_DATABASE_URL", "postgresql://ada:swordfish@db/tide", 1);
	ck_assert_int_eq(tidegate("config --lanes 4"), 0);
	ck_assert_ptr_nonnull(strstr(output, "database_url = postgresql://ada:***@db/tide  # from the environment\n"));
	ck_assert_ptr_nonnull(strstr(output, "\nlanes = 4  # from the command line\n"));
	ck_assert_ptr_null(strstr(output, "swordfish"));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("cli");
	TCase *tests = tcase_create("cli");
	tcase_set_timeout(tests, 60);
	tcase_add_test(tests, without_a_command_the_usage_goes_to_stderr);
	tcase_add_test(tests, help_lists_every_command);
	tcase_add_test(tests, every_command_has_help_in_three_ways);
	tcase_add_test(tests, version_is_printed);
	tcase_add_loop_test(tests, a_mistake_is_explained_on_stderr_with_status_2, 0, sizeof MISTAKES / sizeof MISTAKES[0]);
	tcase_add_test(tests, a_full_disk_is_a_failure);
	tcase_add_test(tests, config_shows_settings_in_force_with_passwords_masked);
	suite_add_tcase(suite, tests);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
