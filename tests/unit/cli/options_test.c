#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"

enum { ARGUMENTS_MAX = 16 };

static const cli_command COMMAND = {.name = "try"};

/* A call with writable copies of the words of `line`, which are separated by one blank. */
static cli_call make_call(const char *line, char *const *environment)
{
	static char text[512];
	static char *argv[ARGUMENTS_MAX];
	int argc = 0;

	snprintf(text, sizeof text, "try %s", line);
	for (char *at = text; at != NULL && *at != '\0'; argc++) {
		ck_assert_int_lt(argc, ARGUMENTS_MAX);
		argv[argc] = at;
		at = strchr(at, ' ');
		if (at != NULL) {
			*at++ = '\0';
		}
	}
	return (cli_call){.command = &COMMAND, .argc = argc, .argv = argv, .environment = environment};
}

START_TEST(own_options_settings_and_the_rest_come_in_any_order)
{
	const char *data = NULL;
	bool is_quiet = false;
	const cli_option options[] = {{.name = "data", .value = &data}, {.name = "quiet", .flag = &is_quiet}};
	config *settings = NULL;
	int count = -1;
	err e = {0};
	cli_call call = make_call("first --data /x --lanes 4 second --quiet --readers=9 - -- --third", NULL);

	ck_assert_msg(cli_parse(&call, options, 2, &settings, &count, &e), "%s", e.message);
	ck_assert_str_eq(data, "/x");
	ck_assert(is_quiet);
	ck_assert_int_eq(settings->lanes, 4);
	ck_assert_int_eq(settings->readers, 9);
	ck_assert_int_eq(count, 4);
	ck_assert_str_eq(call.argv[1], "first");
	ck_assert_str_eq(call.argv[2], "second");
	ck_assert_str_eq(call.argv[3], "-");
	ck_assert_str_eq(call.argv[4], "--third");
	config_free(settings);
}
END_TEST

START_TEST(switches_need_no_value_and_have_a_negative)
{
	config *settings = NULL;
	err e = {0};
	cli_call call = make_call("--auto-create-topics --no-janitor --migrate-on-start=false", NULL);

	ck_assert_msg(cli_parse(&call, NULL, 0, &settings, NULL, &e), "%s", e.message);
	ck_assert(settings->auto_create_topics);
	ck_assert(!settings->janitor);
	ck_assert(!settings->migrate_on_start);
	config_free(settings);
}
END_TEST

START_TEST(the_file_may_be_named_last_and_loses_to_options)
{
	char path[] = "/tmp/tidegate-options-XXXXXX";
	char line[128];
	config *settings = NULL;
	err e = {0};
	int fd = mkstemp(path);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, "lanes = 7\nreaders = 7\n", 22), 22);
	close(fd);

	snprintf(line, sizeof line, "--lanes 5 --config %s", path);
	cli_call call = make_call(line, NULL);
	ck_assert_msg(cli_parse(&call, NULL, 0, &settings, NULL, &e), "%s", e.message);
	ck_assert_int_eq(settings->lanes, 5);
	ck_assert_int_eq(settings->readers, 7);
	config_free(settings);
	settings = NULL;

	char variable[64];
	snprintf(variable, sizeof variable, "TIDEGATE_CONFIG=%s", path);
	char *environment[] = {variable, NULL};
	call = make_call("", environment);
	ck_assert_msg(cli_parse(&call, NULL, 0, &settings, NULL, &e), "%s", e.message);
	ck_assert_int_eq(settings->lanes, 7);
	config_free(settings);
	unlink(path);
}
END_TEST

START_TEST(an_option_of_the_command_hides_a_setting_of_the_same_name)
{
	const char *listen = NULL;
	const cli_option options[] = {{.name = "listen", .value = &listen}};
	config *settings = NULL;
	err e = {0};
	cli_call call = make_call("--listen :80", NULL);

	ck_assert(cli_parse(&call, options, 1, &settings, NULL, &e));
	ck_assert_str_eq(listen, ":80");
	ck_assert(str_equal(settings->listen, STR("127.0.0.1:5470")));
	config_free(settings);
}
END_TEST

START_TEST(letters_stand_for_names)
{
	const char *file = NULL;
	bool is_quiet = false;
	bool is_verbose = false;
	cli_list partitions = {0};
	const cli_option options[] = {{.name = "file", .letter = 'f', .value = &file},
								  {.name = "quiet", .letter = 'q', .flag = &is_quiet},
								  {.name = "verbose", .letter = 'v', .flag = &is_verbose},
								  {.name = "partition", .letter = 'p', .list = &partitions}};
	int count = 0;
	err e = {0};
	cli_call call = make_call("-p 3 first -qvf x -p0 --partition=7", NULL);

	ck_assert_msg(cli_parse(&call, options, 4, NULL, &count, &e), "%s", e.message);
	ck_assert(is_quiet && is_verbose);
	ck_assert_str_eq(file, "x");
	ck_assert_uint_eq(partitions.count, 3);
	ck_assert_str_eq(partitions.values[0], "3");
	ck_assert_str_eq(partitions.values[1], "0");
	ck_assert_str_eq(partitions.values[2], "7");
	ck_assert_int_eq(count, 1);
	call = make_call("-qf", NULL);
	ck_assert(!cli_parse(&call, options, 4, NULL, &count, &e));
	ck_assert_str_eq(e.message, "option --file needs a value");
}
END_TEST

static const struct {
	const char *line;
	bool has_settings;
	const char *message;
} MISTAKES[] = {
	{"--lanes", true, "option --lanes needs a value"},
	{"--data", true, "option --data needs a value"},
	{"--config", true, "option --config needs a value"},
	{"--quiet=yes", true, "option --quiet takes no value"},
	{"--colour red", true, "option --colour is not known"},
	{"--no-lanes", true, "option --no-lanes is not known"},
	{"--no-janitor=true", true, "option --no-janitor is not known"},
	{"--lanes 4", false, "option --lanes is not known"},
	{"--config x", false, "option --config is not known"},
	{"-q", true, "option -q is not known"},
	{"--janitor=perhaps", true, "janitor must be true or false, not \"perhaps\""},
	{"surplus", true, "unexpected argument `surplus`"},
	{"-- --surplus", false, "unexpected argument `--surplus`"},
};

START_TEST(a_mistake_is_refused_with_a_message)
{
	const char *data = NULL;
	bool is_quiet = false;
	const cli_option options[] = {{.name = "data", .value = &data}, {.name = "quiet", .flag = &is_quiet}};
	config *settings = NULL;
	err e = {0};
	cli_call call = make_call(MISTAKES[_i].line, NULL);

	ck_assert(!cli_parse(&call, options, 2, MISTAKES[_i].has_settings ? &settings : NULL, NULL, &e));
	ck_assert_int_eq(e.code, ERR_INVALID_REQUEST);
	ck_assert_str_eq(e.message, MISTAKES[_i].message);
	ck_assert_ptr_null(settings);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("options");
	TCase *tests = tcase_create("options");
	tcase_add_test(tests, own_options_settings_and_the_rest_come_in_any_order);
	tcase_add_test(tests, switches_need_no_value_and_have_a_negative);
	tcase_add_test(tests, the_file_may_be_named_last_and_loses_to_options);
	tcase_add_test(tests, an_option_of_the_command_hides_a_setting_of_the_same_name);
	tcase_add_test(tests, letters_stand_for_names);
	tcase_add_loop_test(tests, a_mistake_is_refused_with_a_message, 0, sizeof MISTAKES / sizeof MISTAKES[0]);
	suite_add_tcase(suite, tests);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
