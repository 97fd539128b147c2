#include "base/clock.h"
#include "base/jscan.h"
#include "base/slog.h"
#include "base/text.h"
#include "failing_memory.h"
#include "suite.h"

#include <pthread.h>
#include <string.h>
#include <unistd.h>

/* A log whose lines end up in a pipe; take() closes it and gives what was written. */
static int pipe_ends[2];
static char written[1 << 20];

static slog *start(slog_level least, slog_format format)
{
	ck_assert_int_eq(pipe(pipe_ends), 0);
	return slog_new(pipe_ends[1], least, format);
}

static str take(slog *log)
{
	slog_free(log);
	close(pipe_ends[1]);
	size_t len = 0;
	ssize_t got;
	while ((got = read(pipe_ends[0], written + len, sizeof written - len)) > 0) {
		len += (size_t)got;
	}
	close(pipe_ends[0]);
	return (str){written, len};
}

/* A member of a line that must be one valid JSON object; the last of that name. */
static str member(str line, const char *name)
{
	static char room[8192];
	arena *a = arena_new(sizeof room);
	str found = STR_NONE;
	jscan s;
	str key;
	jscan_init(&s, line, 4);
	jscan_begin_object(&s);
	while (jscan_next_member(&s, &key)) {
		bool is_it = str_equal(key, str_from_c(name));
		str value = STR_NONE;
		if (jscan_peek(&s) == JSCAN_STRING) {
			jscan_text(&s, a, &value);
		} else {
			jscan_raw(&s, &value);
		}
		if (is_it) {
			memcpy(room, value.ptr, value.len);
			found = (str){room, value.len};
		}
	}
	ck_assert_msg(jscan_end(&s), "%s at %zu: %.*s", s.problem, s.problem_offset, STR_ARG(line));
	arena_free(a);
	return found;
}

START_TEST(a_json_line_has_every_part)
{
	slog *log = start(SLOG_DEBUG, SLOG_JSON);
	SLOG(log, SLOG_WARN, "db", "connection lost", F_STR("host", STR("pg1")), F_INT("delay_ms", -200),
		 F_C("by", "peer"));
	str line = take(log);
	ck_assert(str_ends_with(line, STR("}\n")));
	ck_assert_view_eq(member(line, "level"), STR("warn"));
	ck_assert_view_eq(member(line, "component"), STR("db"));
	ck_assert_view_eq(member(line, "message"), STR("connection lost"));
	ck_assert_view_eq(member(line, "host"), STR("pg1"));
	ck_assert_view_eq(member(line, "delay_ms"), STR("-200"));
	ck_assert_view_eq(member(line, "by"), STR("peer"));
}
END_TEST

START_TEST(the_time_is_utc_with_milliseconds)
{
	slog *log = start(SLOG_DEBUG, SLOG_JSON);
	int64_t before_ms = clock_wall_ms();
	SLOG(log, SLOG_INFO, "x", "y");
	int64_t after_ms = clock_wall_ms();
	str text = member(take(log), "time");
	ck_assert_uint_eq(text.len, strlen("2026-01-02T03:04:05.678Z"));
	char copy[32] = {0};
	memcpy(copy, text.ptr, text.len);
	struct tm parts = {0};
	const char *rest = strptime(copy, "%Y-%m-%dT%H:%M:%S", &parts);
	ck_assert_ptr_nonnull(rest);
	uint64_t ms;
	ck_assert(rest[0] == '.' && rest[4] == 'Z' && str_parse_u64((str){rest + 1, 3}, 999, &ms));
	int64_t shown_ms = (int64_t)timegm(&parts) * 1000 + (int64_t)ms;
	ck_assert_int_ge(shown_ms, before_ms);
	ck_assert_int_le(shown_ms, after_ms);
}
END_TEST

START_TEST(a_text_line_reads_like_a_sentence)
{
	slog *log = start(SLOG_DEBUG, SLOG_TEXT);
	SLOG(log, SLOG_ERROR, "db", "lost it", F_C("host", "pg1"), F_C("why", "no route"), F_INT("n", 5));
	str line = take(log);
	ck_assert_view_eq(str_skip(line, strlen("2026-01-02T03:04:05.678Z")),
					  STR(" error db: lost it host=pg1 why=\"no route\" n=5\n"));
}
END_TEST

START_TEST(text_values_have_quotes_when_they_need_them)
{
	const struct {
		const char *value;
		const char *shown;
	} cases[] = {{"x", " v=x\n"},           {"", " v=\"\"\n"},           {"a=b", " v=\"a=b\"\n"},
				 {"=", " v=\"=\"\n"},       {"a\"b", " v=\"a\\\"b\"\n"}, {"\"", " v=\"\\\"\"\n"},
				 {"a\\", " v=\"a\\\\\"\n"}, {" a", " v=\" a\"\n"},       {"a\tb", " v=\"a\\u0009b\"\n"}};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		slog *log = start(SLOG_DEBUG, SLOG_TEXT);
		SLOG(log, SLOG_ERROR, "x", "y", F_C("v", cases[i].value));
		str line = take(log);
		ck_assert_view_eq(str_skip(line, strlen("2026-01-02T03:04:05.678Z error x: y")), str_from_c(cases[i].shown));
	}
}
END_TEST

START_TEST(values_cannot_break_out_of_their_line)
{
	const str value = STR("a\"b\\c\nd\x01\x7F e\0f}");
	slog *log = start(SLOG_DEBUG, SLOG_JSON);
	SLOG(log, SLOG_INFO, "x", "new\nline", F_STR("v", value));
	str line = take(log);
	ck_assert_view_eq(member(line, "v"), value);
	ck_assert_view_eq(member(line, "message"), STR("new\nline"));
	ck_assert_ptr_eq(memchr(line.ptr, '\n', line.len), line.ptr + line.len - 1);
	log = start(SLOG_DEBUG, SLOG_TEXT);
	SLOG(log, SLOG_INFO, "x", "new\nline", F_STR("v", value), F_C("w", "a\x1B[31mb"));
	line = take(log);
	ck_assert_ptr_eq(memchr(line.ptr, '\n', line.len), line.ptr + line.len - 1);
	for (size_t i = 0; i + 1 < line.len; i++) {
		ck_assert((unsigned char)line.ptr[i] >= 0x20 && line.ptr[i] != 0x7F);
	}
}
END_TEST

START_TEST(malformed_bytes_are_shown_as_replacement)
{
	slog *log = start(SLOG_DEBUG, SLOG_JSON);
	SLOG(log, SLOG_INFO, "x", "y", F_STR("v", STR("a\xFF\xC3(\xE2\x82")), F_C("ok", "\xC3\xA4\xF0\x9F\x98\x80"));
	str line = take(log);
	ck_assert_view_eq(member(line, "v"), STR("a\xEF\xBF\xBD\xEF\xBF\xBD(\xEF\xBF\xBD\xEF\xBF\xBD"));
	ck_assert_view_eq(member(line, "ok"), STR("\xC3\xA4\xF0\x9F\x98\x80"));
}
END_TEST

START_TEST(a_long_value_is_cut_and_others_stay)
{
	static char text[100000];
	memset(text, 'v', sizeof text);
	slog *log = start(SLOG_DEBUG, SLOG_JSON);
	SLOG(log, SLOG_INFO, "x", "y", F_STR("long", ((str){text, sizeof text})), F_INT("after", 1));
	str line = take(log);
	str value = member(line, "long");
	ck_assert_uint_gt(value.len, SLOG_VALUE_MAX - 10);
	ck_assert_uint_le(value.len, SLOG_VALUE_MAX);
	ck_assert(str_ends_with(value, STR("v\xE2\x80\xA6")));
	ck_assert_view_eq(member(line, "after"), STR("1"));
}
END_TEST

/* Whatever the lengths, a line is whole, valid and within its limit. */
START_TEST(every_length_gives_a_whole_line)
{
	static char text[5000];
	for (size_t i = 0; i < sizeof text; i++) {
		text[i] = "\n\"x\xC3\xA4\x01"[i % 6];
	}
	for (size_t len = 0; len < 700; len++) {
		for (int format = SLOG_TEXT; format <= SLOG_JSON; format++) {
			slog *log = start(SLOG_DEBUG, (slog_format)format);
			str value = {text, len};
			SLOG(log, SLOG_INFO, "component", "message", F_STR("a", value), F_STR("b", value), F_STR("c", value),
				 F_STR("d", value), F_STR("e", value), F_STR("f", value), F_INT("n", INT64_MIN), F_STR("g", value),
				 F_STR("h", value), F_INT("m", INT64_MAX), F_STR("i", value), F_INT("l", 1));
			str line = take(log);
			ck_assert_uint_le(line.len, 4096);
			ck_assert_ptr_eq(memchr(line.ptr, '\n', line.len), line.ptr + line.len - 1);
			ck_assert(text_is_utf8(line));
			if (format == SLOG_JSON) {
				ck_assert_view_eq(member(line, "message"), STR("message"));
			}
		}
	}
}
END_TEST

START_TEST(lines_below_the_least_level_are_not_written)
{
	slog *log = start(SLOG_WARN, SLOG_TEXT);
	int evaluated = 0;
	ck_assert(!slog_enabled(log, SLOG_INFO));
	ck_assert(slog_enabled(log, SLOG_WARN));
	SLOG(log, SLOG_INFO, "x", "not this", F_INT("n", ++evaluated));
	slog_write(log, SLOG_DEBUG, "x", "nor this", NULL, 0);
	SLOG(log, SLOG_ERROR, "x", "but this", F_INT("n", ++evaluated));
	str line = take(log);
	ck_assert(!str_find(line, STR("not this"), &(size_t){0}));
	ck_assert(!str_find(line, STR("nor this"), &(size_t){0}));
	ck_assert(str_find(line, STR("but this n=1"), &(size_t){0}));
	ck_assert_int_eq(evaluated, 1);
}
END_TEST

START_TEST(no_log_is_a_silent_one)
{
	ck_assert(!slog_enabled(NULL, SLOG_ERROR));
	SLOG(NULL, SLOG_ERROR, "x", "y", F_INT("n", 1));
	SLOG(NULL, SLOG_ERROR, "x", "y");
	err e;
	err_set(&e, ERR_TIMEOUT, "x");
	slog_err(NULL, SLOG_ERROR, "x", "y", &e);
	slog_free(NULL);
}
END_TEST

START_TEST(an_error_is_one_line_with_all_it_knows)
{
	err e;
	err_set(&e, ERR_OUTCOME_UNKNOWN, "ask again with the same sequence");
	err_log(&e, "server closed the connection");
	err_frame(&e, "waiting for commit");
	err_frame(&e, "appending to orders");
	memcpy(e.sqlstate, "08006", 6);
	slog *log = start(SLOG_DEBUG, SLOG_JSON);
	slog_err(log, SLOG_ERROR, "log", "append failed", &e);
	str line = take(log);
	ck_assert_view_eq(member(line, "message"), STR("append failed"));
	ck_assert_view_eq(member(line, "code"), STR("outcome_unknown"));
	ck_assert_view_eq(member(line, "error"), STR("ask again with the same sequence"));
	ck_assert_view_eq(member(line, "cause"), STR("server closed the connection"));
	ck_assert_view_eq(member(line, "sqlstate"), STR("08006"));
	ck_assert_view_eq(member(line, "while"), STR("waiting for commit < appending to orders"));
}
END_TEST

START_TEST(an_error_without_extras_has_no_empty_fields)
{
	err e;
	err_set(&e, ERR_TIMEOUT, "too slow");
	slog *log = start(SLOG_DEBUG, SLOG_TEXT);
	slog_err(log, SLOG_WARN, "x", "y", &e);
	str line = take(log);
	ck_assert(str_ends_with(line, STR(" warn x: y code=timeout error=\"too slow\"\n")));
}
END_TEST

START_TEST(long_frames_are_cut)
{
	static const char what[] =
		"0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789";
	err e;
	err_set(&e, ERR_TIMEOUT, "x");
	for (int i = 0; i < ERR_FRAMES_MAX; i++) {
		err_frame(&e, what);
	}
	slog *log = start(SLOG_DEBUG, SLOG_JSON);
	slog_err(log, SLOG_WARN, "x", "y", &e);
	ck_assert(str_starts_with(member(take(log), "while"), str_from_c(what)));
}
END_TEST

enum { WRITERS = 4, LINES = 200 };

static void *write_lines(void *argument)
{
	for (int i = 0; i < LINES; i++) {
		SLOG(argument, SLOG_INFO, "x", "y", F_C("v", "some text that takes a while to be written"), F_INT("n", i));
	}
	return NULL;
}

static void *read_lines(void *argument)
{
	(void)argument;
	size_t len = 0;
	ssize_t got;
	while ((got = read(pipe_ends[0], written + len, sizeof written - len)) > 0) {
		len += (size_t)got;
	}
	return (void *)len;
}

START_TEST(lines_of_threads_never_mix)
{
	slog *log = start(SLOG_DEBUG, SLOG_JSON);
	pthread_t reader;
	pthread_t writers[WRITERS];
	pthread_create(&reader, NULL, read_lines, NULL);
	for (size_t i = 0; i < WRITERS; i++) {
		pthread_create(&writers[i], NULL, write_lines, log);
	}
	for (size_t i = 0; i < WRITERS; i++) {
		pthread_join(writers[i], NULL);
	}
	slog_free(log);
	close(pipe_ends[1]);
	void *len;
	pthread_join(reader, &len);
	str rest = {written, (size_t)len};
	str line;
	size_t count = 0;
	while (str_split(rest, '\n', &line, &rest)) {
		ck_assert_uint_ge(member(line, "n").len, 1);
		count++;
	}
	ck_assert_uint_eq(count, WRITERS * LINES);
	close(pipe_ends[0]);
}
END_TEST

START_TEST(a_line_that_cannot_be_written_is_dropped)
{
	slog *log = slog_new(-1, SLOG_DEBUG, SLOG_JSON);
	SLOG(log, SLOG_ERROR, "x", "y");
	slog_free(log);
}
END_TEST

START_TEST(levels_and_formats_are_parsed_by_name)
{
	slog_level level = SLOG_DEBUG;
	slog_format format = SLOG_TEXT;
	ck_assert(slog_level_parse(STR("error"), &level) && level == SLOG_ERROR);
	ck_assert(slog_level_parse(STR("warn"), &level) && level == SLOG_WARN);
	ck_assert(slog_level_parse(STR("info"), &level) && level == SLOG_INFO);
	ck_assert(slog_level_parse(STR("debug"), &level) && level == SLOG_DEBUG);
	ck_assert(slog_format_parse(STR("json"), &format) && format == SLOG_JSON);
	ck_assert(slog_format_parse(STR("text"), &format) && format == SLOG_TEXT);
	ck_assert(!slog_level_parse(STR("INFO"), &level) && !slog_level_parse(STR(""), &level) && level == SLOG_DEBUG);
	ck_assert(!slog_format_parse(STR("xml"), &format) && format == SLOG_TEXT);
}
END_TEST

static bool make(void)
{
	slog *log = slog_new(-1, SLOG_DEBUG, SLOG_JSON);
	bool is_made = log != NULL;
	slog_free(log);
	return is_made;
}

START_TEST(a_log_without_memory_is_none)
{
	FAIL_EVERY_ALLOCATION(make(), 1);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		a_json_line_has_every_part,
		the_time_is_utc_with_milliseconds,
		a_text_line_reads_like_a_sentence,
		text_values_have_quotes_when_they_need_them,
		values_cannot_break_out_of_their_line,
		malformed_bytes_are_shown_as_replacement,
		a_long_value_is_cut_and_others_stay,
		every_length_gives_a_whole_line,
		lines_below_the_least_level_are_not_written,
		no_log_is_a_silent_one,
		an_error_is_one_line_with_all_it_knows,
		an_error_without_extras_has_no_empty_fields,
		long_frames_are_cut,
		lines_of_threads_never_mix,
		a_line_that_cannot_be_written_is_dropped,
		levels_and_formats_are_parsed_by_name,
		a_log_without_memory_is_none,
	};
	return SUITE_RUN("base/slog", tests);
}
