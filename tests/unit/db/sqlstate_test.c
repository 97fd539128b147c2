#include "db/private.h"

#include "suite.h"

#include <ctype.h>
#include <string.h>

static const struct {
	const char *state;
	err_code code;
	bool ends_connection;
} TABLE[] = {
	{"57P01", ERR_UNAVAILABLE, true}, /* admin_shutdown */
	{"57P02", ERR_UNAVAILABLE, true},  {"57P03", ERR_UNAVAILABLE, true},
	{"57014", ERR_TIMEOUT, false},                                     /* query_canceled: not of the class above */
	{"25006", ERR_UNAVAILABLE, true},  {"25P02", ERR_INTERNAL, false}, /* in_failed_sql_transaction: a bug of ours */
	{"53000", ERR_UNAVAILABLE, false}, {"53100", ERR_UNAVAILABLE, false},
	{"53200", ERR_UNAVAILABLE, false}, {"53300", ERR_UNAVAILABLE, true},
	{"08000", ERR_UNAVAILABLE, true},  {"08006", ERR_UNAVAILABLE, true},
	{"58030", ERR_UNAVAILABLE, false}, {"40001", ERR_TIMEOUT, false},
	{"40P01", ERR_TIMEOUT, false},     {"55P03", ERR_TIMEOUT, false},
	{"55006", ERR_INTERNAL, false},    {"22021", ERR_INVALID_REQUEST, false},
	{"22P02", ERR_INTERNAL, false},    {"42P01", ERR_NOT_READY, false},
	{"3F000", ERR_NOT_READY, false},   {"42703", ERR_INTERNAL, false},
	{"26000", ERR_UNAVAILABLE, true},  {"42P05", ERR_UNAVAILABLE, true},
	{"28P01", ERR_UNAVAILABLE, true},  {"3D000", ERR_UNAVAILABLE, true},
	{"23505", ERR_INTERNAL, false},    {"42501", ERR_INTERNAL, false},
	{"XX000", ERR_INTERNAL, false},    {"00000", ERR_INTERNAL, false},
	{"", ERR_INTERNAL, false},
};

START_TEST(states_and_classes_have_their_codes)
{
	for (size_t i = 0; i < sizeof TABLE / sizeof TABLE[0]; i++) {
		err_code code = sqlstate_code(TABLE[i].state);
		ck_assert_msg(code == TABLE[i].code, "%s: %s", TABLE[i].state, err_wire_code(code));
		ck_assert_msg(sqlstate_ends_connection(TABLE[i].state) == TABLE[i].ends_connection, "%s", TABLE[i].state);
	}
}
END_TEST

START_TEST(advice_is_a_sentence_for_the_client)
{
	for (size_t i = 0; i < sizeof TABLE / sizeof TABLE[0]; i++) {
		const char *advice = sqlstate_advice(TABLE[i].state);
		size_t len = strlen(advice);
		ck_assert_uint_gt(len, 10);
		ck_assert_uint_lt(len, ERR_MESSAGE_MAX);
		ck_assert_msg(islower((unsigned char)advice[0]) != 0, "%s", advice);
		ck_assert_msg(advice[len - 1] != '.', "%s", advice);
	}
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		states_and_classes_have_their_codes,
		advice_is_a_sentence_for_the_client,
	};
	return SUITE_RUN("db/sqlstate", tests);
}
