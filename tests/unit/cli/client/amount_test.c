#include "cli/client/amount.h"

#include "suite.h"

static const struct {
	const char *text;
	int64_t bytes; /* -1: refused */
} SIZES[] = {
	{"0", 0},
	{"4096", 4096},
	{"10B", 10},
	{"1k", 1000},
	{"10M", 10000000},
	{"10MB", 10000000},
	{"10mb", 10000000},
	{"10MiB", 10485760},
	{"1.5GB", 1500000000},
	{"1.5Gi", 1610612736},
	{"1000T", 1000000000000000},
	{"", -1},
	{"M", -1},
	{"-1", -1},
	{"1.5", -1},
	{"1.55M", -1},
	{"1 M", -1},
	{"1P", -1},
	{"1.M", -1},
	{"1001T", -1},
	{"99999999999999999999", -1},
};

START_TEST(sizes_have_units_of_thousands_and_of_1024s)
{
	for (size_t i = 0; i < sizeof SIZES / sizeof SIZES[0]; i++) {
		int64_t bytes = -1;
		err e;
		bool ok = amount_bytes("size", SIZES[i].text, &bytes, &e);
		ck_assert_msg(bytes == SIZES[i].bytes && ok == (bytes >= 0), "%s: %lld", SIZES[i].text, (long long)bytes);
		ck_assert(ok || e.code == ERR_INVALID_REQUEST);
	}
}
END_TEST

START_TEST(what_is_not_given_changes_nothing)
{
	int64_t number = 7;
	tg_compression compression = TG_COMPRESSION_LZ4;
	tg_isolation isolation = TG_READ_COMMITTED;
	tg_delivery delivery = TG_AT_MOST_ONCE;
	err e;
	ck_assert(amount_integer("n", NULL, 0, 1, &number, &e) && amount_bytes("n", NULL, &number, &e) &&
			  amount_duration_ms("n", NULL, &number, &e));
	ck_assert(amount_compression(NULL, &compression, &e) && amount_isolation(NULL, &isolation, &e) &&
			  amount_delivery(NULL, &delivery, &e));
	ck_assert(number == 7 && compression == TG_COMPRESSION_LZ4);
	ck_assert(isolation == TG_READ_COMMITTED && delivery == TG_AT_MOST_ONCE);
}
END_TEST

START_TEST(words_are_known_in_all_of_fluvios_spellings)
{
	static const char *const most[] = {"at_most_once", "at-most-once", "AtMostOnce", "atMostOnce", "atmostonce"};
	static const char *const committed[] = {"read_committed", "ReadCommitted", "readCommitted", "readcommitted"};
	tg_delivery delivery = TG_AT_LEAST_ONCE;
	tg_isolation isolation = TG_READ_UNCOMMITTED;
	tg_compression compression = TG_COMPRESSION_NONE;
	err e;
	for (size_t i = 0; i < sizeof most / sizeof most[0]; i++) {
		delivery = TG_AT_LEAST_ONCE;
		ck_assert(amount_delivery(most[i], &delivery, &e) && delivery == TG_AT_MOST_ONCE);
	}
	for (size_t i = 0; i < sizeof committed / sizeof committed[0]; i++) {
		isolation = TG_READ_UNCOMMITTED;
		ck_assert(amount_isolation(committed[i], &isolation, &e) && isolation == TG_READ_COMMITTED);
	}
	ck_assert(amount_compression("Zstd", &compression, &e) && compression == TG_COMPRESSION_ZSTD);
	ck_assert(!amount_compression("zip", &compression, &e) && !amount_isolation("read", &isolation, &e));
	ck_assert(!amount_delivery("once", &delivery, &e));
}
END_TEST

START_TEST(people_see_short_numbers)
{
	buf out;
	buf_init(&out, 256);
	amount_append_bytes(&out, 999);
	buf_append_byte(&out, ' ');
	amount_append_bytes(&out, 1500);
	buf_append_byte(&out, ' ');
	amount_append_bytes(&out, 10485760);
	buf_append_byte(&out, ' ');
	amount_append_bytes(&out, INT64_MAX);
	buf_append_byte(&out, ' ');
	amount_append_duration(&out, 0);
	buf_append_byte(&out, ' ');
	amount_append_duration(&out, 90000);
	buf_append_byte(&out, ' ');
	amount_append_duration(&out, 604800000);
	buf_append_byte(&out, ' ');
	amount_append_duration(&out, 1);
	ck_assert_view_eq(buf_str(&out), STR("999 B 1.5 kB 10.5 MB 9223372.0 TB - 90s 7d 1ms"));
	buf_dispose(&out);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		sizes_have_units_of_thousands_and_of_1024s,
		what_is_not_given_changes_nothing,
		words_are_known_in_all_of_fluvios_spellings,
		people_see_short_numbers,
	};
	return SUITE_RUN("cli/client/amount", tests);
}
