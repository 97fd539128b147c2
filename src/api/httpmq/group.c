#include "api/httpmq/group.h"

#include "base/clock.h"

#include <pthread.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>

enum { ALARM_MS_MOST = 60000 };

typedef struct httpmq_group {
	int64_t topic_id; /* compared by it, and by the name */
	str consumer;
	httpmq_groups *groups;
	log_watch *watch;
	size_t seats;
	httpmq_seat *first; /* asleep, the longest first */
	httpmq_seat *last;
	bool has_news;       /* that nobody was there to be called for */
	httpmq_seat *bearer; /* of the alarm, or NULL */
	int64_t alarm_ms;    /* on clock_now_ms() */
	char name[];
} httpmq_group;

struct httpmq_groups {
	log_engine *engine;
	pthread_mutex_t
		lock;   /* of all that follows, groups and seats included; inside that of wake-ups, around that of pumps */
	void *root; /* tsearch(3) tree of groups */
};

static int compare(const void *left, const void *right)
{
	const httpmq_group *a = left;
	const httpmq_group *b = right;
	if (a->topic_id != b->topic_id) {
		return a->topic_id < b->topic_id ? -1 : 1;
	}
	return str_compare(a->consumer, b->consumer);
}

/* ---- who sleeps; caller holds the lock ---- */

static void append(httpmq_seat *seat)
{
	httpmq_group *g = seat->group;
	seat->next = NULL;
	seat->prev = g->last;
	if (g->last != NULL) {
		g->last->next = seat;
	} else {
		g->first = seat;
	}
	g->last = seat;
	seat->is_asleep = true;
}

static void take_out(httpmq_seat *seat)
{
	httpmq_group *g = seat->group;
	if (!seat->is_asleep) {
		return;
	}
	if (seat->prev != NULL) {
		seat->prev->next = seat->next;
	} else {
		g->first = seat->next;
	}
	if (seat->next != NULL) {
		seat->next->prev = seat->prev;
	} else {
		g->last = seat->prev;
	}
	seat->is_asleep = false;
}

static void call_first(httpmq_group *g)
{
	httpmq_seat *seat = g->first;
	take_out(seat);
	pump_kick(seat->pump);
}

static void tell(httpmq_group *g)
{
	g->has_news = g->first == NULL;
	if (!g->has_news) {
		call_first(g);
	}
}

/* The earliest one that is known of; whoever bears it sets it anew with each run. */
static void set_alarm(httpmq_seat *seat, int64_t due_in_ms)
{
	httpmq_group *g = seat->group;
	int64_t now_ms = clock_now_ms();
	int64_t at_ms = now_ms + (due_in_ms < ALARM_MS_MOST ? due_in_ms : ALARM_MS_MOST);
	bool is_set = g->bearer != NULL && g->bearer != seat && g->alarm_ms > now_ms;
	if (due_in_ms < 0) {
		g->bearer = g->bearer == seat ? NULL : g->bearer;
	} else if (!is_set || at_ms < g->alarm_ms) {
		g->bearer = seat;
		g->alarm_ms = at_ms;
		pump_kick_at(seat->pump, at_ms);
	}
}

/* ---- coming and going ---- */

static void on_wake(void *context)
{
	httpmq_group *g = context;
	pthread_mutex_lock(&g->groups->lock);
	tell(g);
	pthread_mutex_unlock(&g->groups->lock);
}

/* Caller holds the lock. */
static httpmq_group *find_or_add(httpmq_groups *gs, int64_t topic_id, str consumer)
{
	const httpmq_group key = {.topic_id = topic_id, .consumer = consumer};
	httpmq_group *const *node = tfind(&key, &gs->root, compare);
	if (node != NULL) {
		return *node;
	}
	httpmq_group *g = calloc(1, sizeof *g + consumer.len);
	if (g == NULL) {
		return NULL;
	}
	*g = (httpmq_group){.topic_id = topic_id, .consumer = {g->name, consumer.len}, .groups = gs};
	memcpy(g->name, consumer.ptr, consumer.len);
	if (tsearch(g, &gs->root, compare) == NULL) {
		free(g);
		return NULL;
	}
	return g;
}

/* The wake-ups' lock is outside ours: a watch starts and stops without it, and of two that start at once one is too many. */
static bool start_watch(httpmq_groups *gs, httpmq_group *g)
{
	log_watch *w = log_watch_start(gs->engine, g->topic_id, 0, on_wake, g);
	if (w == NULL) {
		return false;
	}
	pthread_mutex_lock(&gs->lock);
	if (g->watch == NULL) {
		g->watch = w;
		w = NULL;
		/* Others may have looked, and gone to sleep, before it began. */
		tell(g);
	}
	pthread_mutex_unlock(&gs->lock);
	log_watch_stop(w);
	return true;
}

bool httpmq_group_join(httpmq_groups *gs, httpmq_seat *seat, int64_t topic_id, str consumer, pump *p)
{
	pthread_mutex_lock(&gs->lock);
	httpmq_group *g = find_or_add(gs, topic_id, consumer);
	bool is_watched = g != NULL && g->watch != NULL;
	if (g != NULL) {
		*seat = (httpmq_seat){.group = g, .pump = p};
		g->seats++;
	}
	pthread_mutex_unlock(&gs->lock);
	if (g == NULL || (!is_watched && !start_watch(gs, g))) {
		httpmq_group_leave(gs, seat);
		return false;
	}
	return true;
}

void httpmq_group_leave(httpmq_groups *gs, httpmq_seat *seat)
{
	pthread_mutex_lock(&gs->lock);
	httpmq_group *g = seat->group;
	bool is_last = false;
	if (g != NULL) {
		bool has_duty = !seat->is_asleep || g->bearer == seat;
		take_out(seat);
		g->bearer = g->bearer == seat ? NULL : g->bearer;
		seat->group = NULL;
		is_last = --g->seats == 0;
		if (is_last) {
			tdelete(g, &gs->root, compare);
		} else if (has_duty) {
			tell(g);
		}
	}
	pthread_mutex_unlock(&gs->lock);
	if (is_last) {
		log_watch_stop(g->watch);
		free(g);
	}
}

/* ---- a run ---- */

void httpmq_group_wake(httpmq_groups *gs, httpmq_seat *seat)
{
	pthread_mutex_lock(&gs->lock);
	take_out(seat);
	pthread_mutex_unlock(&gs->lock);
}

void httpmq_group_sleep(httpmq_groups *gs, httpmq_seat *seat, int64_t due_in_ms)
{
	pthread_mutex_lock(&gs->lock);
	httpmq_group *g = seat->group;
	set_alarm(seat, due_in_ms);
	append(seat);
	if (g->has_news) {
		tell(g);
	}
	pthread_mutex_unlock(&gs->lock);
}

bool httpmq_group_pass(httpmq_groups *gs, httpmq_seat *seat, int64_t due_in_ms)
{
	pthread_mutex_lock(&gs->lock);
	httpmq_group *g = seat->group;
	bool has_others = g->first != NULL;
	set_alarm(seat, due_in_ms);
	append(seat);
	/* Whoever looks next sees what they were about. */
	g->has_news = false;
	if (has_others) {
		call_first(g);
	}
	pthread_mutex_unlock(&gs->lock);
	return has_others;
}

void httpmq_group_excuse(httpmq_groups *gs, httpmq_seat *seat)
{
	pthread_mutex_lock(&gs->lock);
	httpmq_group *g = seat->group;
	g->bearer = g->bearer == seat ? NULL : g->bearer;
	tell(g);
	pthread_mutex_unlock(&gs->lock);
}

/* ---- all of them ---- */

httpmq_groups *httpmq_groups_new(log_engine *engine)
{
	httpmq_groups *gs = calloc(1, sizeof *gs);
	if (gs != NULL) {
		gs->engine = engine;
		pthread_mutex_init(&gs->lock, NULL);
	}
	return gs;
}

void httpmq_groups_free(httpmq_groups *gs)
{
	if (gs != NULL) {
		tdestroy(gs->root, free);
		pthread_mutex_destroy(&gs->lock);
		free(gs);
	}
}
