#include "suite.h"

#include "api/body.h"

#include <string.h>

static arena *memory;
static err problem;

typedef struct thing {
	int64_t number;
	bool flag;
	str name;
	str text;
	size_t elements;
} thing;

/* {"number":1…10,"flag"?,"name"?,"text"?,"list"?} */
static bool read_thing(const char *text, thing *out)
{
	body b;
	str key;
	arena_free(memory);
	memory = arena_new(1 << 20);
	err_clear(&problem);
	*out = (thing){0};
	if (!body_begin_text(&b, str_from_c(text), memory, &problem)) {
		return false;
	}
	while (body_next(&b, &key)) {
		if (body_null(&b)) {
			continue;
		}
		if (str_equal(key, STR("number"))) {
			body_integer(&b, "number", 1, 10, &out->number);
		} else if (str_equal(key, STR("flag"))) {
			body_bool(&b, "flag", &out->flag);
		} else if (str_equal(key, STR("name"))) {
			body_name(&b, "name", 5, &out->name);
		} else if (str_equal(key, STR("text"))) {
			body_text(&b, "text", &out->text);
		} else if (str_equal(key, STR("list"))) {
			if (body_array(&b, "list")) {
				while (body_next_element(&b)) {
					body_skip(&b);
					out->elements++;
				}
			}
		} else {
			body_skip(&b);
		}
	}
	return body_end(&b);
}

START_TEST(members_are_read_in_any_order)
{
	thing t;
	ck_assert(read_thing(" {\"text\":\"\\u0000\",\"x\":[{}],\"name\":\"n\\u00e4\",\"flag\":true,\"list\":[1,[2],null],"
						 "\"number\":10} ",
						 &t));
	ck_assert_int_eq(t.number, 10);
	ck_assert(t.flag);
	ck_assert_view_eq(t.name, STR("nä"));
	ck_assert_view_eq(t.text, ((str){"\0", 1}));
	ck_assert_uint_eq(t.elements, 3);
}
END_TEST

START_TEST(null_means_absent_where_the_reader_says_so)
{
	thing t;
	ck_assert(read_thing("{\"number\":null,\"flag\":null,\"name\":null}", &t));
	ck_assert_int_eq(t.number, 0);
	ck_assert_ptr_null(t.name.ptr);
}
END_TEST

START_TEST(errors_name_the_member_or_the_place)
{
	static const struct {
		const char *text;
		const char *message;
	} cases[] = {
		{"", "the body is empty; send a JSON object"},
		{"  ", "the body is empty; send a JSON object"},
		{"[]", "the body must be a JSON object"},
		{"nonsense", "the body must be a JSON object"},
		{"nul", "the body must be a JSON object"},
		{"{\"number\":0}", "number must be an integer from 1 to 10"},
		{"{\"number\":11}", "number must be an integer from 1 to 10"},
		{"{\"number\":1.0}", "number must be an integer from 1 to 10"},
		{"{\"number\":\"1\"}", "number must be an integer from 1 to 10"},
		{"{\"number\":[]}", "number must be an integer from 1 to 10"},
		{"{\"flag\":1}", "flag must be true or false"},
		{"{\"text\":{}}", "text must be a string"},
		{"{\"name\":\"\"}", "name must be a string of 1 to 5 bytes without control characters"},
		{"{\"name\":\"123456\"}", "name must be a string of 1 to 5 bytes without control characters"},
		{"{\"name\":\"a\\n\"}", "name must be a string of 1 to 5 bytes without control characters"},
		{"{\"name\":7}", "name must be a string of 1 to 5 bytes without control characters"},
		{"{\"list\":{}}", "list must be an array"},
		{"{\"number\":1", "JSON: expected ',' or '}' at byte 11"},
		{"{\"number\":[1}", "JSON: expected ',' or ']' at byte 12"},
		{"{\"number\":1}]", "JSON: expected nothing after the value at byte 12"},
		{"{\"number\":1,}", "JSON: expected a key in quotes at byte 12"},
		{"{\"text\":\"\x80\"}", "JSON: the text is not valid UTF-8 at byte 9"},
	};
	thing t;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		ck_assert_msg(!read_thing(cases[i].text, &t), "accepted: %s", cases[i].text);
		ck_assert_int_eq(problem.code, ERR_INVALID_REQUEST);
		ck_assert_str_eq(problem.message, cases[i].message);
	}
}
END_TEST

START_TEST(the_first_error_stays)
{
	thing t;
	ck_assert(!read_thing("{\"number\":0,\"flag\":7,\"text\":", &t));
	ck_assert_str_eq(problem.message, "number must be an integer from 1 to 10");
	ck_assert(!t.flag);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		members_are_read_in_any_order,
		null_means_absent_where_the_reader_says_so,
		errors_name_the_member_or_the_place,
		the_first_error_stays,
	};
	int failed = SUITE_RUN("api/body", tests);
	arena_free(memory);
	return failed;
}
