#include "suite.h"

#include "api/streaming/position.h"
#include "api/streaming/stream_form.h"

#include <string.h>

START_TEST(accept_decides_the_form)
{
	static const struct {
		const char *accept;
		const stream_form *form;
	} cases[] = {
		{"", &stream_form_sse},
		{"text/event-stream", &stream_form_sse},
		{"Text/Event-Stream; charset=utf-8", &stream_form_sse},
		{"*/*", &stream_form_sse},
		{"text/*", &stream_form_sse},
		{"application/x-ndjson", &stream_form_lines},
		{"application/*", &stream_form_lines},
		{"application/x-ndjson, */*", &stream_form_lines},
		{"application/x-ndjson, text/event-stream", &stream_form_sse},
		{"text/html, */*;q=0.1", &stream_form_sse},
		{"text/event-stream;q=0, */*", &stream_form_lines},
		{"text/event-stream ; q=0.0, application/x-ndjson", &stream_form_lines},
		{"application/vnd.tidegate.records", &stream_form_packets},
		{"application/vnd.tidegate.records, */*;q=0.1", &stream_form_packets},
		{"application/x-ndjson, application/vnd.tidegate.records", &stream_form_lines},
		{"application/json", NULL},
		{"text/html,image/png", NULL},
		{"*/*;q=0", NULL},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		ck_assert_msg(stream_form_choose(str_from_c(cases[i].accept)) == cases[i].form, "%s", cases[i].accept);
	}
}
END_TEST

static void expect_event(const stream_form *form, str position, str expected)
{
	buf out;
	buf_init(&out, 1000);
	form->write_event(&out, "end", position, STR("\"reason\":\"x\""));
	ck_assert_view_eq(buf_str(&out), expected);
	buf_dispose(&out);
}

START_TEST(events_have_three_forms)
{
	expect_event(&stream_form_sse, STR("abc"),
				 STR("id: abc\nevent: end\ndata: {\"reason\":\"x\",\"cursor\":\"abc\"}\n\n"));
	expect_event(&stream_form_sse, STR_NONE, STR("event: end\ndata: {\"reason\":\"x\"}\n\n"));
	expect_event(&stream_form_lines, STR("abc"), STR("{\"event\":\"end\",\"reason\":\"x\",\"cursor\":\"abc\"}\n"));
	expect_event(&stream_form_lines, STR_NONE, STR("{\"event\":\"end\",\"reason\":\"x\"}\n"));
	expect_event(&stream_form_packets, STR("abc"),
				 STR("\0\0\0\x2c\5{\"event\":\"end\",\"reason\":\"x\",\"cursor\":\"abc\"}"));
}
END_TEST

START_TEST(a_message_is_one_event_with_its_position)
{
	arena *memory = arena_new(10000);
	log_position *at = position_new(memory, 0, 1);
	log_topic topic = {.topic_id = 1, .partitions = 1};
	log_record r = {.value = STR("a\nb")};
	log_gap gap = {.from = 0, .to = 1};
	buf out;
	buf_init(&out, 1000);
	stream_form_sse.format->write_record(&out, &topic, &r, at);
	buf_append_byte(&out, '\0');
	ck_assert_int_eq(strncmp(out.ptr, "id: ", 4), 0);
	ck_assert_ptr_nonnull(strstr(out.ptr, "\ndata: {\"partition\":0,\"offset\":0,\"key\":null,\"value\":\"a\\nb\","
										  "\"timestamp\":0,\"headers\":[]}\n\n"));
	buf_clear(&out);
	stream_form_lines.format->write_gap(&out, &topic, 0, &gap, at);
	buf_append_byte(&out, '\0');
	ck_assert_ptr_eq(
		strstr(out.ptr, "{\"event\":\"gap\",\"partition\":0,\"from_offset\":0,\"to_offset\":1,\"cursor\":\""), out.ptr);
	ck_assert_ptr_nonnull(strstr(out.ptr, "\"}\n"));
	arena_free(memory);
	buf_dispose(&out);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		accept_decides_the_form,
		events_have_three_forms,
		a_message_is_one_event_with_its_position,
	};
	return SUITE_RUN("api/streaming/stream_form", tests);
}
