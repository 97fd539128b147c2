#include "config/config.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char file_path[] = "/tmp/tidegate-config-XXXXXX";

static void write_file(const char *text)
{
	snprintf(file_path, sizeof file_path, "/tmp/tidegate-config-XXXXXX");
	int fd = mkstemp(file_path);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, text, strlen(text)), (int)strlen(text));
	close(fd);
}

/* Loads `text` as the file, or no file for NULL. */
static config *load(const char *text, char *const *environment)
{
	config *c = NULL;
	err e = {0};
	if (text != NULL) {
		write_file(text);
	}
	bool ok = config_load(text != NULL ? file_path : NULL, environment, &c, &e);
	if (text != NULL) {
		unlink(file_path);
	}
	ck_assert_msg(ok, "%s", e.message);
	return c;
}

/* The message that a file is refused with, without the path. */
static void assert_refused(const char *text, char *const *environment, const char *expected)
{
	config *c = NULL;
	err e = {0};
	write_file(text);
	bool ok = config_load(file_path, environment, &c, &e);
	unlink(file_path);
	ck_assert_msg(!ok, "accepted: %s", text);
	ck_assert_ptr_null(c);
	ck_assert_int_eq(e.code, ERR_INVALID_REQUEST);
	const char *message = e.message;
	if (strncmp(message, file_path, strlen(file_path)) == 0) {
		message += strlen(file_path) + 1;
	}
	ck_assert_str_eq(message, expected);
}

#define assert_str(actual, expected) ck_assert_msg(str_equal((actual), STR(expected)), "\"%.*s\"", STR_ARG(actual))

START_TEST(without_a_file_every_key_has_its_default)
{
	config *c = load(NULL, NULL);
	assert_str(c->listen, "127.0.0.1:5470");
	assert_str(c->database_url, "");
	assert_str(c->auth, "auto");
	ck_assert(c->migrate_on_start);
	ck_assert(!c->auto_create_topics);
	ck_assert_int_eq(c->lane_queue_bytes, 134217728);
	config_free(c);
}
END_TEST

START_TEST(a_file_sets_texts_choices_numbers_and_switches)
{
	config *c = load("# heading\n"
					 "\n"
					 "listen=0.0.0.0:80,[::]:80\r\n"
					 "\t auth = required   # everybody shows a key\n"
					 "lanes = 8\n"
					 "janitor = false\n"
					 "cors_origin =\n"
					 "database_url = postgres://h/db?application_name=a#b",
					 NULL);
	assert_str(c->listen, "0.0.0.0:80,[::]:80");
	assert_str(c->auth, "required");
	ck_assert_int_eq(c->lanes, 8);
	ck_assert(!c->janitor);
	assert_str(c->cors_origin, "");
	assert_str(c->database_url, "postgres://h/db?application_name=a#b");
	config_free(c);
}
END_TEST

START_TEST(the_environment_wins_over_the_file_and_the_command_line_over_both)
{
	char lanes[] = "TIDEGATE_LANES=3";
	char readers[] = "TIDEGATE_READERS=5";
	char other[] = "TIDEGATE_BINARY=/bin/true";
	char lower[] = "TIDEGATE_lanes=9";
	char broken[] = "NO_EQUALS_SIGN";
	char *environment[] = {other, broken, lanes, readers, lower, NULL};
	config *c = load("lanes = 2\nreaders = 2\nhttp_threads = 7\n", environment);
	err e = {0};

	ck_assert(config_set(c, STR("readers"), STR("6"), &e));
	ck_assert_int_eq(c->http_threads, 7);
	ck_assert_int_eq(c->lanes, 3);
	ck_assert_int_eq(c->readers, 6);
	config_free(c);
}
END_TEST

START_TEST(another_servers_variables_stand_for_settings_whose_own_win)
{
	char topics[] = "TOPICS_MAX_TOPICS=7";
	char own[] = "TIDEGATE_MAX_ROUTERS=3";
	char routers[] = "TOPICS_MAX_ROUTERS=4";
	char insecure[] = "TOPICS_ALLOW_INSECURE_NO_AUTH=1";
	char unknown[] = "TOPICS_COLOUR=blue";
	char *environment[] = {own, topics, routers, insecure, unknown, NULL};
	config *c = load("max_topics = 5\nmax_routers = 5\n", environment);
	ck_assert_int_eq(c->max_topics, 7);
	ck_assert_int_eq(c->max_routers, 3);
	ck_assert(c->allow_public_without_auth);
	ck_assert(config_is_default(c, STR("listen")));
	config_free(c);

	char many[] = "TOPICS_MAX_TOPICS=many";
	char *wrong[] = {many, NULL};
	assert_refused(
		"", wrong,
		"environment variable TOPICS_MAX_TOPICS: max_topics must be a whole number from 0 to 10000000, not \"many\"");
}
END_TEST

START_TEST(another_servers_host_and_port_are_one_address)
{
	static const struct {
		const char *host;
		const char *port;
		const char *listen;
	} cases[] = {
		{"", "4100", "127.0.0.1:4100"},     {"0.0.0.0", "", "0.0.0.0:4000"}, {"0.0.0.0:81", "", "0.0.0.0:81"},
		{"0.0.0.0:81", "82", "0.0.0.0:82"}, {"::1", "", "[::1]:4000"},       {"[::1]", "0", "[::1]:0"},
		{"[::1]:81", "", "[::1]:81"},       {"[::1]:81", "82", "[::1]:82"},  {"", "", "127.0.0.1:5470"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		char host[64];
		char port[64];
		char *environment[] = {host, port, NULL};
		snprintf(host, sizeof host, "TOPICS_HOST=%s", cases[i].host);
		snprintf(port, sizeof port, "TOPICS_PORT=%s", cases[i].port);
		config *c = load(NULL, environment);
		ck_assert_msg(str_equal(c->listen, str_from_c(cases[i].listen)), "%s", cases[i].listen);
		config_free(c);
	}
}
END_TEST

START_TEST(keys_are_not_printed)
{
	char keys[] = "TIDEGATE_API_KEYS=hush:read";
	char *environment[] = {keys, NULL};
	config *c = load(NULL, environment);
	buf out;
	buf_init(&out, 1 << 16);
	config_write_effective(c, &out);
	buf_append_byte(&out, '\0');
	ck_assert_ptr_nonnull(strstr(out.ptr, "\napi_keys = ***  # from the environment\n"));
	ck_assert_ptr_null(strstr(out.ptr, "hush"));
	buf_dispose(&out);
	config_free(c);
}
END_TEST

START_TEST(a_mistake_in_the_file_is_named_with_its_line)
{
	assert_refused("\nlisten\n", NULL, "line 2: expected `key = value`, or a comment that begins with '#'");
	assert_refused("listne = :80\n", NULL,
				   "line 1: there is no setting \"listne\"; `tidegate config sample` lists them all");
	assert_refused("lanes = 2\n\nlanes = 3\n", NULL, "line 3: lanes was already set on line 1; keep one of the two");
	assert_refused("lanes = 65\n", NULL, "line 1: lanes must be a whole number from 1 to 64, not \"65\"");
	assert_refused("lanes = 0\n", NULL, "line 1: lanes must be a whole number from 1 to 64, not \"0\"");
	assert_refused("lanes = two\n", NULL, "line 1: lanes must be a whole number from 1 to 64, not \"two\"");
	assert_refused("lanes =\n", NULL, "line 1: lanes must be a whole number from 1 to 64, not \"\"");
	assert_refused("janitor = yes\n", NULL, "line 1: janitor must be true or false, not \"yes\"");
	assert_refused("auth = maybe\n", NULL, "line 1: auth must be one of auto|required|off, not \"maybe\"");
	assert_refused("auth = auto|required\n", NULL,
				   "line 1: auth must be one of auto|required|off, not \"auto|required\"");
}
END_TEST

START_TEST(a_mistake_in_the_environment_is_named_with_its_variable)
{
	char lanes[] = "TIDEGATE_LANES=many";
	char *environment[] = {lanes, NULL};
	assert_refused("", environment,
				   "environment variable TIDEGATE_LANES: lanes must be a whole number from 1 to 64, not \"many\"");
}
END_TEST

START_TEST(a_control_character_is_refused_without_quoting_the_value)
{
	assert_refused("database_url = password=sec\x01ret\n", NULL,
				   "line 1: database_url holds a control character; remove it");
}
END_TEST

START_TEST(a_missing_file_is_named)
{
	config *c = NULL;
	err e = {0};
	ck_assert(!config_load("/nonexistent/tidegate.conf", NULL, &c, &e));
	ck_assert_int_eq(e.code, ERR_INVALID_REQUEST);
	ck_assert_str_eq(e.message,
					 "cannot open the configuration file /nonexistent/tidegate.conf: No such file or directory");
}
END_TEST

START_TEST(an_unknown_key_on_the_command_line_is_refused_and_changes_nothing)
{
	config *c = load(NULL, NULL);
	err e = {0};
	ck_assert(!config_set(c, STR("colour"), STR("blue"), &e));
	ck_assert_str_eq(e.message, "there is no setting \"colour\"; `tidegate config sample` lists them all");
	ck_assert(!config_set(c, STR("lanes"), STR("-1"), &e));
	ck_assert_str_eq(e.message, "lanes must be a whole number from 1 to 64, not \"-1\"");
	ck_assert_int_eq(c->lanes, 2);
	config_free(c);
}
END_TEST

static void read_sample(buf *out)
{
	char chunk[4096];
	size_t count;
	FILE *file = fopen(TIDEGATE_SAMPLE, "r");
	ck_assert_ptr_nonnull(file);
	while ((count = fread(chunk, 1, sizeof chunk, file)) > 0) {
		buf_append(out, chunk, count);
	}
	fclose(file);
}

START_TEST(the_committed_sample_is_what_the_program_prints)
{
	buf printed;
	buf committed;
	buf_init(&printed, 1 << 20);
	buf_init(&committed, 1 << 20);
	config_write_sample(&printed);
	read_sample(&committed);
	ck_assert(!printed.failed);
	ck_assert_msg(str_equal(buf_str(&printed), buf_str(&committed)),
				  "config/tidegate.conf is out of date: tidegate config sample > config/tidegate.conf");
	buf_dispose(&printed);
	buf_dispose(&committed);
}
END_TEST

/* Takes the '#' away from "#key = value" lines, so that every default is read back. */
START_TEST(the_sample_with_its_settings_switched_on_gives_the_defaults)
{
	buf sample;
	buf effective;
	buf defaults;
	buf_init(&sample, 1 << 20);
	buf_init(&effective, 1 << 20);
	buf_init(&defaults, 1 << 20);
	config_write_sample(&sample);
	for (size_t i = 0; i + 1 < sample.len; i++) {
		if (sample.ptr[i] == '#' && sample.ptr[i + 1] >= 'a' && sample.ptr[i + 1] <= 'z' && sample.ptr[i - 1] == '\n') {
			sample.ptr[i] = ' ';
		}
	}
	buf_append_byte(&sample, '\0');
	config *read_back = load(sample.ptr, NULL);
	config *untouched = load(NULL, NULL);
	config_write_effective(read_back, &effective);
	config_write_effective(untouched, &defaults);

	/* The same but for the notes. */
	str rest = buf_str(&effective);
	str expected = buf_str(&defaults);
	unsigned lines = 0;
	while (expected.len > 0) {
		str line;
		str wanted;
		str_split(rest, '\n', &line, &rest);
		str_split(expected, '\n', &wanted, &expected);
		ck_assert_msg(str_starts_with(line, wanted), "%.*s", STR_ARG(line));
		ck_assert_msg(str_equal(str_skip(line, wanted.len), STR("  # from the file")), "%.*s", STR_ARG(line));
		lines++;
	}
	ck_assert_uint_gt(lines, 30);
	config_free(read_back);
	config_free(untouched);
	buf_dispose(&sample);
	buf_dispose(&effective);
	buf_dispose(&defaults);
}
END_TEST

START_TEST(the_settings_in_force_name_their_source)
{
	char lanes[] = "TIDEGATE_LANES=3";
	char *environment[] = {lanes, NULL};
	config *c = load("readers = 9\n", environment);
	err e = {0};
	buf out;
	buf_init(&out, 1 << 16);
	ck_assert(config_set(c, STR("auth"), STR("off"), &e));
	config_write_effective(c, &out);
	buf_append_byte(&out, '\0');
	ck_assert_ptr_nonnull(strstr(out.ptr, "\nlanes = 3  # from the environment\n"));
	ck_assert_ptr_nonnull(strstr(out.ptr, "\nreaders = 9  # from the file\n"));
	ck_assert_ptr_nonnull(strstr(out.ptr, "\nauth = off  # from the command line\n"));
	ck_assert_ptr_nonnull(strstr(out.ptr, "\njanitor = true\n"));
	buf_dispose(&out);
	config_free(c);
}
END_TEST

static const struct {
	const char *url;
	const char *masked;
} PASSWORDS[] = {
	{"", ""},
	{"host=a,b port=5432 target_session_attrs=read-write", "host=a,b port=5432 target_session_attrs=read-write"},
	{"postgresql://h1:5432,h2:5433/db", "postgresql://h1:5432,h2:5433/db"},
	{"postgresql://user@h/db", "postgresql://user@h/db"},
	{"postgresql://user:secret@h:5432/db?a=b@c", "postgresql://user:***@h:5432/db?a=b@c"},
	{"postgres://user:sec@ret@h", "postgres://user:***@h"},
	{"postgres://user:sec/ret@h", "postgres://user:***@h"},
	{"postgresql:///db?user=u&password=secret&host=h", "postgresql:///db?user=u&password=***&host=h"},
	{"host=h password=secret dbname=d", "host=h password=*** dbname=d"},
	{"password = secret", "password = ***"},
	{"password='se cr\\'et' host=h", "password=*** host=h"},
	{"password=se\\ cret host=h", "password=*** host=h"},
	{"sslpassword=one password=two", "sslpassword=*** password=***"},
	{"password='never closed", "password=***"},
	{"password=ends-in\\", "password=***"},
};

START_TEST(passwords_are_masked_wherever_they_stand)
{
	config *c = load(NULL, NULL);
	err e = {0};
	buf out;
	char expected[160];
	buf_init(&out, 1 << 16);
	ck_assert(config_set(c, STR("database_url"), str_from_c(PASSWORDS[_i].url), &e));
	config_write_effective(c, &out);
	snprintf(expected, sizeof expected, "database_url = %s  # from the command line\n", PASSWORDS[_i].masked);
	str line = str_take(buf_str(&out), strlen(expected));
	ck_assert_msg(str_equal(line, str_from_c(expected)), "%.*s", STR_ARG(line));
	buf_dispose(&out);
	config_free(c);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("config");
	TCase *tests = tcase_create("config");
	tcase_add_test(tests, without_a_file_every_key_has_its_default);
	tcase_add_test(tests, a_file_sets_texts_choices_numbers_and_switches);
	tcase_add_test(tests, the_environment_wins_over_the_file_and_the_command_line_over_both);
	tcase_add_test(tests, another_servers_variables_stand_for_settings_whose_own_win);
	tcase_add_test(tests, another_servers_host_and_port_are_one_address);
	tcase_add_test(tests, keys_are_not_printed);
	tcase_add_test(tests, a_mistake_in_the_file_is_named_with_its_line);
	tcase_add_test(tests, a_mistake_in_the_environment_is_named_with_its_variable);
	tcase_add_test(tests, a_control_character_is_refused_without_quoting_the_value);
	tcase_add_test(tests, a_missing_file_is_named);
	tcase_add_test(tests, an_unknown_key_on_the_command_line_is_refused_and_changes_nothing);
	tcase_add_test(tests, the_committed_sample_is_what_the_program_prints);
	tcase_add_test(tests, the_sample_with_its_settings_switched_on_gives_the_defaults);
	tcase_add_test(tests, the_settings_in_force_name_their_source);
	tcase_add_loop_test(tests, passwords_are_masked_wherever_they_stand, 0, sizeof PASSWORDS / sizeof PASSWORDS[0]);
	suite_add_tcase(suite, tests);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
