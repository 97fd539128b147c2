#include "log/tail.h"

#include <check.h>
#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

#include "base/clock.h"
#include "log/log_fixture.h"
#include "log/private.h"
#include "postgres_fixture.h"

/* A sink that collects what it is given, up to a number of frames at a time. */
typedef struct collector {
	pthread_mutex_t lock;
	buf text;
	int room; /* frames it takes before it is full; negative = any number */
	atomic_bool was_full;
	atomic_int ended; /* err_code */
} collector;

static void collector_init(collector *c, int room)
{
	pthread_mutex_init(&c->lock, NULL);
	buf_init(&c->text, 16 << 20);
	c->room = room;
	atomic_init(&c->was_full, false);
	atomic_init(&c->ended, ERR_NONE);
}

static log_push take(void *context, const log_delivery *d)
{
	collector *c = context;
	pthread_mutex_lock(&c->lock);
	bool full = c->room == 0;
	if (full) {
		atomic_store(&c->was_full, true);
	} else {
		if (d->frame != NULL) {
			buf_append_str(&c->text, frame_payload(d->frame));
		} else {
			buf_printf(&c->text, "gap [%lld-%lld) of %lld;", (long long)d->gap->from, (long long)d->gap->to,
					   (long long)d->end_offset);
		}
		c->room -= c->room > 0 ? 1 : 0;
	}
	pthread_mutex_unlock(&c->lock);
	return full ? LOG_PUSH_FULL : LOG_PUSH_OK;
}

static void ended(void *context, const err *e)
{
	collector *c = context;
	pthread_mutex_lock(&c->lock);
	atomic_store(&c->ended, (int)e->code);
	pthread_mutex_unlock(&c->lock);
}

static void write_record(buf *out, const log_topic *t, const log_record *r, const log_position *after)
{
	(void)t;
	(void)after;
	buf_printf(out, "%d/%lld;", r->partition, (long long)r->offset);
}

static void write_gap(buf *out, const log_topic *t, int32_t partition, const log_gap *gap, const log_position *after)
{
	(void)t;
	(void)after;
	buf_printf(out, "%d[%lld-%lld);", partition, (long long)gap->from, (long long)gap->to);
}

static const log_format FORMAT = {.name = "test", .write_record = write_record, .write_gap = write_gap};

/* Pages of two records; those with an odd offset are not shown. */
static void write_page(const log_format *f, buf *out, const log_topic *t, log_page *page)
{
	log_record r;
	(void)f;
	(void)t;
	while (log_page_next(page, &r)) {
		if (r.offset % 2 == 0) {
			buf_printf(out, "%lld,", (long long)r.offset);
		}
	}
	if (out->len > 0) {
		buf_printf(out, "to %lld of %lld;", (long long)log_page_position(page), (long long)log_page_end_offset(page));
	}
}

static void write_caught_up(buf *out, const log_topic *t, const log_position *at)
{
	(void)t;
	buf_printf(out, "end %lld;", (long long)at->offsets[0]);
}

static const log_format PAGES = {.name = "pages",
								 .write_page = write_page,
								 .write_caught_up = write_caught_up,
								 .page_records = 2,
								 .page_bytes = 1 << 20};

/* Waits until the collector holds exactly `wanted`. */
static void expect(collector *c, const char *wanted)
{
	char seen[65536] = "";
	for (int64_t until = clock_now_ms() + 30000; clock_now_ms() < until;) {
		pthread_mutex_lock(&c->lock);
		snprintf(seen, sizeof seen, "%.*s", (int)c->text.len, c->text.len > 0 ? c->text.ptr : "");
		pthread_mutex_unlock(&c->lock);
		if (strcmp(seen, wanted) == 0) {
			return;
		}
		usleep(2000);
	}
	ck_assert_str_eq(seen, wanted);
}

static log_subscription *subscribe_as(log_fixture *f, const log_topic *t, collector *c, int64_t from,
									  const log_format *format)
{
	err e;
	log_position *start = malloc(sizeof *start + (size_t)t->partitions * sizeof(int64_t));
	start->first = 0;
	start->count = t->partitions;
	for (int32_t i = 0; i < t->partitions; i++) {
		start->offsets[i] = from;
	}
	log_sink sink = {.push = take, .on_error = ended, .context = c};
	log_subscription *s = log_subscribe(f->engine, t, start, format, sink, &e);
	ck_assert_ptr_nonnull(s);
	free(start);
	return s;
}

static log_subscription *subscribe(log_fixture *f, const log_topic *t, collector *c, int64_t from)
{
	return subscribe_as(f, t, c, from, &FORMAT);
}

START_TEST(subscriber_gets_what_is_there_and_what_comes)
{
	log_fixture f;
	collector c;
	fixture_open(&f);
	collector_init(&c, -1);
	const log_topic *t = fixture_topic(&f, "orders", 1);
	fixture_append_texts(&f, t, 0, "a", 2, NULL);
	log_subscription *s = subscribe(&f, t, &c, 0);
	expect(&c, "0/0;0/1;");
	fixture_append_texts(&f, t, 0, "b", 1, NULL);
	expect(&c, "0/0;0/1;0/2;");
	fixture_append_texts(&f, t, 0, "c", 2, NULL);
	expect(&c, "0/0;0/1;0/2;0/3;0/4;");
	log_unsubscribe(s);
	buf_dispose(&c.text);
	log_topic_unref(t);
	fixture_close(&f);
}
END_TEST

START_TEST(subscriber_of_another_worker_is_woken)
{
	log_fixture f[2];
	collector c;
	fixture_open(&f[0]);
	fixture_open_on(&f[1], f[0].url);
	collector_init(&c, -1);
	const log_topic *t = fixture_topic(&f[0], "orders", 3);
	log_subscription *s = subscribe(&f[1], t, &c, 0);
	fixture_append_texts(&f[0], t, 2, "a", 2, NULL);
	expect(&c, "2/0;2/1;");
	fixture_append_texts(&f[0], t, 0, "a", 1, NULL);
	expect(&c, "2/0;2/1;0/0;");
	log_unsubscribe(s);
	buf_dispose(&c.text);
	log_topic_unref(t);
	fixture_close(&f[1]);
	fixture_close(&f[0]);
}
END_TEST

START_TEST(full_sink_goes_on_where_it_stopped)
{
	log_fixture f;
	collector slow;
	collector fast;
	fixture_open(&f);
	collector_init(&slow, 1);
	collector_init(&fast, -1);
	const log_topic *t = fixture_topic(&f, "orders", 1);
	log_subscription *a = subscribe(&f, t, &slow, 0);
	log_subscription *b = subscribe(&f, t, &fast, 0);
	usleep(100000);
	fixture_append_texts(&f, t, 0, "a", 1, NULL);
	expect(&fast, "0/0;");
	expect(&slow, "0/0;");
	fixture_append_texts(&f, t, 0, "a", 1, NULL);
	fixture_append_texts(&f, t, 0, "a", 1, NULL);
	expect(&fast, "0/0;0/1;0/2;");
	for (int64_t until = clock_now_ms() + 30000; !atomic_load(&slow.was_full) && clock_now_ms() < until;) {
		usleep(1000);
	}
	ck_assert(atomic_load(&slow.was_full));
	expect(&slow, "0/0;");
	pthread_mutex_lock(&slow.lock);
	slow.room = -1;
	pthread_mutex_unlock(&slow.lock);
	log_subscription_resume(a);
	expect(&slow, "0/0;0/1;0/2;");
	fixture_append_texts(&f, t, 0, "a", 1, NULL);
	expect(&slow, "0/0;0/1;0/2;0/3;");
	expect(&fast, "0/0;0/1;0/2;0/3;");
	log_unsubscribe(a);
	log_unsubscribe(b);
	buf_dispose(&slow.text);
	buf_dispose(&fast.text);
	log_topic_unref(t);
	fixture_close(&f);
}
END_TEST

START_TEST(gap_is_announced_before_the_records_behind_it)
{
	log_fixture f;
	collector c;
	log_topic_config config = log_topic_config_default(LOG_FSYNC);
	config.cap_records = 2;
	fixture_open(&f);
	collector_init(&c, -1);
	const log_topic *t = fixture_topic_with(&f, "orders", 1, config);
	fixture_append_texts(&f, t, 0, "a", 5, NULL);
	log_subscription *s = subscribe(&f, t, &c, 1);
	expect(&c, "0[1-3);0/3;0/4;");
	log_unsubscribe(s);
	buf_dispose(&c.text);
	log_topic_unref(t);
	fixture_close(&f);
}
END_TEST

START_TEST(a_format_may_write_whole_pages_and_leave_gaps_to_the_sink)
{
	log_fixture f;
	collector c;
	collector late;
	fixture_open(&f);
	collector_init(&c, -1);
	collector_init(&late, -1);
	const log_topic *t = fixture_topic(&f, "orders", 1);
	fixture_append_texts(&f, t, 0, "a", 3, NULL);
	log_subscription *s = subscribe_as(&f, t, &c, 0, &PAGES);
	expect(&c, "0,to 2 of 3;2,to 3 of 3;end 3;");
	/* Nothing to be shown: no frame, and nothing to be caught up with. */
	fixture_append_texts(&f, t, 0, "b", 1, NULL);
	fixture_append_texts(&f, t, 0, "c", 1, NULL);
	expect(&c, "0,to 2 of 3;2,to 3 of 3;end 3;4,to 5 of 5;end 5;");
	db_fixture_sql(f.url, "UPDATE tidegate.head SET cap_floor = 4, is_plain = false");
	log_subscription *s2 = subscribe_as(&f, t, &late, 1, &PAGES);
	expect(&late, "gap [1-4) of 5;4,to 5 of 5;end 5;");
	log_unsubscribe(s);
	log_unsubscribe(s2);
	buf_dispose(&c.text);
	buf_dispose(&late.text);
	log_topic_unref(t);
	fixture_close(&f);
}
END_TEST

START_TEST(deleted_topic_ends_its_subscriptions)
{
	log_fixture f;
	collector c;
	err e;
	bool deleted = false;
	fixture_open(&f);
	collector_init(&c, -1);
	const log_topic *t = fixture_topic(&f, "orders", 1);
	fixture_append_texts(&f, t, 0, "a", 1, NULL);
	log_subscription *s = subscribe(&f, t, &c, 0);
	expect(&c, "0/0;");
	ck_assert(log_topic_delete(f.engine, f.conn, 1, STR("orders"), &deleted, &e));
	for (int64_t until = clock_now_ms() + 30000; atomic_load(&c.ended) == ERR_NONE && clock_now_ms() < until;) {
		usleep(1000);
	}
	ck_assert_int_eq(atomic_load(&c.ended), ERR_TOPIC_NOT_FOUND);
	log_unsubscribe(s);
	buf_dispose(&c.text);
	log_topic_unref(t);
	fixture_close(&f);
}
END_TEST

enum { MANY = 400, READERS = 12 };

typedef struct producing {
	log_fixture *f;
	const log_topic *t;
} producing;

static void *produce(void *context)
{
	producing *p = context;
	for (int i = 0; i < MANY; i++) {
		fixture_append_texts(p->f, p->t, i % 3, "a", 1, NULL);
	}
	return NULL;
}

/* Every offset of every partition once, in order. */
static bool is_complete(collector *c)
{
	int64_t next[3] = {0};
	bool ok = true;
	pthread_mutex_lock(&c->lock);
	buf_append_byte(&c->text, '\0');
	c->text.len--;
	for (char *at = c->text.len > 0 ? c->text.ptr : NULL; at != NULL && *at != '\0';) {
		char *slash = strchr(at, '/');
		int64_t partition = strtoll(at, NULL, 10);
		int64_t offset = strtoll(slash + 1, &at, 10);
		ck_assert_int_eq(offset, next[partition]);
		next[partition]++;
		at++;
	}
	ok = next[0] + next[1] + next[2] == MANY;
	pthread_mutex_unlock(&c->lock);
	return ok;
}

START_TEST(readers_that_come_while_records_come_see_each_once_in_order)
{
	log_fixture f;
	collector c[READERS];
	log_subscription *s[READERS];
	pthread_t thread;
	fixture_open(&f);
	const log_topic *t = fixture_topic(&f, "orders", 3);
	producing p = {&f, t};
	pthread_create(&thread, NULL, produce, &p);
	for (int i = 0; i < READERS; i++) {
		collector_init(&c[i], -1);
		s[i] = subscribe(&f, t, &c[i], 0);
		usleep(5000);
	}
	pthread_join(thread, NULL);
	for (int i = 0; i < READERS; i++) {
		bool complete = false;
		for (int64_t until = clock_now_ms() + 60000; !complete && clock_now_ms() < until;) {
			complete = is_complete(&c[i]);
			usleep(5000);
		}
		ck_assert(complete);
		log_unsubscribe(s[i]);
		buf_dispose(&c[i].text);
	}
	log_topic_unref(t);
	fixture_close(&f);
}
END_TEST

START_TEST(stopping_engine_ends_its_subscriptions)
{
	log_fixture f;
	collector c;
	fixture_open(&f);
	collector_init(&c, -1);
	const log_topic *t = fixture_topic(&f, "orders", 1);
	fixture_append_texts(&f, t, 0, "a", 1, NULL);
	log_subscription *s = subscribe(&f, t, &c, 0);
	expect(&c, "0/0;");
	log_engine_stop(f.engine, 0);
	ck_assert_int_eq(atomic_load(&c.ended), ERR_SHUTTING_DOWN);
	log_subscription_resume(s);
	log_unsubscribe(s);
	fixture_close(&f);
	buf_dispose(&c.text);
	log_topic_unref(t);
}
END_TEST

/* As a server does that is stopped during an outage: what waits for its next try must not outlive the engine. */
START_TEST(engine_stops_cleanly_while_the_database_is_away)
{
	log_fixture f;
	collector c[3];
	log_subscription *s[3];
	if (!postgres_fixture_can_stop()) {
		return;
	}
	fixture_open(&f);
	const log_topic *t = fixture_topic(&f, "orders", 3);
	const log_topic *u = fixture_topic(&f, "other", 1);
	fixture_append_texts(&f, t, 1, "a", 1, NULL);
	for (int i = 0; i < 3; i++) {
		collector_init(&c[i], -1);
	}
	s[0] = subscribe(&f, t, &c[0], 0);
	s[1] = subscribe(&f, u, &c[1], 0);
	expect(&c[0], "1/0;");
	postgres_fixture_stop();
	wake_everything(f.engine->wakes);  /* the live ones look, and will try again */
	s[2] = subscribe(&f, t, &c[2], 0); /* this one has not caught up */
	usleep(300000);
	wake_everything(f.engine->wakes);
	log_unsubscribe(s[0]);
	log_unsubscribe(s[2]);
	log_unsubscribe(s[1]);
	fixture_close(&f);
	for (int i = 0; i < 3; i++) {
		buf_dispose(&c[i].text);
	}
	log_topic_unref(u);
	log_topic_unref(t);
	postgres_fixture_start();
}
END_TEST

/* ---- formats that write ends ---- */

static void write_value(buf *out, const log_topic *t, const log_record *r, const log_position *after)
{
	(void)t;
	(void)after;
	buf_append_str(out, r->value);
}

static void write_end(buf *out, const log_topic *t, const log_frame_end *end)
{
	(void)t;
	buf_printf(out, "<%lld-%lld:%lld%s%s>", (long long)end->from, (long long)end->after->offsets[0],
			   (long long)end->byte, end->is_at_end ? " end" : "", end->is_closed ? " closed" : "");
}

static bool is_whole(const buf *out)
{
	return out->ptr[out->len - 1] != '-';
}

static const log_format ENDS = {.name = "ends",
								.write_record = write_value,
								.write_gap = write_gap,
								.write_end = write_end,
								.write_closed = write_end,
								.is_whole = is_whole};

static void closed(void *context)
{
	collector *c = context;
	pthread_mutex_lock(&c->lock);
	buf_append_str(&c->text, STR("."));
	pthread_mutex_unlock(&c->lock);
}

static log_subscription *subscribe_ends(log_fixture *f, const log_topic *t, collector *c, const log_prior *prior,
										size_t count)
{
	err e;
	log_position *start = calloc(1, sizeof *start + sizeof(int64_t));
	start->count = 1;
	log_sink sink = {.push = take, .on_error = ended, .context = c, .on_end = closed};
	log_subscription *s = log_subscribe_fork(f->engine, t, prior, count, start, &ENDS, sink, &e);
	ck_assert_ptr_nonnull(s);
	free(start);
	return s;
}

static void append_one(log_fixture *f, const log_topic *t, const char *text, bool close)
{
	arena *a = arena_new(1 << 20);
	str value = str_from_c(text);
	log_append op = {.topic = t, .columns = {.count = text[0] != '\0', .values = &value}, .close = close, .arena = a};
	fixture_append(f, &op);
	ck_assert_int_eq(op.error.code, ERR_NONE);
	arena_free(a);
}

START_TEST(format_is_told_how_a_frame_ends)
{
	log_fixture f;
	collector c;
	collector late;
	fixture_open(&f);
	collector_init(&c, -1);
	collector_init(&late, -1);
	const log_topic *t = fixture_topic(&f, "orders", 1);
	append_one(&f, t, "aa", false);
	append_one(&f, t, "b", false);
	log_subscription *s = subscribe_ends(&f, t, &c, NULL, 0);
	expect(&c, "aab<0-2:3 end>");
	append_one(&f, t, "c", false);
	expect(&c, "aab<0-2:3 end>c<2-3:4 end>");
	/* A close with nothing, and one that comes late. */
	append_one(&f, t, "", true);
	expect(&c, "aab<0-2:3 end>c<2-3:4 end><3-3:4 end closed>.");
	log_subscription *after = subscribe_ends(&f, t, &late, NULL, 0);
	expect(&late, "aabc<0-3:4 end closed>.");
	log_unsubscribe(s);
	log_unsubscribe(after);
	buf_dispose(&c.text);
	buf_dispose(&late.text);
	log_topic_unref(t);
	fixture_close(&f);
}
END_TEST

START_TEST(close_with_records_ends_behind_them_on_every_worker)
{
	log_fixture f[2];
	collector c[2];
	log_subscription *s[2];
	fixture_open(&f[0]);
	fixture_open_on(&f[1], f[0].url);
	const log_topic *t = fixture_topic(&f[0], "orders", 1);
	for (int i = 0; i < 2; i++) {
		collector_init(&c[i], -1);
		s[i] = subscribe_ends(&f[i], t, &c[i], NULL, 0);
	}
	append_one(&f[0], t, "last", true);
	for (int i = 0; i < 2; i++) {
		expect(&c[i], "last<0-1:4 end closed>.");
		log_unsubscribe(s[i]);
		buf_dispose(&c[i].text);
	}
	log_topic_unref(t);
	fixture_close(&f[1]);
	fixture_close(&f[0]);
}
END_TEST

START_TEST(record_that_is_not_whole_waits_for_the_next_or_the_end)
{
	log_fixture f;
	collector c;
	fixture_open(&f);
	collector_init(&c, -1);
	const log_topic *t = fixture_topic(&f, "orders", 1);
	append_one(&f, t, "a", false);
	append_one(&f, t, "b-", false);
	log_subscription *s = subscribe_ends(&f, t, &c, NULL, 0);
	expect(&c, "a<0-1:1>");
	append_one(&f, t, "c", false);
	expect(&c, "a<0-1:1>b-c<1-3:4 end>");
	append_one(&f, t, "d-", true);
	expect(&c, "a<0-1:1>b-c<1-3:4 end>d-<3-4:6 end closed>.");
	log_unsubscribe(s);
	buf_dispose(&c.text);
	log_topic_unref(t);
	fixture_close(&f);
}
END_TEST

/* Makes the topic begin at an offset, as a fork does. */
static void begin_at(log_fixture *f, const log_topic *t, int offset)
{
	db_fixture_sql(f->url,
				   "UPDATE tidegate.head SET next_offset = %d, next_byte = %d, cap_floor = %d WHERE topic_id = %lld",
				   offset, offset, offset, (long long)t->topic_id);
}

START_TEST(fork_begins_with_the_records_of_others)
{
	log_fixture f;
	collector c;
	fixture_open(&f);
	collector_init(&c, -1);
	const log_topic *oldest = fixture_topic(&f, "oldest", 1);
	const log_topic *older = fixture_topic(&f, "older", 1);
	const log_topic *t = fixture_topic(&f, "orders", 1);
	begin_at(&f, older, 1);
	begin_at(&f, t, 2);
	append_one(&f, oldest, "a", false);
	append_one(&f, oldest, "b", true);
	append_one(&f, older, "c", false);
	append_one(&f, older, "d", false);
	log_prior prior[] = {{oldest->topic_id, 1}, {older->topic_id, 2}};
	log_subscription *s = subscribe_ends(&f, t, &c, prior, 2);
	expect(&c, "ac<0-2:2 end>");
	append_one(&f, t, "e", true);
	expect(&c, "ac<0-2:2 end>e<2-3:3 end closed>.");
	log_unsubscribe(s);
	buf_dispose(&c.text);
	log_topic_unref(t);
	log_topic_unref(older);
	log_topic_unref(oldest);
	fixture_close(&f);
}
END_TEST

int main(void)
{
	postgres_fixture_url();
	Suite *s = suite_create("log/tail");
	TCase *c = tcase_create("tail");
	tcase_set_timeout(c, 90);
	tcase_add_test(c, subscriber_gets_what_is_there_and_what_comes);
	tcase_add_test(c, subscriber_of_another_worker_is_woken);
	tcase_add_test(c, full_sink_goes_on_where_it_stopped);
	tcase_add_test(c, gap_is_announced_before_the_records_behind_it);
	tcase_add_test(c, a_format_may_write_whole_pages_and_leave_gaps_to_the_sink);
	tcase_add_test(c, deleted_topic_ends_its_subscriptions);
	tcase_add_test(c, readers_that_come_while_records_come_see_each_once_in_order);
	tcase_add_test(c, format_is_told_how_a_frame_ends);
	tcase_add_test(c, close_with_records_ends_behind_them_on_every_worker);
	tcase_add_test(c, record_that_is_not_whole_waits_for_the_next_or_the_end);
	tcase_add_test(c, fork_begins_with_the_records_of_others);
	tcase_add_test(c, stopping_engine_ends_its_subscriptions);
	tcase_add_test(c, engine_stops_cleanly_while_the_database_is_away);
	suite_add_tcase(s, c);
	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? 0 : 1;
}
