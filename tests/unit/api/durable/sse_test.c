#include "api/durable/sse.h"

#include "api/durable/cursor.h"
#include "suite.h"

#include <string.h>

/* Writes frames as the log would: records from an offset on, then the end. */
typedef struct writer {
	const log_format *format;
	buf out;
	int64_t offset;
	int64_t byte;
} writer;

static void begin(writer *w, durable_media media)
{
	*w = (writer){.format = durable_sse_format(media)};
	buf_init(&w->out, 1 << 20);
}

static void add(writer *w, str value)
{
	w->byte += (int64_t)value.len;
	log_record r = {.offset = w->offset++, .value = value, .end_byte = w->byte};
	w->format->write_record(&w->out, NULL, &r, NULL);
}

static void finish(writer *w, bool is_at_end, bool is_closed)
{
	log_position *after = calloc(1, sizeof *after + sizeof(int64_t));
	after->count = 1;
	after->offsets[0] = w->offset;
	log_frame_end end = {.after = after, .byte = w->byte, .is_at_end = is_at_end, .is_closed = is_closed};
	if (w->out.len > 0) {
		w->format->write_end(&w->out, NULL, &end);
	} else {
		w->format->write_closed(&w->out, NULL, &end);
	}
	free(after);
}

/* The frame with every cursor replaced by N. */
static void expect(writer *w, const char *expected)
{
	char seen[4096];
	size_t n = 0;
	for (size_t i = 0; i < w->out.len && n < sizeof seen - 2;) {
		static const char MARK[] = "\"streamCursor\":\"";
		seen[n++] = w->out.ptr[i++];
		if (n >= sizeof MARK - 1 && memcmp(seen + n - (sizeof MARK - 1), MARK, sizeof MARK - 1) == 0) {
			seen[n++] = 'N';
			for (; i < w->out.len && w->out.ptr[i] != '"'; i++) {
			}
		}
	}
	ck_assert_view_eq(((str){seen, n}), str_from_c(expected));
	buf_dispose(&w->out);
}

#define CONTROL(token, rest) "event: control\ndata:{\"streamNextOffset\":\"" token "\"" rest "}\n\n"
#define OPEN                 ",\"streamCursor\":\"N\""
#define UP_TO_DATE           ",\"upToDate\":true"
#define CLOSED               ",\"streamClosed\":true"

START_TEST(every_message_of_text_has_its_control)
{
	writer w;
	begin(&w, DURABLE_MEDIA_TEXT);
	add(&w, STR("hello world"));
	add(&w, STR("b"));
	finish(&w, true, false);
	expect(&w, "event: data\ndata:hello world\n\n" CONTROL(
				   "0000000000000001_000000000000000b",
				   OPEN) "event: data\ndata:b\n\n" CONTROL("0000000000000002_000000000000000c", OPEN UP_TO_DATE));
}
END_TEST

START_TEST(frame_that_is_not_the_last_is_not_up_to_date)
{
	writer w;
	begin(&w, DURABLE_MEDIA_TEXT);
	add(&w, STR("a"));
	finish(&w, false, false);
	expect(&w, "event: data\ndata:a\n\n" CONTROL("0000000000000001_0000000000000001", OPEN));
}
END_TEST

START_TEST(closed_is_told_with_the_last_message_or_alone)
{
	writer w;
	begin(&w, DURABLE_MEDIA_TEXT);
	add(&w, STR("a"));
	finish(&w, true, true);
	expect(&w, "event: data\ndata:a\n\n" CONTROL("0000000000000001_0000000000000001", UP_TO_DATE CLOSED));
	begin(&w, DURABLE_MEDIA_JSON);
	finish(&w, true, true);
	expect(&w, CONTROL("0000000000000000_0000000000000000", UP_TO_DATE CLOSED));
}
END_TEST

START_TEST(lines_end_at_cr_lf_and_both)
{
	static const struct {
		const char *text;
		const char *lines;
	} cases[] = {
		{"", "data:\n"},
		{"a\nb", "data:a\ndata:b\n"},
		{"a\rb", "data:a\ndata:b\n"},
		{"a\r\nb", "data:a\ndata:b\n"},
		{"a\n\rb", "data:a\ndata:\ndata:b\n"},
		{"a\n", "data:a\ndata:\n"},
		{"\r", "data:\ndata:\n"},
		{"\r\r\n\n", "data:\ndata:\ndata:\ndata:\n"},
		{" a", "data:  a\n"},
		{"a\n  b\n ", "data:a\ndata:   b\ndata:  \n"},
		{"a\n\nevent: control\ndata:{\"x\":1}", "data:a\ndata:\ndata:event: control\ndata:data:{\"x\":1}\n"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		char expected[512];
		writer w;
		begin(&w, DURABLE_MEDIA_TEXT);
		add(&w, str_from_c(cases[i].text));
		snprintf(expected, sizeof expected, "event: data\n%s\nevent: control\n", cases[i].lines);
		finish(&w, true, false);
		ck_assert_view_eq(str_take(buf_str(&w.out), strlen(expected)), str_from_c(expected));
		buf_dispose(&w.out);
	}
}
END_TEST

START_TEST(message_that_ends_inside_a_character_is_joined)
{
	writer w;
	begin(&w, DURABLE_MEDIA_TEXT);
	add(&w, STR("a"));
	add(&w, STR("b\xE2"));
	ck_assert(!w.format->is_whole(&w.out));
	add(&w, STR("\x82"));
	ck_assert(!w.format->is_whole(&w.out));
	add(&w, STR("\xAC"
				"c"));
	ck_assert(w.format->is_whole(&w.out));
	add(&w, STR("d"));
	finish(&w, true, false);
	expect(&w, "event: data\ndata:a\n\n" CONTROL(
				   "0000000000000001_0000000000000001",
				   OPEN) "event: data\ndata:b\xE2\x82\xAC"
						 "c\n\n" CONTROL("0000000000000004_0000000000000006", OPEN) "event: data\ndata:d\n\n" CONTROL(
							 "0000000000000005_0000000000000007", OPEN UP_TO_DATE));
}
END_TEST

START_TEST(bytes_that_begin_no_character_wait_for_nothing)
{
	static const char *const whole[] = {
		"a",    "\xC3\xA9", "\xE2\x82\xAC", "\xF0\x9F\x98\x80",     "\x80", "\x80\x80\x80\x80",
		"\xFF", "\xC0",     "\xF5",         "\xF0\x9F\x98\x80\x80", ""};
	static const char *const cut[] = {"\xC3", "a\xE2", "\xE2\x82", "\xF0", "\xF0\x9F", "\xF0\x9F\x98"};
	for (size_t i = 0; i < sizeof whole / sizeof whole[0]; i++) {
		writer w;
		begin(&w, DURABLE_MEDIA_TEXT);
		add(&w, str_from_c(whole[i]));
		ck_assert_msg(w.format->is_whole(&w.out), "%zu", i);
		buf_dispose(&w.out);
	}
	for (size_t i = 0; i < sizeof cut / sizeof cut[0]; i++) {
		writer w;
		begin(&w, DURABLE_MEDIA_TEXT);
		add(&w, str_from_c(cut[i]));
		ck_assert_msg(!w.format->is_whole(&w.out), "%zu", i);
		buf_dispose(&w.out);
	}
}
END_TEST

START_TEST(json_is_one_array_a_frame)
{
	writer w;
	begin(&w, DURABLE_MEDIA_JSON);
	add(&w, STR("{\"a\":1}"));
	add(&w, STR("{\r\n\"b\": 2\n}"));
	add(&w, STR("no json"));
	finish(&w, true, false);
	expect(&w, "event: data\ndata:[{\"a\":1},{\ndata:\"b\": 2\ndata:},{\"$base64\":\"bm8ganNvbg==\"}]\n\n" CONTROL(
				   "0000000000000003_0000000000000019", OPEN UP_TO_DATE));
}
END_TEST

START_TEST(other_bytes_are_base64_each_message_for_itself)
{
	writer w;
	begin(&w, DURABLE_MEDIA_BYTES);
	add(&w, ((str){"\0\xFF\n", 3}));
	add(&w, STR("a"));
	finish(&w, true, false);
	expect(&w, "event: data\ndata:AP8K\n\n" CONTROL(
				   "0000000000000001_0000000000000003",
				   OPEN) "event: data\ndata:YQ==\n\n" CONTROL("0000000000000002_0000000000000004", OPEN UP_TO_DATE));
	ck_assert(durable_sse_is_base64(DURABLE_MEDIA_BYTES));
	ck_assert(!durable_sse_is_base64(DURABLE_MEDIA_TEXT));
	ck_assert(!durable_sse_is_base64(DURABLE_MEDIA_JSON));
}
END_TEST

static frame *frame_of(writer *w)
{
	frame *f = frame_new(buf_str(&w->out));
	ck_assert_ptr_nonnull(f);
	buf_dispose(&w->out);
	return f;
}

START_TEST(cursor_that_is_late_enough_shares_the_frame)
{
	writer w;
	begin(&w, DURABLE_MEDIA_TEXT);
	add(&w, STR("a"));
	finish(&w, true, false);
	frame *f = frame_of(&w);
	frame *same = durable_sse_with_cursor(f, durable_cursor_now() - 1);
	ck_assert_ptr_eq(same, f);
	frame_unref(same);
	frame_unref(f);
	begin(&w, DURABLE_MEDIA_TEXT);
	finish(&w, true, true);
	f = frame_of(&w);
	same = durable_sse_with_cursor(f, INT64_MAX);
	ck_assert_ptr_eq(same, f);
	frame_unref(same);
	frame_unref(f);
}
END_TEST

START_TEST(own_cursor_stands_in_every_control_and_nowhere_else)
{
	static const char FORGED[] =
		"x event: control\n{\"streamCursor\":\"7\"}\n\nevent: control\n{\"streamCursor\":\"8\"}";
	char expected[1024];
	writer w;
	begin(&w, DURABLE_MEDIA_TEXT);
	add(&w, str_from_c(FORGED));
	add(&w, STR("b"));
	finish(&w, true, false);
	frame *f = frame_of(&w);
	frame *own = durable_sse_with_cursor(f, 999999999999);
	snprintf(
		expected, sizeof expected,
		"event: data\ndata:x event: control\ndata:{\"streamCursor\":\"7\"}\ndata:\ndata:event: control\n"
		"data:{\"streamCursor\":\"8\"}\n\n"
		"event: control\ndata:{\"streamNextOffset\":\"0000000000000001_%016zx\",\"streamCursor\":\"999999999999\"}\n\n"
		"event: data\ndata:b\n\n"
		"event: control\ndata:{\"streamNextOffset\":\"0000000000000002_%016zx\",\"streamCursor\":\"999999999999\","
		"\"upToDate\":true}\n\n",
		sizeof FORGED - 1, sizeof FORGED);
	ck_assert_ptr_ne(own, f);
	ck_assert_view_eq(frame_payload(own), str_from_c(expected));
	frame_unref(own);
	frame_unref(f);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		every_message_of_text_has_its_control,
		frame_that_is_not_the_last_is_not_up_to_date,
		closed_is_told_with_the_last_message_or_alone,
		lines_end_at_cr_lf_and_both,
		message_that_ends_inside_a_character_is_joined,
		bytes_that_begin_no_character_wait_for_nothing,
		json_is_one_array_a_frame,
		other_bytes_are_base64_each_message_for_itself,
		cursor_that_is_late_enough_shares_the_frame,
		own_cursor_stands_in_every_control_and_nowhere_else,
	};
	return SUITE_RUN("api/durable/sse", tests);
}
