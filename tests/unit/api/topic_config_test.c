#include "suite.h"

#include "api/topic_config.h"

#include <string.h>

static arena *memory;
static err problem;
static log_topic_config config_read_last;
static buf out;

static bool read_onto(const char *text, log_topic_config start)
{
	body b;
	arena_free(memory);
	memory = arena_new(1 << 20);
	err_clear(&problem);
	config_read_last = start;
	if (!body_begin_text(&b, str_from_c(text), memory, &problem)) {
		return false;
	}
	topic_config_read(&b, &config_read_last);
	return body_end(&b);
}

static bool read_text(const char *text)
{
	return read_onto(text, log_topic_config_default(LOG_DISK));
}

static const char *written(void)
{
	buf_dispose(&out);
	buf_init(&out, 10000);
	topic_config_write(&out, &config_read_last);
	buf_append_byte(&out, '\0');
	return out.ptr;
}

START_TEST(the_defaults_are_the_contracts)
{
	ck_assert(read_text("{}"));
	ck_assert_str_eq(written(),
					 "{\"type\":\"log\",\"ttl_ms\":0,\"cap_records\":0,\"cap_bytes\":0,\"discard\":\"old\","
					 "\"durable\":false,\"durability\":\"disk\",\"priority\":null,\"auto_priority\":true,"
					 "\"auto_create\":true,\"idempotency_window_ms\":120000,\"dedupe_node\":true,\"lease_ms\":30000,"
					 "\"claim_jitter_ms\":0,\"max_deliveries\":0,\"dead_letter\":null,\"leases_durable\":false}");
}
END_TEST

START_TEST(what_is_written_is_read_again)
{
	const char *text = "{\"type\":\"queue\",\"ttl_ms\":1,\"cap_records\":2,\"cap_bytes\":3,\"discard\":\"reject\","
					   "\"durable\":true,\"durability\":\"fsync\",\"priority\":-4,\"auto_priority\":false,"
					   "\"auto_create\":false,\"idempotency_window_ms\":5,\"dedupe_node\":false,\"lease_ms\":600,"
					   "\"claim_jitter_ms\":7,\"max_deliveries\":8,\"dead_letter\":\"dead\",\"leases_durable\":true}";
	ck_assert(read_text(text));
	ck_assert_str_eq(written(), text);
}
END_TEST

START_TEST(an_explicit_class_wins_over_the_shorthand)
{
	static const struct {
		const char *text;
		log_durability durability;
	} cases[] = {
		{"{}", LOG_MEMORY},
		{"{\"durable\":true}", LOG_FSYNC},
		{"{\"durable\":false}", LOG_DISK},
		{"{\"durability\":\"ephemeral\",\"durable\":true}", LOG_EPHEMERAL},
		{"{\"durable\":true,\"durability\":\"disk\"}", LOG_DISK},
		{"{\"durable\":true,\"durability\":null}", LOG_FSYNC},
		{"{\"durability\":null}", LOG_MEMORY},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		ck_assert(read_onto(cases[i].text, log_topic_config_default(LOG_MEMORY)));
		ck_assert_msg(config_read_last.durability == cases[i].durability, "%s", cases[i].text);
	}
}
END_TEST

START_TEST(leases_and_jitter_are_clamped)
{
	ck_assert(read_text("{\"lease_ms\":1,\"claim_jitter_ms\":9999}"));
	ck_assert_int_eq(config_read_last.lease_ms, 100);
	ck_assert_int_eq(config_read_last.claim_jitter_ms, 5000);
	ck_assert(read_text("{\"lease_ms\":99999999999,\"ttl_ms\":18446744073709551615}"));
	ck_assert_int_eq(config_read_last.lease_ms, 86400000);
	ck_assert_int_eq(config_read_last.ttl_ms, INT64_MAX);
}
END_TEST

START_TEST(null_is_a_value_for_priority_and_dead_letter_only)
{
	ck_assert(read_text("{\"priority\":7,\"dead_letter\":\"d\"}"));
	log_topic_config before = config_read_last;
	before.dead_letter = STR("d");
	ck_assert(read_onto("{\"priority\":null,\"dead_letter\":null}", before));
	ck_assert(!config_read_last.has_priority);
	ck_assert_ptr_null(config_read_last.dead_letter.ptr);
	static const char *const members[] = {"type", "ttl_ms", "discard", "durable", "auto_create", "max_deliveries"};
	for (size_t i = 0; i < sizeof members / sizeof members[0]; i++) {
		char text[64];
		snprintf(text, sizeof text, "{\"%s\":null}", members[i]);
		ck_assert_msg(!read_text(text), "%s", text);
		ck_assert_int_eq(problem.code, ERR_INVALID_REQUEST);
		ck_assert_msg(strstr(problem.message, members[i]) == problem.message, "%s", problem.message);
	}
}
END_TEST

START_TEST(wrong_members_are_told_by_name)
{
	static const struct {
		const char *text;
		const char *part;
	} cases[] = {
		{"{\"type\":\"stream\"}", "type must be \"log\" or \"queue\""},
		{"{\"type\":1}", "type must be"},
		{"{\"ttl_ms\":-1}", "ttl_ms must be"},
		{"{\"ttl_ms\":1.5}", "ttl_ms must be"},
		{"{\"ttl_ms\":\"1\"}", "ttl_ms must be"},
		{"{\"cap_bytes\":18446744073709551616}", "cap_bytes must be"},
		{"{\"durable\":\"yes\"}", "durable must be true or false"},
		{"{\"durability\":\"raid\"}", "durability must be"},
		{"{\"priority\":2147483648}", "priority must be"},
		{"{\"dead_letter\":\"\"}", "dead_letter must be"},
		{"{\"dead_letter\":\"a b\"}", "dead_letter must be"},
		{"{\"dead_letter\":[}", "JSON:"},
		{"{\"ttl_ms\":", "JSON:"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		ck_assert_msg(!read_text(cases[i].text), "%s", cases[i].text);
		ck_assert_int_eq(problem.code, ERR_INVALID_REQUEST);
		ck_assert_msg(strstr(problem.message, cases[i].part) == problem.message, "%s: %s", cases[i].text,
					  problem.message);
	}
}
END_TEST

START_TEST(unknown_members_are_ignored_and_the_rest_stays)
{
	log_topic_config before = log_topic_config_default(LOG_FSYNC);
	before.ttl_ms = 77;
	ck_assert(read_onto("{\"colour\":{\"deep\":[1,2]},\"cap_records\":9}", before));
	ck_assert_int_eq(config_read_last.ttl_ms, 77);
	ck_assert_int_eq(config_read_last.cap_records, 9);
	ck_assert_int_eq(config_read_last.durability, LOG_FSYNC);
}
END_TEST

START_TEST(a_queue_is_not_its_own_dead_letter)
{
	ck_assert(read_text("{\"type\":\"queue\",\"dead_letter\":\"jobs\"}"));
	ck_assert(!topic_config_check(&config_read_last, STR("jobs"), &problem));
	ck_assert(topic_config_check(&config_read_last, STR("other"), &problem));
	ck_assert(read_text("{\"dead_letter\":\"jobs\"}"));
	ck_assert(topic_config_check(&config_read_last, STR("jobs"), &problem));
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		the_defaults_are_the_contracts,
		what_is_written_is_read_again,
		an_explicit_class_wins_over_the_shorthand,
		leases_and_jitter_are_clamped,
		null_is_a_value_for_priority_and_dead_letter_only,
		wrong_members_are_told_by_name,
		unknown_members_are_ignored_and_the_rest_stays,
		a_queue_is_not_its_own_dead_letter,
	};
	int failed = SUITE_RUN("api/topic_config", tests);
	arena_free(memory);
	buf_dispose(&out);
	return failed;
}
