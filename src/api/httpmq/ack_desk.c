#include "api/httpmq/ack_desk.h"

#include <pthread.h>
#include <stdlib.h>

#include "api/httpmq/waiting.h"
#include "log/wake.h"

enum {
	TRAYS = 64,
	GROUPS_A_JOB = 8, /* then others get the reader */
};

/* Acknowledgements of some consumers. At most one job is at work on a tray. */
typedef struct tray {
	log_engine *engine;
	pthread_mutex_t lock; /* guards what follows */
	httpmq_ack_wait *first;
	httpmq_ack_wait **end;
	bool has_job;
} tray;

struct httpmq_ack_desk {
	tray trays[TRAYS];
};

httpmq_ack_desk *httpmq_ack_desk_new(log_engine *engine)
{
	httpmq_ack_desk *desk = calloc(1, sizeof *desk);
	for (size_t i = 0; desk != NULL && i < TRAYS; i++) {
		desk->trays[i].engine = engine;
		pthread_mutex_init(&desk->trays[i].lock, NULL);
		desk->trays[i].end = &desk->trays[i].first;
	}
	return desk;
}

void httpmq_ack_desk_free(httpmq_ack_desk *desk)
{
	for (size_t i = 0; desk != NULL && i < TRAYS; i++) {
		pthread_mutex_destroy(&desk->trays[i].lock);
	}
	free(desk);
}

static tray *tray_of(httpmq_ack_desk *desk, const httpmq_ack_wait *ack)
{
	uint64_t hash = (uint64_t)ack->topic_id * 0x9E3779B97F4A7C15u;
	for (size_t i = 0; i < ack->consumer.len; i++) {
		hash = (hash ^ (unsigned char)ack->consumer.ptr[i]) * 0x100000001B3u;
	}
	return &desk->trays[(hash >> 32) % TRAYS];
}

static bool same_consumer(const httpmq_ack_wait *a, const httpmq_ack_wait *b)
{
	return a->topic_id == b->topic_id && str_equal(a->consumer, b->consumer);
}

/* The first one, and those behind it that are the same consumer's. Caller holds the lock. */
static size_t take_group(tray *t, httpmq_ack_wait **group)
{
	size_t count = 0;
	httpmq_ack_wait **at = &t->first;
	while (*at != NULL && count < ACK_DESK_GROUP) {
		httpmq_ack_wait *ack = *at;
		if (count == 0 || same_consumer(group[0], ack)) {
			group[count++] = ack;
			*at = ack->next;
		} else {
			at = &ack->next;
		}
	}
	if (*at == NULL) {
		t->end = at;
	}
	return count;
}

/* One transaction, and its answers. */
static void serve(const tray *t, log_conn *conn, httpmq_ack_wait **group, size_t count)
{
	err e;
	httpmq_acked acks[ACK_DESK_GROUP];
	int64_t topic_id = group[0]->topic_id;
	bool has_freed = false;
	err_clear(&e);
	for (size_t i = 0; i < count; i++) {
		acks[i] = (httpmq_acked){.sequence = group[i]->sequence, .place = i};
	}
	bool ok = consumer_ack(conn, topic_id, group[0]->consumer, acks, count, &has_freed, &e);
	if (has_freed) {
		log_wake(t->engine, topic_id, 0);
	}
	for (size_t i = 0; i < count; i++) {
		httpmq_ack_wait *ack = group[acks[i].place];
		ack->was_pending = ok && acks[i].was_pending;
		ack->error = e;
		ack->done(ack);
	}
}

static void run_job(void *context, log_conn *conn);

/* Nobody can serve them. */
static void refuse_job(void *context, const err *e)
{
	tray *t = context;
	pthread_mutex_lock(&t->lock);
	httpmq_ack_wait *ack = t->first;
	t->first = NULL;
	t->end = &t->first;
	t->has_job = false;
	pthread_mutex_unlock(&t->lock);
	while (ack != NULL) {
		httpmq_ack_wait *next = ack->next;
		ack->error = *e;
		ack->done(ack);
		ack = next;
	}
}

static void run_job(void *context, log_conn *conn)
{
	tray *t = context;
	err e;
	httpmq_ack_wait *group[ACK_DESK_GROUP];
	size_t count = 1;
	for (int n = 0; count > 0; n++) {
		/* When no further job can be had, this one goes on. */
		if (n >= GROUPS_A_JOB && log_engine_submit(t->engine, (log_job){run_job, refuse_job, t}, &e)) {
			return;
		}
		pthread_mutex_lock(&t->lock);
		count = take_group(t, group);
		t->has_job = count > 0;
		pthread_mutex_unlock(&t->lock);
		if (count > 0) {
			serve(t, conn, group, count);
		}
	}
}

void httpmq_ack_desk_submit(httpmq_ack_desk *desk, httpmq_ack_wait *ack)
{
	err e;
	tray *t = tray_of(desk, ack);
	ack->next = NULL;
	ack->was_pending = false;
	err_clear(&ack->error);
	pthread_mutex_lock(&t->lock);
	*t->end = ack;
	t->end = &ack->next;
	bool starts = !t->has_job;
	t->has_job = true;
	pthread_mutex_unlock(&t->lock);
	if (starts && !log_engine_submit(t->engine, (log_job){run_job, refuse_job, t}, &e)) {
		refuse_job(t, &e);
	}
}
