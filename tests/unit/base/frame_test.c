#include "base/frame.h"
#include "failing_memory.h"
#include "suite.h"

#include <pthread.h>
#include <string.h>

START_TEST(payload_is_a_copy)
{
	char text[] = "data";
	frame *f = frame_new((str){text, 4});
	memset(text, 'x', 4);
	ck_assert_view_eq(frame_payload(f), STR("data"));
	frame_unref(f);
}
END_TEST

START_TEST(chunk_has_its_length_in_hex_and_its_line_ends)
{
	char text[300];
	memset(text, 'x', sizeof text);
	frame *f = frame_new((str){text, 26});
	ck_assert_view_eq(frame_chunk(f), STR("1a\r\nxxxxxxxxxxxxxxxxxxxxxxxxxx\r\n"));
	frame_unref(f);
	f = frame_new((str){text, 300});
	ck_assert(str_starts_with(frame_chunk(f), STR("12c\r\nxxx")));
	ck_assert(str_ends_with(frame_chunk(f), STR("xxx\r\n")));
	ck_assert_uint_eq(frame_chunk(f).len, 5 + 300 + 2);
	ck_assert_ptr_eq(frame_payload(f).ptr, frame_chunk(f).ptr + 5); /* one piece, not two copies */
	frame_unref(f);
}
END_TEST

START_TEST(an_empty_payload_makes_no_frame)
{
	ck_assert_ptr_null(frame_new(STR("")));
	ck_assert_ptr_null(frame_new(STR_NONE));
}
END_TEST

START_TEST(a_frame_lives_as_long_as_its_last_reference)
{
	frame *f = frame_new(STR("data"));
	ck_assert_ptr_eq(frame_ref(f), f);
	frame_unref(f);
	ck_assert_view_eq(frame_payload(f), STR("data")); /* ASan looks */
	frame_unref(f);
	frame_unref(NULL);
}
END_TEST

static void *use_and_drop(void *argument)
{
	frame *f = argument;
	for (int i = 0; i < 10000; i++) {
		frame_unref(frame_ref(f));
	}
	bool is_whole = str_equal(frame_payload(f), STR("data"));
	frame_unref(f);
	return is_whole ? argument : NULL;
}

START_TEST(threads_share_one_frame)
{
	pthread_t threads[4];
	frame *f = frame_new(STR("data"));
	for (size_t i = 0; i < 4; i++) {
		pthread_create(&threads[i], NULL, use_and_drop, frame_ref(f));
	}
	frame_unref(f);
	for (size_t i = 0; i < 4; i++) {
		void *answer;
		pthread_join(threads[i], &answer);
		ck_assert_ptr_nonnull(answer);
	}
}
END_TEST

static bool make(void)
{
	frame *f = frame_new(STR("data"));
	bool is_made = f != NULL;
	frame_unref(f);
	return is_made;
}

START_TEST(a_frame_without_memory_is_none)
{
	FAIL_EVERY_ALLOCATION(make(), 1);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		payload_is_a_copy,
		chunk_has_its_length_in_hex_and_its_line_ends,
		an_empty_payload_makes_no_frame,
		a_frame_lives_as_long_as_its_last_reference,
		threads_share_one_frame,
		a_frame_without_memory_is_none,
	};
	return SUITE_RUN("base/frame", tests);
}
