#include "api/topics/watch_keeper.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "db/array.h"
#include "db/conn.h"
#include "sql/watch.h"

enum { TOUCHES_A_TTL = 4, ARRAYS_BYTES_MAX = 256 << 20, ROW_BYTES_MAX = 1 << 20 };

struct watch_keeper {
	api *api;
	int64_t touch_ms; /* a session without news is saved this often */
	pthread_mutex_t lock;
	watch_kept *first;
	size_t count;
	bool is_saving;
	bool is_timed;
};

/* ---- the list; the caller holds the lock ---- */

static void unlink_kept(watch_keeper *keeper, watch_kept *k)
{
	if (k->prev != NULL) {
		k->prev->next = k->next;
	} else {
		keeper->first = k->next;
	}
	if (k->next != NULL) {
		k->next->prev = k->prev;
	}
	k->next = NULL;
	k->prev = NULL;
	keeper->count--;
}

static void on_time(void *context);

static void arm(watch_keeper *keeper)
{
	if (!keeper->is_timed && keeper->count > 0) {
		timer *t = log_engine_timer(keeper->api->log);
		keeper->is_timed = timer_schedule(t, clock_now_ms() + WATCH_SAVE_MS, on_time, keeper) != 0;
	}
}

/* ---- saving ---- */

/* What a save is about. It may be closed meanwhile: then another one follows. */
typedef struct due {
	watch_kept *kept;
	bool was_closed;
} due;

/* Takes a reference of each; they are due when they are closed, have news or a topic to be tried again, or were not saved
 * for long. */
static size_t collect(watch_keeper *keeper, bool only_closed, due *out)
{
	size_t count = 0;
	int64_t now_ms = clock_now_ms();
	pthread_mutex_lock(&keeper->lock);
	for (watch_kept *k = keeper->first; k != NULL && count < WATCH_SAVES_MAX; k = k->next) {
		bool is_due = k->is_closed || (!only_closed && now_ms - k->saved_at_ms >= keeper->touch_ms) ||
					  (!only_closed && now_ms - k->saved_at_ms >= WATCH_SAVE_MS &&
					   (watch_set_has_news(k->set) || watch_set_has_refused(k->set)));
		if (is_due && k->saved_at_ms != now_ms) {
			k->ref(k);
			k->saved_at_ms = now_ms;
			out[count++] = (due){k, k->is_closed};
		}
	}
	pthread_mutex_unlock(&keeper->lock);
	return count;
}

typedef struct save_arrays {
	buf wids;
	buf generations;
	buf topic_ids;
	buf positions;
} save_arrays;

static void write_arrays(save_arrays *out, const due *list, size_t count)
{
	db_array_builder wids;
	db_array_builder generations;
	db_array_builder topic_ids;
	db_array_builder positions;
	buf ids_text;
	buf positions_text;
	buf_init(&out->wids, ARRAYS_BYTES_MAX);
	buf_init(&out->generations, ARRAYS_BYTES_MAX);
	buf_init(&out->topic_ids, ARRAYS_BYTES_MAX);
	buf_init(&out->positions, ARRAYS_BYTES_MAX);
	buf_init(&ids_text, ROW_BYTES_MAX);
	buf_init(&positions_text, ROW_BYTES_MAX);
	db_array_begin(&wids, &out->wids, DB_BYTEA);
	db_array_begin(&generations, &out->generations, DB_INT8);
	db_array_begin(&topic_ids, &out->topic_ids, DB_TEXT);
	db_array_begin(&positions, &out->positions, DB_TEXT);
	for (size_t i = 0; i < count; i++) {
		bool has_news = false;
		buf_clear(&ids_text);
		buf_clear(&positions_text);
		watch_set_write_arrays(list[i].kept->set, &ids_text, &positions_text, &has_news);
		db_array_add_str(&wids, (str){(const char *)list[i].kept->id.bytes, sizeof list[i].kept->id.bytes});
		db_array_add_i64(&generations, list[i].kept->generation);
		db_array_add_str(&topic_ids, buf_str(&ids_text));
		db_array_add_str(&positions, buf_str(&positions_text));
	}
	db_array_end(&wids);
	db_array_end(&generations);
	db_array_end(&topic_ids);
	db_array_end(&positions);
	out->wids.failed = out->wids.failed || ids_text.failed || positions_text.failed;
	buf_dispose(&ids_text);
	buf_dispose(&positions_text);
}

static bool was_saved(const db_result *r, const watch_kept *k)
{
	str wid = {(const char *)k->id.bytes, sizeof k->id.bytes};
	for (int row = 0; row < db_rows(r); row++) {
		if (str_equal(db_str(r, row, 0), wid)) {
			return true;
		}
	}
	return false;
}

/* *saved: what came back. NULL when the database did not answer. */
static bool save(log_conn *conn, const due *list, size_t count, db_result **saved, err *e)
{
	db_params p;
	save_arrays arrays;
	write_arrays(&arrays, list, count);
	db_params_init(&p);
	db_param_str(&p, buf_str(&arrays.wids));
	db_param_str(&p, buf_str(&arrays.generations));
	db_param_str(&p, buf_str(&arrays.topic_ids));
	db_param_str(&p, buf_str(&arrays.positions));
	bool has_memory =
		!arrays.wids.failed && !arrays.generations.failed && !arrays.topic_ids.failed && !arrays.positions.failed;
	bool ok = has_memory ? db_run(conn, &SQL_WATCH_SESSION_SAVE, &p, saved, e)
						 : err_set(e, ERR_NO_MEMORY, "no memory to save positions");
	buf_dispose(&arrays.wids);
	buf_dispose(&arrays.generations);
	buf_dispose(&arrays.topic_ids);
	buf_dispose(&arrays.positions);
	return ok;
}

/* A closed stream leaves the list, at the latest after a second try; its client has Last-Event-ID. */
static void settle(watch_keeper *keeper, const due *d, const db_result *saved)
{
	watch_kept *k = d->kept;
	pthread_mutex_lock(&keeper->lock);
	bool is_over = d->was_closed && (saved != NULL || k->is_late);
	k->is_late = d->was_closed;
	if (is_over) {
		unlink_kept(keeper, k);
	}
	pthread_mutex_unlock(&keeper->lock);
	if (!d->was_closed && saved != NULL && !was_saved(saved, k)) {
		k->superseded(k);
	} else if (!d->was_closed) {
		watch_set_retry(k->set);
	}
	if (is_over) {
		k->unref(k);
	}
	k->unref(k);
}

static bool save_some(watch_keeper *keeper, log_conn *conn, bool only_closed)
{
	due list[WATCH_SAVES_MAX];
	db_result *saved = NULL;
	err e;
	size_t count = collect(keeper, only_closed, list);
	bool ok = count > 0 && save(conn, list, count, &saved, &e);
	if (count > 0 && !ok) {
		slog_err(keeper->api->slog, SLOG_WARN, "watch", "positions of watch sessions were not saved", &e);
	}
	for (size_t i = 0; i < count; i++) {
		settle(keeper, &list[i], ok ? saved : NULL);
	}
	db_result_free(saved);
	return ok && count == WATCH_SAVES_MAX;
}

static void save_job(void *context, log_conn *conn)
{
	watch_keeper *keeper = context;
	bool goes_on = true;
	while (save_some(keeper, conn, false)) {
	}
	while (goes_on) {
		while (save_some(keeper, conn, true)) {
		}
		pthread_mutex_lock(&keeper->lock);
		bool has_new = false;
		for (const watch_kept *k = keeper->first; k != NULL && !has_new; k = k->next) {
			has_new = k->is_closed && !k->is_late;
		}
		goes_on = has_new;
		keeper->is_saving = goes_on;
		pthread_mutex_unlock(&keeper->lock);
	}
}

static void refuse_job(void *context, const err *e)
{
	watch_keeper *keeper = context;
	(void)e;
	pthread_mutex_lock(&keeper->lock);
	keeper->is_saving = false;
	arm(keeper);
	pthread_mutex_unlock(&keeper->lock);
}

static void start_saving(watch_keeper *keeper)
{
	err e;
	pthread_mutex_lock(&keeper->lock);
	bool starts = !keeper->is_saving && keeper->count > 0;
	keeper->is_saving = keeper->is_saving || starts;
	pthread_mutex_unlock(&keeper->lock);
	if (starts && !log_engine_submit(keeper->api->log, (log_job){save_job, refuse_job, keeper}, &e)) {
		refuse_job(keeper, &e);
	}
}

static void on_time(void *context)
{
	watch_keeper *keeper = context;
	pthread_mutex_lock(&keeper->lock);
	keeper->is_timed = false;
	arm(keeper);
	pthread_mutex_unlock(&keeper->lock);
	start_saving(keeper);
}

/* ---- streams ---- */

void watch_keeper_add(watch_keeper *keeper, watch_kept *k)
{
	k->ref(k);
	pthread_mutex_lock(&keeper->lock);
	k->saved_at_ms = clock_now_ms();
	k->prev = NULL;
	k->next = keeper->first;
	if (k->next != NULL) {
		k->next->prev = k;
	}
	keeper->first = k;
	keeper->count++;
	arm(keeper);
	pthread_mutex_unlock(&keeper->lock);
}

void watch_keeper_close(watch_keeper *keeper, watch_kept *k)
{
	pthread_mutex_lock(&keeper->lock);
	k->is_closed = true;
	k->saved_at_ms = 0;
	pthread_mutex_unlock(&keeper->lock);
	start_saving(keeper);
}

/* The newest stream of the session that is older than `generation`, with a reference; NULL: none. */
static watch_kept *find_older(watch_keeper *keeper, const watch_id *id, int64_t generation)
{
	watch_kept *found = NULL;
	pthread_mutex_lock(&keeper->lock);
	for (watch_kept *k = keeper->first; k != NULL; k = k->next) {
		if (k->generation < generation && watch_id_equal(&k->id, id) &&
			(found == NULL || k->generation > found->generation)) {
			found = k;
		}
	}
	if (found != NULL) {
		found->ref(found);
	}
	pthread_mutex_unlock(&keeper->lock);
	return found;
}

watch_kept *watch_keeper_newest(watch_keeper *keeper, const watch_id *id)
{
	return find_older(keeper, id, INT64_MAX);
}

void watch_keeper_take_over(watch_keeper *keeper, watch_kept *newest, const watch_id *id, watch_session *s)
{
	watch_kept *older = s->generation > 1 ? find_older(keeper, id, s->generation) : NULL;
	if (newest != NULL && older == NULL && newest->generation == s->generation - 1) {
		older = newest; /* it ended meanwhile, unsaved */
	} else if (newest != NULL) {
		newest->unref(newest);
	}
	if (older == NULL) {
		return;
	}
	watch_set_freeze(older->set);
	for (size_t i = 0; i < s->topic_count; i++) {
		watch_session_topic *t = &s->topics[i];
		(void)watch_set_find_position(older->set, t->name, t->topic_id, &t->seq);
	}
	older->superseded(older);
	older->unref(older);
}

void watch_keeper_hear(watch_keeper *keeper, str payload)
{
	str hex;
	str number;
	watch_id id;
	int64_t generation;
	if (payload.ptr == NULL) {
		/* The next saves will find out. */
		return;
	}
	if (!str_split(payload, ' ', &hex, &number) || !watch_id_read_hex(hex, &id) ||
		!str_parse_i64(number, 0, INT64_MAX, &generation)) {
		return;
	}
	watch_kept *older = find_older(keeper, &id, generation);
	if (older != NULL) {
		older->superseded(older);
		older->unref(older);
	}
}

size_t watch_keeper_count(watch_keeper *keeper)
{
	pthread_mutex_lock(&keeper->lock);
	size_t count = keeper->count;
	pthread_mutex_unlock(&keeper->lock);
	return count;
}

/* ---- life ---- */

watch_keeper *watch_keeper_new(api *a)
{
	watch_keeper *keeper = calloc(1, sizeof *keeper);
	if (keeper != NULL) {
		keeper->api = a;
		keeper->touch_ms = a->config->topics_watch_session_ttl_ms / TOUCHES_A_TTL;
		pthread_mutex_init(&keeper->lock, NULL);
	}
	return keeper;
}

void watch_keeper_free(watch_keeper *keeper)
{
	if (keeper == NULL) {
		return;
	}
	/* What could not be saved in time. */
	while (keeper->first != NULL) {
		watch_kept *k = keeper->first;
		unlink_kept(keeper, k);
		k->unref(k);
	}
	pthread_mutex_destroy(&keeper->lock);
	free(keeper);
}
