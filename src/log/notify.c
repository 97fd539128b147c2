/*
 * log/notify: the link between workers: LISTEN on one connection, coalesced NOTIFY on another, and the slow poll behind
 * both.
 *
 * Payload  "<sender> <kind> …": a <topic>:<partition> … appended; t <topic> changed; * everything; hello, here, bye:
 * presence. NOTIFY inside an append's transaction would take a database-wide lock across its flush
 * (docs/decisions/0003), so a thread of its own sends what is pending as soon as its previous NOTIFY is done. A worker
 * that knows of no other one sends nothing: presence is announced at start and every HERE_MS, and whoever hears of a new
 * one says once that everything may have changed. What is lost on the way costs a poll period, never a record.
 */
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/id.h"
#include "db/columns.h"
#include "log/private.h"
#include "sql/head.h"
#include "sql/notify.h"

enum {
	PENDING_SLOTS = 4096,
	PENDING_MAX = 2048,
	PAYLOAD_MAX = 7000,
	PEERS_MAX = 256,
	HERE_MS = 10000,
	PEER_LIFE_MS = 35000,
	POLL_TOPICS = 500,
	RETRY_MS = 500
};

typedef struct pending {
	int64_t topic_id;  /* 0 = empty slot */
	int32_t partition; /* -1 = the topic itself changed */
} pending;

typedef struct peer {
	uint64_t id;
	int64_t seen_ms;
} peer;

struct notify_link {
	log_engine *engine;
	uint64_t id;
	pthread_t listener;
	pthread_t notifier;
	bool listener_is_started;
	bool notifier_is_started;
	int wake_fd;
	atomic_bool is_stopping;
	atomic_bool is_up;
	atomic_bool has_peers;
	atomic_bool poll_is_running;

	pthread_mutex_t lock;
	pthread_cond_t changed;
	pending slots[PENDING_SLOTS]; /* open addressing */
	uint32_t pending_count;
	bool everything; /* the set overflowed */
	bool no_more_polls;
	bool say_hello;
	bool say_here;
	int64_t oldest_us; /* when the oldest pending entry came */
	peer peers[PEERS_MAX];

	metric *lag;
	metric *sent;
};

/* ---- what is pending ---- */

/* Caller holds the lock. */
static void add_pending(notify_link *n, int64_t topic_id, int32_t partition)
{
	uint64_t hash = ((uint64_t)topic_id * 0x9E3779B97F4A7C15u) ^ ((uint64_t)(uint32_t)partition * 0xC2B2AE3D27D4EB4Fu);
	uint32_t slot = (uint32_t)(hash >> 32) % PENDING_SLOTS;
	if (n->everything) {
		return;
	}
	while (n->slots[slot].topic_id != 0) {
		if (n->slots[slot].topic_id == topic_id && n->slots[slot].partition == partition) {
			return;
		}
		slot = (slot + 1) % PENDING_SLOTS;
	}
	if (n->pending_count == PENDING_MAX) {
		n->everything = true;
		return;
	}
	if (n->pending_count == 0) {
		n->oldest_us = clock_now_us();
		pthread_cond_signal(&n->changed);
	}
	n->slots[slot] = (pending){topic_id, partition};
	n->pending_count++;
}

void notify_appended(notify_link *n, int64_t topic_id, int32_t partition)
{
	if (atomic_load_explicit(&n->has_peers, memory_order_relaxed)) {
		pthread_mutex_lock(&n->lock);
		add_pending(n, topic_id, partition);
		pthread_mutex_unlock(&n->lock);
	}
}

void notify_topic_changed(notify_link *n, int64_t topic_id)
{
	pthread_mutex_lock(&n->lock);
	add_pending(n, topic_id, -1);
	pthread_mutex_unlock(&n->lock);
}

/* ---- sending ---- */

static bool send_payload(db_conn *conn, const buf *payload, err *e)
{
	db_params p;
	db_params_init(&p);
	db_param_str(&p, buf_str(payload));
	return db_do(conn, &SQL_NOTIFY_SEND, &p, NULL, e);
}

static void begin_payload(notify_link *n, buf *payload, const char *kind)
{
	buf_clear(payload);
	buf_printf(payload, "%016" PRIx64 " %s", n->id, kind);
}

static bool send_word(notify_link *n, db_conn *conn, buf *payload, const char *word, err *e)
{
	begin_payload(n, payload, word);
	return send_payload(conn, payload, e);
}

static bool send_entries(notify_link *n, db_conn *conn, buf *payload, const pending *entries, size_t count, bool topics,
						 err *e)
{
	const char *kind = topics ? "t" : "a";
	bool any = false;
	begin_payload(n, payload, kind);
	for (size_t i = 0; i < count; i++) {
		if ((entries[i].partition < 0) != topics) {
			continue;
		}
		if (payload->len > PAYLOAD_MAX) {
			if (!send_payload(conn, payload, e)) {
				return false;
			}
			begin_payload(n, payload, kind);
		}
		any = true;
		buf_printf(payload, " %" PRId64 ":%" PRId32, entries[i].topic_id, entries[i].partition);
	}
	return !any || send_payload(conn, payload, e);
}

/* Caller holds the lock. */
static size_t take_pending(notify_link *n, pending *out)
{
	size_t count = 0;
	for (uint32_t slot = 0; slot < PENDING_SLOTS && count < n->pending_count; slot++) {
		if (n->slots[slot].topic_id != 0) {
			out[count++] = n->slots[slot];
			n->slots[slot].topic_id = 0;
		}
	}
	n->pending_count = 0;
	return count;
}

static void *notifier_main(void *context)
{
	notify_link *n = context;
	const log_engine_options *o = &n->engine->options;
	db_conn_options options = {.url = o->database_url,
							   .role = "notifier",
							   .relaxed_commit = true,
							   .timeout_ms = o->database_timeout_ms,
							   .log = o->log};
	db_conn *conn = db_conn_new(&options);
	pending *entries = calloc(PENDING_MAX, sizeof *entries);
	buf payload;
	buf_init(&payload, PAYLOAD_MAX * 2);
	pthread_mutex_lock(&n->lock);
	while (conn != NULL && entries != NULL) {
		while (!atomic_load(&n->is_stopping) && n->pending_count == 0 && !n->everything && !n->say_hello &&
			   !n->say_here) {
			pthread_cond_wait(&n->changed, &n->lock);
		}
		bool stopping = atomic_load(&n->is_stopping);
		bool everything = n->everything;
		bool hello = n->say_hello;
		bool here = n->say_here;
		int64_t oldest_us = n->oldest_us;
		size_t count = take_pending(n, entries);
		n->everything = false;
		n->say_hello = false;
		n->say_here = false;
		pthread_mutex_unlock(&n->lock);

		err e;
		bool ok = db_conn_ensure(conn, &e);
		ok = ok && (!hello || send_word(n, conn, &payload, "hello", &e));
		ok = ok && (!here || send_word(n, conn, &payload, "here", &e));
		ok = ok && (!everything || send_word(n, conn, &payload, "*", &e));
		ok = ok && send_entries(n, conn, &payload, entries, count, true, &e);
		ok = ok && send_entries(n, conn, &payload, entries, count, false, &e);
		if (ok && (count > 0 || everything)) {
			metric_observe(n->lag, (uint64_t)(clock_now_us() - oldest_us));
			metric_add(n->sent, 1);
		}
		if (stopping) {
			(void)(ok && send_word(n, conn, &payload, "bye", &e));
			pthread_mutex_lock(&n->lock);
			break;
		}
		pthread_mutex_lock(&n->lock);
		if (!ok) {
			/* The others poll meanwhile; tell them to look at everything once we are back. */
			n->everything = n->everything || count > 0 || everything;
			n->say_hello = n->say_hello || hello;
			pthread_mutex_unlock(&n->lock);
			usleep(RETRY_MS * 1000);
			pthread_mutex_lock(&n->lock);
		}
	}
	pthread_mutex_unlock(&n->lock);
	buf_dispose(&payload);
	free(entries);
	db_conn_free(conn);
	return NULL;
}

/* ---- presence ---- */

/* Caller holds the lock. */
static void count_peers(notify_link *n)
{
	int64_t now_ms = clock_now_ms();
	bool any = false;
	for (int i = 0; i < PEERS_MAX; i++) {
		if (n->peers[i].id != 0 && now_ms - n->peers[i].seen_ms > PEER_LIFE_MS) {
			n->peers[i].id = 0;
		}
		any = any || n->peers[i].id != 0;
	}
	atomic_store(&n->has_peers, any);
}

static void note_peer(notify_link *n, uint64_t id, bool is_leaving)
{
	int place = -1;
	pthread_mutex_lock(&n->lock);
	for (int i = 0; i < PEERS_MAX; i++) {
		if (n->peers[i].id == id) {
			place = i;
			break;
		}
		if (n->peers[i].id == 0 && place < 0) {
			place = i;
		}
	}
	if (place >= 0) {
		bool is_new = n->peers[place].id == 0 && !is_leaving;
		n->peers[place] = (peer){is_leaving ? 0 : id, clock_now_ms()};
		if (is_new) {
			/* It was told nothing so far, and may have read before what was appended since. */
			n->everything = true;
			n->oldest_us = clock_now_us();
			pthread_cond_signal(&n->changed);
		}
	}
	count_peers(n);
	pthread_mutex_unlock(&n->lock);
}

static void ask_notifier(notify_link *n, bool *what)
{
	pthread_mutex_lock(&n->lock);
	*what = true;
	count_peers(n);
	pthread_cond_signal(&n->changed);
	pthread_mutex_unlock(&n->lock);
}

/* ---- hearing ---- */

static void hear_entries(notify_link *n, str rest, bool topics)
{
	str word;
	while (rest.len > 0) {
		str topic;
		str partition;
		int64_t topic_id;
		int64_t number;
		str_split(rest, ' ', &word, &rest);
		str_split(word, ':', &topic, &partition);
		if (!str_parse_i64(topic, 1, INT64_MAX, &topic_id) ||
			!str_parse_i64(partition, -1, LOG_PARTITIONS_MAX, &number)) {
			continue;
		}
		if (topics) {
			shared_map_clear(n->engine->topics);
		}
		wake_topic(n->engine->wakes, topic_id, topics ? LOG_ALL_PARTITIONS : (int32_t)number);
	}
}

static bool parse_hex_id(str text, uint64_t *out)
{
	uint64_t id = 0;
	if (text.len != 16) {
		return false;
	}
	for (size_t i = 0; i < text.len; i++) {
		char c = text.ptr[i];
		if ((c < '0' || c > '9') && (c < 'a' || c > 'f')) {
			return false;
		}
		id = id << 4 | (uint64_t)(c <= '9' ? c - '0' : c - 'a' + 10);
	}
	*out = id;
	return true;
}

static void hear(notify_link *n, str payload)
{
	str sender;
	str kind;
	str rest;
	uint64_t id;
	str_split(payload, ' ', &sender, &rest);
	str_split(rest, ' ', &kind, &rest);
	if (!parse_hex_id(sender, &id) || id == n->id) {
		return;
	}
	note_peer(n, id, str_equal(kind, STR("bye")));
	if (str_equal(kind, STR("hello"))) {
		ask_notifier(n, &n->say_here);
	} else if (str_equal(kind, STR("a"))) {
		hear_entries(n, rest, false);
	} else if (str_equal(kind, STR("t"))) {
		hear_entries(n, rest, true);
	} else if (str_equal(kind, STR("*"))) {
		shared_map_clear(n->engine->topics);
		wake_everything(n->engine->wakes);
	}
}

/* ---- the slow poll ---- */

static void poll_chunk(notify_link *n, db_conn *conn, const int64_t *ids, size_t count)
{
	db_params p;
	db_columns c;
	db_result *r = NULL;
	err e;
	db_params_init(&p);
	db_columns_init(&c, 64 + 12 * POLL_TOPICS);
	db_columns_add_i64(&c, ids, count);
	if (db_columns_bind(&c, &p, &e) && db_run(conn, &SQL_HEAD_MARKS, &p, &r, &e)) {
		for (int i = 0; i < db_rows(r); i++) {
			if (db_is_null(r, i, 1)) {
				/* It is gone, and whoever still waits has missed that. */
				wake_topic(n->engine->wakes, db_i64(r, i, 0), LOG_ALL_PARTITIONS);
			} else {
				wake_seen(n->engine->wakes, db_i64(r, i, 0), db_i32(r, i, 1), db_i64(r, i, 2));
			}
		}
		db_result_free(r);
	}
	db_columns_dispose(&c);
}

static void poll_run(void *context, db_conn *conn)
{
	notify_link *n = context;
	int64_t ids[POLL_TOPICS];
	int64_t after = 0;
	size_t count;
	while ((count = wake_watched(n->engine->wakes, after, ids, POLL_TOPICS)) > 0) {
		poll_chunk(n, conn, ids, count);
		after = ids[count - 1];
	}
	atomic_store(&n->poll_is_running, false);
}

static void poll_refuse(void *context, const err *e)
{
	notify_link *n = context;
	(void)e;
	atomic_store(&n->poll_is_running, false);
}

static void poll_start(notify_link *n)
{
	int64_t id;
	err e;
	if (wake_watched(n->engine->wakes, 0, &id, 1) == 0) {
		return;
	}
	pthread_mutex_lock(&n->lock);
	if (!n->no_more_polls && !atomic_exchange(&n->poll_is_running, true) &&
		!db_pool_submit(n->engine->options.pool, (db_job){poll_run, poll_refuse, n}, &e)) {
		atomic_store(&n->poll_is_running, false);
	}
	pthread_mutex_unlock(&n->lock);
}

void notify_link_stop_polling(notify_link *n)
{
	pthread_mutex_lock(&n->lock);
	n->no_more_polls = true;
	pthread_mutex_unlock(&n->lock);
}

/* ---- the listener ---- */

static bool listen_all(notify_link *n, db_conn *conn, err *e)
{
	bool ok = db_conn_ensure(conn, e) && db_listen(conn, "tidegate", e);
	for (size_t i = 0; i < LOG_CHANNELS_MAX && ok; i++) {
		const log_channel *c = &n->engine->options.channels[i];
		ok = c->name == NULL || db_listen(conn, c->name, e);
	}
	return ok;
}

/* For those who listen to the channel, or to everybody when `channel` is STR_NONE. */
static void pass_on(notify_link *n, str channel, str payload)
{
	for (size_t i = 0; i < LOG_CHANNELS_MAX; i++) {
		const log_channel *c = &n->engine->options.channels[i];
		if (c->name != NULL && (channel.ptr == NULL || str_equal(channel, str_from_c(c->name)))) {
			c->hear(c->context, payload);
		}
	}
}

/* Until the connection breaks or the link stops. */
static void listen_on(notify_link *n, db_conn *conn, err *e)
{
	const log_engine_options *o = &n->engine->options;
	int64_t next_here_ms = clock_now_ms() + HERE_MS;
	int64_t next_poll_ms = clock_now_ms() + o->poll_interval_ms;
	while (!atomic_load(&n->is_stopping)) {
		str channel;
		str payload;
		int64_t until_ms = next_here_ms < next_poll_ms ? next_here_ms : next_poll_ms;
		if (db_wait_notification(conn, until_ms, n->wake_fd, &channel, &payload, e)) {
			if (str_equal(channel, STR("tidegate"))) {
				hear(n, payload);
			} else {
				pass_on(n, channel, payload);
			}
		} else if (e->code != ERR_TIMEOUT) {
			return;
		}
		if (clock_now_ms() >= next_here_ms) {
			next_here_ms = clock_now_ms() + HERE_MS;
			ask_notifier(n, &n->say_here);
		}
		if (clock_now_ms() >= next_poll_ms) {
			next_poll_ms = clock_now_ms() + o->poll_interval_ms;
			poll_start(n);
		}
	}
}

static void *listener_main(void *context)
{
	notify_link *n = context;
	const log_engine_options *o = &n->engine->options;
	db_conn_options options = {.url = o->database_url,
							   .role = "listener",
							   .session_features = true,
							   .timeout_ms = o->database_timeout_ms,
							   .log = o->log};
	db_conn *conn = db_conn_new(&options);
	while (conn != NULL && !atomic_load(&n->is_stopping)) {
		err e;
		err_clear(&e);
		if (listen_all(n, conn, &e)) {
			atomic_store(&n->is_up, true);
			ask_notifier(n, &n->say_hello);
			/* Whatever was said while nobody listened. */
			shared_map_clear(n->engine->topics);
			wake_everything(n->engine->wakes);
			pass_on(n, STR_NONE, STR_NONE);
			listen_on(n, conn, &e);
		}
		if (atomic_load(&n->is_stopping)) {
			break;
		}
		if (atomic_exchange(&n->is_up, false)) {
			slog_err(o->log, SLOG_WARN, "notify", "lost the listening connection; polling until it is back", &e);
		}
		db_conn_close(conn);
		poll_start(n);
		usleep(RETRY_MS * 1000);
	}
	db_conn_free(conn);
	return NULL;
}

/* ---- life ---- */

notify_link *notify_link_new(log_engine *engine, err *e)
{
	notify_link *n = calloc(1, sizeof *n);
	if (n == NULL) {
		err_set(e, ERR_NO_MEMORY, "out of memory");
		return NULL;
	}
	n->engine = engine;
	n->id = id_random_u64() | 1;
	n->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	pthread_mutex_init(&n->lock, NULL);
	pthread_cond_init(&n->changed, NULL);
	n->lag = metric_histogram(engine->options.metrics, "tidegate_notify_seconds",
							  "from a commit to the NOTIFY that tells other workers", NULL, true);
	n->sent = metric_counter(engine->options.metrics, "tidegate_notify_total", "rounds of NOTIFY sent", NULL);
	n->listener_is_started = n->wake_fd >= 0 && pthread_create(&n->listener, NULL, listener_main, n) == 0;
	n->notifier_is_started = n->listener_is_started && pthread_create(&n->notifier, NULL, notifier_main, n) == 0;
	if (!n->notifier_is_started) {
		err_set(e, ERR_NO_MEMORY, "cannot start the notification threads");
		notify_link_free(n);
		return NULL;
	}
	return n;
}

bool notify_link_is_up(notify_link *n)
{
	return atomic_load(&n->is_up);
}

void notify_link_free(notify_link *n)
{
	uint64_t one = 1;
	if (n == NULL) {
		return;
	}
	pthread_mutex_lock(&n->lock);
	atomic_store(&n->is_stopping, true);
	pthread_cond_broadcast(&n->changed);
	pthread_mutex_unlock(&n->lock);
	if (n->wake_fd >= 0 && write(n->wake_fd, &one, sizeof one) < 0 && errno != EAGAIN) {
		SLOG(n->engine->options.log, SLOG_WARN, "notify", "cannot wake the listener", F_INT("errno", errno));
	}
	if (n->listener_is_started) {
		pthread_join(n->listener, NULL);
	}
	if (n->notifier_is_started) {
		pthread_join(n->notifier, NULL);
	}
	/* A poll still on its way has the link as its context. */
	while (atomic_load(&n->poll_is_running)) {
		usleep(1000);
	}
	if (n->wake_fd >= 0) {
		close(n->wake_fd);
	}
	pthread_cond_destroy(&n->changed);
	pthread_mutex_destroy(&n->lock);
	free(n);
}
