#include "api/topics/watch_set.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "api/topics/state_text.h"
#include "api/topics/watch_cursor.h"
#include "base/jwrite.h"

enum { ENTRIES_FIRST = 4, ID_BYTES_MAX = 16 << 20, FRAME_BYTES_MAX = 16 << 10 };

typedef struct entry {
	watch_set *set;
	const log_topic *topic; /* NULL: gone before it was read */
	const log_format *format;
	log_subscription *subscription; /* under `life` */
	int64_t topic_id;
	int64_t position; /* after what was sent last */
	watch_tombstone first;
	frame *pending;  /* to be sent before anything else */
	bool has_first;  /* begins with the tombstone `first` */
	bool is_started; /* under `life` */
	bool has_begun;  /* something was sent */
	bool is_stalled; /* waits for room */
	bool is_gone;
	str name;
	str member; /* the name as a key of the id */
	char text[];
} entry;

/*
 * `life` orders what begins and ends subscriptions; `lock` guards the rest and is held while the sink is called.
 * Locks are taken in the order life, the subscription's, lock, the sink's own.
 */
struct watch_set {
	api *api;
	watch_surface surface;
	watch_sink sink;
	pthread_mutex_t life;
	pthread_mutex_t lock;
	entry **entries; /* changed under both */
	size_t count;
	size_t capacity;
	size_t turn; /* whose turn it is after a stall */
	size_t ended;
	bool is_closed;
	bool has_news;
	buf json; /* an id in the making */
};

/* ---- sending; the caller holds the lock ---- */

static http_push deliver(entry *en, frame *f, int64_t position)
{
	watch_set *s = en->set;
	int64_t before = en->position;
	if (s->is_closed) {
		return HTTP_PUSH_CLOSED;
	}
	en->position = position;
	http_push pushed = s->sink.send(s->sink.context, s, f);
	if (pushed == HTTP_PUSH_OK) {
		en->has_begun = true;
		s->has_news = true;
	} else {
		en->position = before;
		en->is_stalled = en->is_stalled || pushed == HTTP_PUSH_FULL;
	}
	return pushed;
}

static void fail(entry *en, const err *e)
{
	if (!en->set->is_closed) {
		en->set->sink.on_failed(en->set->sink.context, en->name, e);
	}
}

static void fail_for_memory(entry *en)
{
	err e;
	err_set(&e, ERR_NO_MEMORY, "the server has no memory left for this connection; connect again later");
	fail(en, &e);
}

static void count_ended(entry *en)
{
	watch_set *s = en->set;
	s->ended++;
	if (s->ended == s->count && s->sink.on_over != NULL && !s->is_closed) {
		s->sink.on_over(s->sink.context);
	}
}

/* Sends what waits; when that was the topic's end, nothing follows. */
static http_push deliver_pending(entry *en)
{
	int64_t position = en->has_first ? en->first.earliest_seq - 1 : en->position;
	http_push pushed = deliver(en, en->pending, position);
	if (pushed == HTTP_PUSH_OK) {
		frame_unref(en->pending);
		en->pending = NULL;
		en->has_first = false;
		if (en->is_gone) {
			count_ended(en);
		}
	}
	return pushed;
}

static frame *take_frame(buf *out)
{
	frame *f = out->failed ? NULL : frame_new(buf_str(out));
	buf_dispose(out);
	return f;
}

static frame *tombstone_frame(entry *en, const watch_tombstone *t)
{
	buf out;
	watch_tombstone told = *t;
	/* The first look of an event stream says only that its reader came too late. */
	if (en->set->surface == WATCH_EVENTS && !en->has_begun) {
		told.reason = "from_seq_too_old";
	}
	buf_init(&out, FRAME_BYTES_MAX);
	watch_write_tombstone(&out, en->set->surface, en->name, &told);
	return take_frame(&out);
}

static void tell_deleted(entry *en)
{
	buf out;
	buf_init(&out, FRAME_BYTES_MAX);
	watch_write_deleted(&out, en->set->surface, en->name, en->position);
	frame_unref(en->pending);
	en->has_first = false;
	en->is_gone = true;
	en->pending = take_frame(&out);
	if (en->pending == NULL) {
		fail_for_memory(en);
	} else {
		(void)deliver_pending(en);
	}
}

/* ---- called by the log ---- */

static http_push take(entry *en, const log_delivery *d)
{
	int64_t after = d->after->offsets[0];
	if (d->frame != NULL) {
		return deliver(en, d->frame, after);
	}
	const watch_tombstone t = {.reason = state_gap_reason(d->gap),
							   .gap_from = d->gap->from + 1,
							   .gap_to = d->gap->to,
							   .earliest_seq = d->gap->to + 1,
							   .head_seq = d->end_offset};
	frame *f = tombstone_frame(en, &t);
	if (f == NULL) {
		fail_for_memory(en);
		return HTTP_PUSH_CLOSED;
	}
	http_push pushed = deliver(en, f, after);
	frame_unref(f);
	return pushed;
}

static log_push push(void *context, const log_delivery *d)
{
	static const log_push answers[] = {
		[HTTP_PUSH_OK] = LOG_PUSH_OK, [HTTP_PUSH_FULL] = LOG_PUSH_FULL, [HTTP_PUSH_CLOSED] = LOG_PUSH_CLOSED};
	entry *en = context;
	pthread_mutex_lock(&en->set->lock);
	http_push pushed = take(en, d);
	pthread_mutex_unlock(&en->set->lock);
	return answers[pushed];
}

static void on_error(void *context, const err *e)
{
	entry *en = context;
	pthread_mutex_lock(&en->set->lock);
	if (e->code == ERR_TOPIC_NOT_FOUND) {
		tell_deleted(en);
	} else {
		fail(en, e);
	}
	pthread_mutex_unlock(&en->set->lock);
}

/* ---- beginning to read; the caller holds `life` ---- */

static void subscribe(entry *en)
{
	err e;
	log_sink sink = {.push = push, .on_error = on_error, .context = en};
	log_position *start = malloc(sizeof *start + sizeof start->offsets[0]);
	if (start == NULL) {
		err_set(&e, ERR_NO_MEMORY, "the server has no memory left for this connection; connect again later");
	} else {
		start->first = 0;
		start->count = 1;
		start->offsets[0] = en->position;
		en->subscription = log_subscribe(en->set->api->log, en->topic, start, en->format, sink, &e);
		free(start);
	}
	if (en->subscription == NULL) {
		pthread_mutex_lock(&en->set->lock);
		fail(en, &e);
		pthread_mutex_unlock(&en->set->lock);
	}
}

/* What comes before the first record. True: nothing else is in the way of reading. */
static bool begin(entry *en)
{
	pthread_mutex_lock(&en->set->lock);
	if (en->topic == NULL) {
		tell_deleted(en);
	} else if (en->has_first) {
		en->pending = tombstone_frame(en, &en->first);
		if (en->pending == NULL) {
			fail_for_memory(en);
		} else {
			(void)deliver_pending(en);
		}
	}
	bool is_clear = en->topic != NULL && !en->has_first && !en->is_gone;
	pthread_mutex_unlock(&en->set->lock);
	return is_clear;
}

void watch_set_start(watch_set *s)
{
	pthread_mutex_lock(&s->life);
	for (size_t i = 0; i < s->count; i++) {
		entry *en = s->entries[i];
		if (!en->is_started) {
			en->is_started = true;
			if (begin(en)) {
				subscribe(en);
			}
		}
	}
	pthread_mutex_unlock(&s->life);
}

/* ---- going on ---- */

/* False: the sink is full again. */
static bool go_on(entry *en)
{
	pthread_mutex_lock(&en->set->lock);
	bool was_stalled = en->is_stalled;
	bool is_full = false;
	en->is_stalled = false;
	if (was_stalled && en->pending != NULL) {
		is_full = deliver_pending(en) != HTTP_PUSH_OK;
	}
	bool is_gone = en->is_gone;
	pthread_mutex_unlock(&en->set->lock);
	if (!was_stalled || is_full || is_gone) {
		return !is_full;
	}
	if (en->subscription != NULL) {
		log_subscription_resume(en->subscription);
	} else if (en->is_started) {
		subscribe(en);
	}
	return true;
}

void watch_set_resume(watch_set *s)
{
	pthread_mutex_lock(&s->life);
	size_t first = s->turn++;
	bool has_room = !s->is_closed;
	for (size_t i = 0; i < s->count && has_room; i++) {
		has_room = go_on(s->entries[(first + i) % s->count]);
	}
	pthread_mutex_unlock(&s->life);
}

/* ---- entries ---- */

static void entry_free(entry *en)
{
	log_topic_unref(en->topic);
	watch_format_unref(en->format);
	frame_unref(en->pending);
	free(en);
}

static entry *entry_new(watch_set *s, str name)
{
	buf member;
	entry *en = NULL;
	buf_init(&member, FRAME_BYTES_MAX);
	jwrite_string(&member, name);
	buf_append_byte(&member, ':');
	if (!member.failed && (en = calloc(1, sizeof *en + name.len + member.len)) != NULL) {
		en->set = s;
		memcpy(en->text, name.ptr, name.len);
		memcpy(en->text + name.len, member.ptr, member.len);
		en->name = (str){en->text, name.len};
		en->member = (str){en->text + name.len, member.len};
	}
	buf_dispose(&member);
	return en;
}

static bool add(watch_set *s, entry *en)
{
	pthread_mutex_lock(&s->life);
	pthread_mutex_lock(&s->lock);
	bool has_place = s->count < s->capacity;
	if (!has_place) {
		size_t wanted = s->capacity == 0 ? (size_t)ENTRIES_FIRST : 2 * s->capacity;
		entry **more = realloc(s->entries, wanted * sizeof(entry *));
		has_place = more != NULL;
		s->entries = has_place ? more : s->entries;
		s->capacity = has_place ? wanted : s->capacity;
	}
	if (has_place) {
		s->entries[s->count++] = en;
	}
	pthread_mutex_unlock(&s->lock);
	pthread_mutex_unlock(&s->life);
	if (!has_place) {
		entry_free(en);
	}
	return has_place;
}

bool watch_set_add(watch_set *s, const log_topic *t, const log_format *format, watch_from from)
{
	entry *en = entry_new(s, t->name);
	if (en == NULL) {
		return false;
	}
	format->retain(format);
	en->topic = log_topic_ref(t);
	en->format = format;
	en->topic_id = t->topic_id;
	en->position = from.seq;
	en->has_first = from.is_recreated || from.seq > from.head_seq;
	en->first = (watch_tombstone){.reason = "recreated",
								  .gap_from = 1,
								  .gap_to = from.head_seq,
								  .earliest_seq = from.earliest_seq,
								  .head_seq = from.head_seq};
	return add(s, en);
}

bool watch_set_add_gone(watch_set *s, str name, int64_t topic_id, int64_t seq)
{
	entry *en = entry_new(s, name);
	if (en == NULL) {
		return false;
	}
	en->topic_id = topic_id;
	en->position = seq;
	return add(s, en);
}

bool watch_set_remove(watch_set *s, str name)
{
	entry *found = NULL;
	pthread_mutex_lock(&s->life);
	pthread_mutex_lock(&s->lock);
	for (size_t i = 0; i < s->count && found == NULL; i++) {
		if (str_equal(s->entries[i]->name, name)) {
			found = s->entries[i];
			memmove(&s->entries[i], &s->entries[i + 1], (s->count - i - 1) * sizeof(entry *));
			s->count--;
			s->ended -= found->is_gone && found->pending == NULL;
		}
	}
	pthread_mutex_unlock(&s->lock);
	if (found != NULL) {
		log_unsubscribe(found->subscription);
		entry_free(found);
	}
	pthread_mutex_unlock(&s->life);
	return found != NULL;
}

/* ---- life ---- */

watch_set *watch_set_new(api *a, watch_surface surface, watch_sink sink)
{
	watch_set *s = calloc(1, sizeof *s);
	if (s != NULL) {
		s->api = a;
		s->surface = surface;
		s->sink = sink;
		pthread_mutex_init(&s->life, NULL);
		pthread_mutex_init(&s->lock, NULL);
		buf_init(&s->json, ID_BYTES_MAX);
	}
	return s;
}

void watch_set_freeze(watch_set *s)
{
	pthread_mutex_lock(&s->lock);
	s->is_closed = true;
	pthread_mutex_unlock(&s->lock);
}

void watch_set_close(watch_set *s)
{
	watch_set_freeze(s);
	pthread_mutex_lock(&s->life);
	for (size_t i = 0; i < s->count; i++) {
		log_unsubscribe(s->entries[i]->subscription);
		s->entries[i]->subscription = NULL;
		s->entries[i]->is_started = true;
		s->entries[i]->is_stalled = false;
	}
	pthread_mutex_unlock(&s->life);
}

void watch_set_free(watch_set *s)
{
	if (s == NULL) {
		return;
	}
	for (size_t i = 0; i < s->count; i++) {
		entry_free(s->entries[i]);
	}
	free(s->entries);
	buf_dispose(&s->json);
	pthread_mutex_destroy(&s->life);
	pthread_mutex_destroy(&s->lock);
	free(s);
}

/* ---- positions ---- */

size_t watch_set_count(watch_set *s)
{
	pthread_mutex_lock(&s->lock);
	size_t count = s->count;
	pthread_mutex_unlock(&s->lock);
	return count;
}

void watch_set_write_id(watch_set *s, buf *out)
{
	watch_cursor_begin(&s->json);
	for (size_t i = 0; i < s->count; i++) {
		watch_cursor_add(&s->json, s->entries[i]->member, s->entries[i]->position);
	}
	watch_cursor_end(&s->json, out);
}

void watch_set_write_arrays(watch_set *s, buf *topic_ids, buf *positions, bool *is_news)
{
	pthread_mutex_lock(&s->lock);
	for (size_t i = 0; i < s->count; i++) {
		buf_append_byte(topic_ids, i == 0 ? '{' : ',');
		buf_append_i64(topic_ids, s->entries[i]->topic_id);
		buf_append_byte(positions, i == 0 ? '{' : ',');
		buf_append_i64(positions, s->entries[i]->position);
	}
	buf_append_byte(topic_ids, '}');
	buf_append_byte(positions, '}');
	*is_news = s->has_news;
	s->has_news = false;
	pthread_mutex_unlock(&s->lock);
}

bool watch_set_has_news(watch_set *s)
{
	pthread_mutex_lock(&s->lock);
	bool has_news = s->has_news;
	pthread_mutex_unlock(&s->lock);
	return has_news;
}

bool watch_set_find_position(watch_set *s, str name, int64_t topic_id, int64_t *seq)
{
	bool is_found = false;
	pthread_mutex_lock(&s->lock);
	for (size_t i = 0; i < s->count && !is_found; i++) {
		bool is_it = topic_id == WATCH_ANY_TOPIC || s->entries[i]->topic_id == topic_id;
		is_found = is_it && str_equal(s->entries[i]->name, name);
		*seq = is_found ? s->entries[i]->position : *seq;
	}
	pthread_mutex_unlock(&s->lock);
	return is_found;
}
