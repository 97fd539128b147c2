#include "api/topics/live_slots.h"
#include "suite.h"

static const auth_principal one = {.key_id = {"one", 3}};
static const auth_principal two = {.key_id = {"two", 3}};
static const auth_principal nobody = {.key_id = {"", 0}, .is_development = true};

static live_slots *slots_of(int64_t most, int64_t most_per_key)
{
	return live_slots_new((live_slots_rule){.most = most,
											.most_per_key = most_per_key,
											.name = "max_sse_connections",
											.name_per_key = "max_sse_connections_per_key",
											.what = "live connections are open"});
}

START_TEST(the_cap_of_all_holds_and_slots_come_back)
{
	err e;
	live_slot *slots[2];
	live_slot *none = NULL;
	live_slots *s = slots_of(2, 0);
	ck_assert(live_slots_take(s, &one, &slots[0], &e));
	ck_assert(live_slots_take(s, &nobody, &slots[1], &e));
	ck_assert(!live_slots_take(s, &two, &none, &e));
	ck_assert_int_eq(e.code, ERR_THROTTLED);
	ck_assert_str_eq(e.detail, "{\"limit\":\"max_sse_connections\",\"max\":2}");
	live_slots_give_back(s, slots[0]);
	ck_assert_int_eq(live_slots_count(s), 1);
	ck_assert(live_slots_take(s, &two, &slots[0], &e));
	live_slots_give_back(s, slots[0]);
	live_slots_give_back(s, slots[1]);
	live_slots_give_back(s, NULL);
	ck_assert_int_eq(live_slots_count(s), 0);
	live_slots_free(s);
}
END_TEST

START_TEST(each_key_has_its_share_and_development_has_none)
{
	err e;
	live_slot *slots[4];
	live_slot *none = NULL;
	live_slots *s = slots_of(0, 1);
	ck_assert(live_slots_take(s, &one, &slots[0], &e));
	ck_assert(!live_slots_take(s, &one, &none, &e));
	ck_assert_str_eq(e.detail, "{\"limit\":\"max_sse_connections_per_key\",\"max\":1}");
	ck_assert(live_slots_take(s, &two, &slots[1], &e));
	ck_assert(live_slots_take(s, &nobody, &slots[2], &e));
	ck_assert(live_slots_take(s, &nobody, &slots[3], &e));
	live_slots_give_back(s, slots[0]);
	ck_assert(live_slots_take(s, &one, &slots[0], &e));
	for (size_t i = 0; i < 4; i++) {
		live_slots_give_back(s, slots[i]);
	}
	live_slots_free(s);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {the_cap_of_all_holds_and_slots_come_back,
								  each_key_has_its_share_and_development_has_none};
	return SUITE_RUN("api/topics/live_slots", tests);
}
