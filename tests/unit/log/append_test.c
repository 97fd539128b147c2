#include "log/append.h"

#include <check.h>
#include <pthread.h>

#include "log/log_fixture.h"
#include "postgres_fixture.h"

START_TEST(first_append_begins_at_zero_and_reads_back)
{
	log_fixture f;
	err e;
	fixture_open(&f);
	const log_topic *t = fixture_topic(&f, "orders", 1);
	ck_assert_int_eq(fixture_append_texts(&f, t, 0, "a", 3, &e), 0);
	ck_assert_int_eq(fixture_append_texts(&f, t, 0, "b", 2, &e), 3);
	ck_assert_str_eq(fixture_read(&f, t, 0, 0, 100), "a0,a1,a2,b0,b1");
	ck_assert_str_eq(fixture_read(&f, t, 0, 2, 2), "a2,b0");
	ck_assert_str_eq(fixture_read(&f, t, 0, 5, 2), "");
	log_topic_unref(t);
	fixture_close(&f);
}
END_TEST

START_TEST(large_append_becomes_several_rows_and_stays_dense)
{
	log_fixture f;
	err e;
	fixture_open(&f);
	const log_topic *t = fixture_topic(&f, "orders", 1);
	ck_assert_int_eq(fixture_append_texts(&f, t, 0, "x", 2000, &e), 0);
	ck_assert_int_eq(fixture_append_texts(&f, t, 0, "y", 1, &e), 2000);
	ck_assert_str_eq(fixture_read(&f, t, 0, 1999, 5), "x1999,y0");
	ck_assert_str_eq(fixture_read(&f, t, 0, 511, 3), "x511,x512,x513");
	log_topic_unref(t);
	fixture_close(&f);
}
END_TEST

START_TEST(append_to_a_deleted_topic_says_not_found)
{
	log_fixture f;
	err e;
	bool deleted = false;
	fixture_open(&f);
	const log_topic *t = fixture_topic(&f, "orders", 1);
	ck_assert(log_topic_delete(f.engine, f.conn, 1, STR("orders"), &deleted, &e));
	ck_assert(deleted);
	ck_assert_int_eq(fixture_append_texts(&f, t, 0, "a", 1, &e), -1);
	ck_assert_int_eq(e.code, ERR_TOPIC_NOT_FOUND);
	log_topic_unref(t);
	fixture_close(&f);
}
END_TEST

START_TEST(records_of_one_append_go_to_their_partitions)
{
	log_fixture f;
	fixture_open(&f);
	const log_topic *t = fixture_topic(&f, "orders", 4);
	const str values[] = {STR("a"), STR("b"), STR("c"), STR("d"), STR("e")};
	const uint32_t partitions[] = {2, 0, 2, 3, 0};
	log_append op = {
		.topic = t, .columns = {.count = 5, .values = values}, .partition_of = partitions, .arena = f.arena};
	fixture_append(&f, &op);
	ck_assert_int_eq(op.error.code, ERR_NONE);
	ck_assert_uint_eq(op.result_count, 3);
	ck_assert_int_eq(op.results[op.result_of[0]].partition, 2);
	ck_assert_int_eq(op.results[op.result_of[3]].partition, 3);
	ck_assert_str_eq(fixture_read(&f, t, 0, 0, 10), "b,e");
	ck_assert_str_eq(fixture_read(&f, t, 1, 0, 10), "");
	ck_assert_str_eq(fixture_read(&f, t, 2, 0, 10), "a,c");
	ck_assert_str_eq(fixture_read(&f, t, 3, 0, 10), "d");
	log_topic_unref(t);
	fixture_close(&f);
}
END_TEST

START_TEST(idempotency_key_answers_with_the_first_result)
{
	log_fixture f;
	fixture_open(&f);
	const log_topic *t = fixture_topic(&f, "orders", 4);
	const str values[] = {STR("a"), STR("b"), STR("c")};
	const uint32_t first[] = {1, 3, 1};
	const uint32_t second[] = {0, 0, 2};
	log_append one = {.topic = t,
					  .columns = {.count = 3, .values = values},
					  .partition_of = first,
					  .idempotency_key = STR("k"),
					  .arena = f.arena};
	log_append two = one;
	two.partition_of = second;
	fixture_append(&f, &one);
	fixture_append(&f, &two);
	ck_assert_int_eq(one.error.code, ERR_NONE);
	ck_assert(!one.is_duplicate);
	ck_assert_int_eq(two.error.code, ERR_NONE);
	ck_assert(two.is_duplicate);
	ck_assert_uint_eq(two.result_count, 2);
	ck_assert_int_eq(two.results[two.result_of[1]].partition, 3);
	ck_assert_str_eq(fixture_read(&f, t, 1, 0, 10), "a,c");
	ck_assert_str_eq(fixture_read(&f, t, 0, 0, 10), "");
	log_topic_unref(t);
	fixture_close(&f);
}
END_TEST

static log_append produce(log_fixture *f, const log_topic *t, const str *value, int64_t epoch, int64_t sequence)
{
	log_append op = {.topic = t,
					 .columns = {.count = 1, .values = value},
					 .arena = f->arena,
					 .producer = {STR("p"), epoch, sequence}};
	fixture_append(f, &op);
	return op;
}

START_TEST(producer_sequence_is_judged_as_the_contract_says)
{
	log_fixture f;
	const str v = STR("v");
	fixture_open(&f);
	const log_topic *t = fixture_topic(&f, "orders", 1);
	ck_assert_int_eq(produce(&f, t, &v, 0, 1).error.code, ERR_PRODUCER_SEQUENCE_GAP);
	ck_assert_int_eq(produce(&f, t, &v, 0, 0).error.code, ERR_NONE);
	ck_assert_int_eq(produce(&f, t, &v, 0, 1).error.code, ERR_NONE);
	log_append again = produce(&f, t, &v, 0, 1);
	ck_assert(again.is_duplicate);
	ck_assert_int_eq(again.results[0].base_offset, 1);
	ck_assert(produce(&f, t, &v, 0, 0).is_duplicate);
	ck_assert_int_eq(produce(&f, t, &v, 0, 3).error.code, ERR_PRODUCER_SEQUENCE_GAP);
	ck_assert_int_eq(produce(&f, t, &v, 2, 1).error.code, ERR_INVALID_REQUEST);
	ck_assert_int_eq(produce(&f, t, &v, 2, 0).error.code, ERR_NONE);
	ck_assert_int_eq(produce(&f, t, &v, 1, 0).error.code, ERR_PRODUCER_FENCED);
	ck_assert_str_eq(fixture_read(&f, t, 0, 0, 10), "v,v,v");
	log_topic_unref(t);
	fixture_close(&f);
}
END_TEST

START_TEST(closed_topic_takes_nothing_more)
{
	log_fixture f;
	err e;
	fixture_open(&f);
	const log_topic *t = fixture_topic(&f, "orders", 1);
	const str v = STR("last");
	log_append op = {.topic = t, .columns = {.count = 1, .values = &v}, .close = true, .arena = f.arena};
	fixture_append(&f, &op);
	ck_assert_int_eq(op.error.code, ERR_NONE);
	ck_assert(op.is_closed);
	ck_assert_int_eq(fixture_append_texts(&f, t, 0, "a", 1, &e), -1);
	ck_assert_int_eq(e.code, ERR_TOPIC_CLOSED);
	ck_assert_str_eq(fixture_read(&f, t, 0, 0, 10), "last");
	log_topic_unref(t);
	fixture_close(&f);
}
END_TEST

START_TEST(only_the_producer_that_closed_may_repeat_its_close)
{
	log_fixture f;
	fixture_open(&f);
	const log_topic *t = fixture_topic(&f, "orders", 1);
	const str v = STR("v");
	const str ids[] = {STR("other"), STR("closer"), STR("closer"), STR("other"), STR("closer")};
	const bool closes[] = {false, true, false, true, true};
	const int64_t sequences[] = {0, 0, 0, 0, 1};
	const err_code codes[] = {ERR_NONE, ERR_NONE, ERR_NONE, ERR_TOPIC_CLOSED, ERR_TOPIC_CLOSED};
	for (size_t i = 0; i < 5; i++) {
		log_append op = {.topic = t,
						 .columns = {.count = 1, .values = &v},
						 .producer = {ids[i], 0, sequences[i]},
						 .close = closes[i],
						 .arena = f.arena};
		fixture_append(&f, &op);
		ck_assert_int_eq(op.error.code, codes[i]);
		ck_assert(op.is_duplicate == (i == 2));
		ck_assert(op.is_closed == (i > 0));
	}
	ck_assert_str_eq(fixture_read(&f, t, 0, 0, 10), "v,v");
	log_topic_unref(t);
	fixture_close(&f);
}
END_TEST

START_TEST(a_caller_s_own_error_waits_for_its_turn)
{
	log_fixture f;
	err early;
	err late;
	fixture_open(&f);
	const log_topic *t = fixture_topic(&f, "orders", 1);
	const str v = STR("v");
	err_set(&early, ERR_CONTENT_TYPE_MISMATCH, "early");
	err_set(&late, ERR_INVALID_REQUEST, "late");
	log_append first = {
		.topic = t, .columns = {.count = 1, .values = &v}, .producer = {STR("p"), 0, 0}, .arena = f.arena};
	fixture_append(&f, &first);
	const struct {
		int64_t sequence;
		log_refusal_stage stage;
		err_code code;
	} cases[] = {{0, LOG_REFUSE_IF_OPEN, ERR_CONTENT_TYPE_MISMATCH},
				 {0, LOG_REFUSE_LAST, ERR_NONE}, /* a duplicate */
				 {2, LOG_REFUSE_IF_OPEN, ERR_CONTENT_TYPE_MISMATCH},
				 {2, LOG_REFUSE_LAST, ERR_PRODUCER_SEQUENCE_GAP},
				 {1, LOG_REFUSE_LAST, ERR_INVALID_REQUEST},
				 {1, LOG_REFUSE_NOT, ERR_NONE}}; /* the refused one did not use it up */
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		log_append op = {.topic = t,
						 .columns = {.count = 1, .values = &v},
						 .producer = {STR("p"), 0, cases[i].sequence},
						 .refusal_stage = cases[i].stage,
						 .refusal = cases[i].stage == LOG_REFUSE_LAST ? &late : &early,
						 .arena = f.arena};
		fixture_append(&f, &op);
		ck_assert_int_eq(op.error.code, cases[i].code);
	}
	ck_assert_str_eq(fixture_read(&f, t, 0, 0, 10), "v,v");
	log_append close = {.topic = t, .close = true, .arena = f.arena};
	fixture_append(&f, &close);
	log_append op = {.topic = t, .refusal_stage = LOG_REFUSE_IF_OPEN, .refusal = &early, .arena = f.arena};
	fixture_append(&f, &op);
	ck_assert_int_eq(op.error.code, ERR_TOPIC_CLOSED);
	log_topic_unref(t);
	fixture_close(&f);
}
END_TEST

START_TEST(sequence_token_must_grow)
{
	log_fixture f;
	fixture_open(&f);
	const log_topic *t = fixture_topic(&f, "orders", 1);
	const str v = STR("v");
	const str tokens[] = {STR("10"), STR("09"), STR("2"), STR("2")};
	const err_code codes[] = {ERR_NONE, ERR_SEQUENCE_CONFLICT, ERR_NONE, ERR_SEQUENCE_CONFLICT};
	for (size_t i = 0; i < 4; i++) {
		log_append op = {
			.topic = t, .columns = {.count = 1, .values = &v}, .sequence_token = tokens[i], .arena = f.arena};
		fixture_append(&f, &op);
		ck_assert_int_eq(op.error.code, codes[i]);
	}
	log_topic_unref(t);
	fixture_close(&f);
}
END_TEST

START_TEST(refusing_topic_is_full_at_its_cap)
{
	log_fixture f;
	err e;
	fixture_open(&f);
	log_topic_config c = log_topic_config_default(LOG_FSYNC);
	c.cap_records = 3;
	c.discard_old = false;
	const log_topic *t = fixture_topic_with(&f, "orders", 1, c);
	ck_assert_int_eq(fixture_append_texts(&f, t, 0, "a", 2, &e), 0);
	ck_assert_int_eq(fixture_append_texts(&f, t, 0, "b", 2, &e), -1);
	ck_assert_int_eq(e.code, ERR_TOPIC_FULL);
	ck_assert_ptr_nonnull(strstr(e.detail, "\"head_seq\":2"));
	ck_assert_int_eq(fixture_append_texts(&f, t, 0, "c", 4, &e), -1);
	ck_assert_int_eq(e.code, ERR_RECORD_TOO_LARGE);
	ck_assert_int_eq(fixture_append_texts(&f, t, 0, "d", 1, &e), 2);
	ck_assert_str_eq(fixture_read(&f, t, 0, 0, 10), "a0,a1,d0");
	log_topic_unref(t);
	fixture_close(&f);
}
END_TEST

START_TEST(caps_evict_the_oldest_and_the_gap_is_announced)
{
	log_fixture f;
	err e;
	fixture_open(&f);
	log_topic_config c = log_topic_config_default(LOG_FSYNC);
	c.cap_records = 3;
	const log_topic *t = fixture_topic_with(&f, "orders", 1, c);
	for (int i = 0; i < 6; i++) {
		ck_assert_int_eq(fixture_append_texts(&f, t, 0, "a", 1, &e), i);
	}
	ck_assert_str_eq(fixture_read(&f, t, 0, 0, 10), "[0-3)a0,a0,a0");
	ck_assert_int_eq(fixture_append_texts(&f, t, 0, "b", 5, &e), 6);
	ck_assert_str_eq(fixture_read(&f, t, 0, 4, 10), "[4-8)b2,b3,b4");
	log_topic_unref(t);
	fixture_close(&f);
}
END_TEST

START_TEST(bytes_cap_counts_what_is_kept)
{
	log_fixture f;
	err e;
	fixture_open(&f);
	log_topic_config c = log_topic_config_default(LOG_FSYNC);
	c.cap_bytes = 6;
	const log_topic *t = fixture_topic_with(&f, "orders", 1, c);
	ck_assert_int_eq(fixture_append_texts(&f, t, 0, "a", 2, &e), 0); /* 2 × 2 bytes */
	ck_assert_int_eq(fixture_append_texts(&f, t, 0, "bb", 1, &e), 2);
	ck_assert_str_eq(fixture_read(&f, t, 0, 0, 10), "[0-1)a1,bb0");
	log_topic_unref(t);
	fixture_close(&f);
}
END_TEST

START_TEST(ephemeral_topic_keeps_its_records_while_postgres_lives)
{
	log_fixture f;
	err e;
	fixture_open(&f);
	const log_topic *t = fixture_topic_with(&f, "orders", 1, log_topic_config_default(LOG_EPHEMERAL));
	ck_assert_int_eq(fixture_append_texts(&f, t, 0, "a", 2, &e), 0);
	ck_assert_str_eq(fixture_read(&f, t, 0, 0, 10), "a0,a1");
	postgres_fixture_sql(f.url, "TRUNCATE tidegate.batch_ephemeral, tidegate.ephemeral_mark");
	ck_assert_str_eq(fixture_read(&f, t, 0, 0, 10), "[0-2)");
	ck_assert_int_eq(fixture_append_texts(&f, t, 0, "b", 1, &e), 2);
	ck_assert_str_eq(fixture_read(&f, t, 0, 0, 10), "[0-2)b0");
	log_topic_unref(t);
	fixture_close(&f);
}
END_TEST

enum { WRITERS = 8, WRITES = 60 };

typedef struct writer {
	log_fixture *f;
	const log_topic *t;
	int64_t *seen; /* offset → 1 */
} writer;

static void *write_many(void *context)
{
	writer *w = context;
	for (int i = 0; i < WRITES; i++) {
		err e;
		int64_t base = fixture_append_texts(w->f, w->t, 0, "w", 3, &e);
		ck_assert_int_ge(base, 0);
		for (int k = 0; k < 3; k++) {
			__atomic_fetch_add(&w->seen[base + k], 1, __ATOMIC_RELAXED);
		}
	}
	return NULL;
}

START_TEST(two_engines_and_many_threads_give_dense_unique_offsets)
{
	log_fixture f[2];
	pthread_t threads[WRITERS];
	writer writers[WRITERS];
	int64_t seen[WRITERS * WRITES * 3] = {0};
	fixture_open(&f[0]);
	fixture_open_on(&f[1], f[0].url);
	const log_topic *t = fixture_topic(&f[0], "orders", 1);
	for (int i = 0; i < WRITERS; i++) {
		writers[i] = (writer){&f[i % 2], t, seen};
		pthread_create(&threads[i], NULL, write_many, &writers[i]);
	}
	for (int i = 0; i < WRITERS; i++) {
		pthread_join(threads[i], NULL);
	}
	for (int i = 0; i < WRITERS * WRITES * 3; i++) {
		ck_assert_int_eq(seen[i], 1);
	}
	log_topic_unref(t);
	fixture_close(&f[1]);
	fixture_close(&f[0]);
}
END_TEST

int main(void)
{
	postgres_fixture_url();
	Suite *s = suite_create("log/append");
	TCase *c = tcase_create("append");
	tcase_set_timeout(c, 60);
	tcase_add_test(c, first_append_begins_at_zero_and_reads_back);
	tcase_add_test(c, large_append_becomes_several_rows_and_stays_dense);
	tcase_add_test(c, append_to_a_deleted_topic_says_not_found);
	tcase_add_test(c, records_of_one_append_go_to_their_partitions);
	tcase_add_test(c, idempotency_key_answers_with_the_first_result);
	tcase_add_test(c, producer_sequence_is_judged_as_the_contract_says);
	tcase_add_test(c, closed_topic_takes_nothing_more);
	tcase_add_test(c, only_the_producer_that_closed_may_repeat_its_close);
	tcase_add_test(c, a_caller_s_own_error_waits_for_its_turn);
	tcase_add_test(c, sequence_token_must_grow);
	tcase_add_test(c, refusing_topic_is_full_at_its_cap);
	tcase_add_test(c, caps_evict_the_oldest_and_the_gap_is_announced);
	tcase_add_test(c, bytes_cap_counts_what_is_kept);
	tcase_add_test(c, ephemeral_topic_keeps_its_records_while_postgres_lives);
	tcase_add_test(c, two_engines_and_many_threads_give_dense_unique_offsets);
	suite_add_tcase(s, c);
	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? 0 : 1;
}
