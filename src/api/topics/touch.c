#include "api/topics/touch.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/clock.h"

enum { PLACES = 4096, WRITE_EVERY_MS = 1000 };

typedef struct place {
	int64_t topic_id;
	int64_t read_ms;    /* clock_now_ms(), as the next one */
	int64_t written_ms; /* 0 = not by this worker */
} place;

struct touch_book {
	pthread_mutex_t lock;
	place places[PLACES];
};

touch_book *touch_book_new(void)
{
	touch_book *b = calloc(1, sizeof *b);
	if (b != NULL) {
		pthread_mutex_init(&b->lock, NULL);
	}
	return b;
}

void touch_book_free(touch_book *b)
{
	if (b != NULL) {
		pthread_mutex_destroy(&b->lock);
		free(b);
	}
}

static place *place_of(touch_book *b, int64_t topic_id)
{
	return &b->places[(uint64_t)topic_id % PLACES];
}

/* Notes the read; true when it has to be written down. */
static bool note(touch_book *b, int64_t topic_id, bool will_write)
{
	int64_t now_ms = clock_now_ms();
	pthread_mutex_lock(&b->lock);
	place *p = place_of(b, topic_id);
	if (p->topic_id != topic_id) {
		*p = (place){.topic_id = topic_id};
	}
	p->read_ms = now_ms;
	bool is_due = will_write || p->written_ms == 0 || now_ms - p->written_ms >= WRITE_EVERY_MS;
	if (is_due) {
		p->written_ms = now_ms;
	}
	pthread_mutex_unlock(&b->lock);
	return is_due;
}

/* A write that failed is to be tried at the next read. */
static void forget(touch_book *b, int64_t topic_id)
{
	pthread_mutex_lock(&b->lock);
	place *p = place_of(b, topic_id);
	if (p->topic_id == topic_id) {
		p->written_ms = 0;
	}
	pthread_mutex_unlock(&b->lock);
}

bool touch_topic(touch_book *b, log_conn *conn, int64_t topic_id, err *e)
{
	if (!note(b, topic_id, false) || log_state_touch(conn, &topic_id, 1, e)) {
		return true;
	}
	forget(b, topic_id);
	return false;
}

bool touch_topics(touch_book *b, log_conn *conn, const int64_t *topic_ids, size_t count, err *e)
{
	for (size_t i = 0; i < count; i++) {
		note(b, topic_ids[i], true);
	}
	return count == 0 || log_state_touch(conn, topic_ids, count, e);
}

int64_t touch_last_read_ms(touch_book *b, const log_state *s)
{
	int64_t age_ms = -1;
	pthread_mutex_lock(&b->lock);
	const place *p = place_of(b, s->topic_id);
	if (p->topic_id == s->topic_id) {
		age_ms = clock_now_ms() - p->read_ms;
	}
	pthread_mutex_unlock(&b->lock);
	int64_t read_ms = age_ms >= 0 ? s->now_ms - age_ms : 0;
	return read_ms > s->last_read_ms ? read_ms : s->last_read_ms;
}
