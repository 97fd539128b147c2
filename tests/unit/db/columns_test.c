#include "db/columns.h"

#include "suite.h"

START_TEST(arrays_become_parameters_in_their_order)
{
	const int64_t numbers[] = {3, -4};
	const str texts[] = {STR(""), STR("zwei")};
	db_columns c;
	db_params p;
	db_array_reader r;
	str text;
	int64_t number;
	err e;
	db_columns_init(&c, 4096);
	db_array_add_str(db_columns_begin(&c, DB_BYTEA), STR("a"));
	db_columns_end(&c);
	db_columns_add_i64(&c, NULL, 0);
	db_columns_add_i64(&c, numbers, 2);
	db_columns_add_texts(&c, texts, 2);
	db_params_init(&p);
	db_param_bool(&p, true);
	ck_assert(db_columns_bind(&c, &p, &e));
	ck_assert_int_eq(p.count, 5);
	db_array_open(&r, (str){p.values[1], (size_t)p.lengths[1]});
	ck_assert(db_array_next_str(&r, &text));
	ck_assert_view_eq(text, STR("a"));
	db_array_open(&r, (str){p.values[2], (size_t)p.lengths[2]});
	ck_assert_uint_eq(r.count, 0);
	db_array_open(&r, (str){p.values[3], (size_t)p.lengths[3]});
	ck_assert_uint_eq(r.count, 2);
	for (int i = 0; i < 2; i++) {
		ck_assert(db_array_next_i64(&r, &number));
		ck_assert_int_eq(number, numbers[i]);
	}
	db_array_open(&r, (str){p.values[4], (size_t)p.lengths[4]});
	ck_assert_uint_eq(r.count, 2);
	for (int i = 0; i < 2; i++) {
		ck_assert(db_array_next_str(&r, &text));
		ck_assert_view_eq(text, texts[i]);
	}
	db_columns_dispose(&c);
}
END_TEST

START_TEST(arrays_that_do_not_fit_are_not_bound)
{
	const int64_t numbers[64] = {0};
	db_columns c;
	db_params p;
	err e;
	db_columns_init(&c, 100);
	db_columns_add_i64(&c, numbers, 64);
	db_params_init(&p);
	ck_assert(!db_columns_bind(&c, &p, &e));
	ck_assert_int_eq(e.code, ERR_NO_MEMORY);
	ck_assert_int_eq(p.count, 0);
	db_columns_dispose(&c);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		arrays_become_parameters_in_their_order,
		arrays_that_do_not_fit_are_not_bound,
	};
	return SUITE_RUN("db/columns", tests);
}
