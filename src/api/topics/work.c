/*
 * GET /v0/topics/{topic}/work: jobs as events. Up to `max` are leased to the connection at one time; whenever something may
 * have changed, it looks: which of them still stand, and what else there is, in one operation of log/lease.
 *
 * A look is under way or it is not (`is_busy`): what happens meanwhile leads to one more look afterwards. The one who looks
 * owns `held` and `pending`.
 */
#include "api/gate.h"
#include "api/operation.h"
#include "api/topics/hub.h"
#include "api/topics/queue.h"
#include "api/topics/queue_body.h"
#include "api/topics/topics.h"
#include "api/topics/work_event.h"
#include "auth/watch.h"
#include "base/clock.h"
#include "http/stream.h"
#include "log/wake.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

enum {
	RETRY_MS = 250,        /* after passing trouble */
	LOOK_MS_LEAST = 10,    /* between two looks that only time asks for */
	HOLDER_LOOK_MS = 5000, /* should a wake-up be lost: while jobs are held */
	IDLE_LOOK_MS = 30000,  /* while there are none */
	FRAME_BYTES_MAX = 64 << 20,
};

typedef struct work {
	api *api;
	const log_topic *topic;
	const auth_principal *principal;
	http_stream *stream;
	live_slot *slot;
	log_watch *wake;
	_Atomic(auth_watch *) credential; /* whoever takes it stops it */
	char *node;
	size_t node_len;
	atomic_size_t references; /* the stream's, topics_work()'s, the look's, the timer's */

	log_lease look;
	log_lease_ref *held; /* max of them */
	size_t held_count;
	frame *pending; /* leased, encoded, not yet taken by the stream */

	pthread_mutex_t lock; /* guards what follows */
	bool is_open;         /* everything above is there */
	bool is_busy;
	bool again;
	bool is_closed; /* the client is gone, or we ended it: what is held goes back, once */
	timer_id timer;
} work;

static void look(work *w);

static void unref(work *w)
{
	if (atomic_fetch_sub_explicit(&w->references, 1, memory_order_acq_rel) == 1) {
		http_stream_unref(w->stream);
		log_topic_unref(w->topic);
		auth_principal_unref(w->principal);
		frame_unref(w->pending);
		pthread_mutex_destroy(&w->lock);
		free(w->held);
		free(w->node);
		free(w);
	}
}

static void ref(work *w)
{
	atomic_fetch_add_explicit(&w->references, 1, memory_order_relaxed);
}

/* ---- when to look ---- */

/* Something may have changed. */
static void kick(work *w)
{
	pthread_mutex_lock(&w->lock);
	bool starts = w->is_open && !w->is_busy;
	w->again = !starts;
	w->is_busy = w->is_busy || starts;
	if (starts) {
		ref(w);
	}
	pthread_mutex_unlock(&w->lock);
	if (starts) {
		look(w);
	}
}

static void on_wake(void *context)
{
	kick(context);
}

static void on_time(void *context)
{
	work *w = context;
	pthread_mutex_lock(&w->lock);
	w->timer = 0;
	pthread_mutex_unlock(&w->lock);
	kick(w);
	unref(w);
}

/* Caller holds the lock. */
static void disarm(work *w)
{
	if (w->timer != 0 && timer_cancel(log_engine_timer(w->api->log), w->timer)) {
		unref(w); /* the timer's; ours keeps it alive */
	}
	w->timer = 0;
}

/* Caller holds the lock. */
static void arm(work *w, int64_t in_ms)
{
	disarm(w);
	ref(w);
	w->timer = timer_schedule(log_engine_timer(w->api->log), clock_now_ms() + in_ms, on_time, w);
	if (w->timer == 0) {
		unref(w);
	}
}

/* The look is over; the next one comes when something happens, or after in_ms (-1: nothing is known to come). */
static void rest(work *w, int64_t in_ms)
{
	int64_t most_ms = w->held_count > 0 ? HOLDER_LOOK_MS : IDLE_LOOK_MS;
	int64_t wait_ms = in_ms < 0 || in_ms > most_ms ? most_ms : in_ms < LOOK_MS_LEAST ? LOOK_MS_LEAST : in_ms;
	pthread_mutex_lock(&w->lock);
	bool again = w->again || w->is_closed;
	w->again = false;
	w->is_busy = again;
	if (!again) {
		arm(w, wait_ms);
	}
	pthread_mutex_unlock(&w->lock);
	if (again) {
		look(w);
	} else {
		unref(w);
	}
}

/* ---- ends ---- */

static void end(work *w, frame *last)
{
	http_stream_end(w->stream, last);
	frame_unref(last);
}

static void on_drain(void *context)
{
	kick(context);
}

static void on_shutdown(void *context)
{
	work *w = context;
	end(w, work_event_shutdown());
}

static void on_expire(void *context)
{
	work *w = context;
	err e;
	err_set(&e, ERR_UNAUTHORIZED, "the credential has expired; connect again with a new one");
	end(w, work_event_error(&e, w->topic->name));
}

static void on_credential_end(void *context, const err *e)
{
	work *w = context;
	slog_err(w->api->slog, SLOG_INFO, "topics", "a work stream ends with its credential", e);
	end(w, work_event_error(e, w->topic->name));
}

static void on_closed(void *context, http_stream_end_reason reason)
{
	work *w = context;
	(void)reason;
	live_slots_give_back(w->api->topics->slots, w->slot);
	auth_watch_stop(atomic_exchange(&w->credential, NULL));
	log_watch_stop(w->wake);
	pthread_mutex_lock(&w->lock);
	w->is_closed = true;
	disarm(w);
	pthread_mutex_unlock(&w->lock);
	kick(w);
	unref(w);
}

/* Back to ready at once: nobody works on them any more. Ends the work with the look's reference. */
static void on_given_back(log_lease *op)
{
	work *w = op->context;
	if (op->error.code != ERR_NONE && op->error.code != ERR_TOPIC_NOT_FOUND) {
		slog_err(w->api->slog, SLOG_INFO, "topics", "leases of a closed work stream were left to end by themselves",
				 &op->error);
	}
	unref(w);
}

static void give_back(work *w)
{
	err e;
	w->look.action = LOG_LEASE_NACK;
	w->look.delay_ms = 0;
	w->look.ref_count = w->held_count;
	w->look.done = on_given_back;
	if (w->held_count == 0 || !log_lease_submit(w->api->log, &w->look, &e)) {
		unref(w);
	}
}

/* ---- a look ---- */

static bool is_passing(const err *e)
{
	return e->code == ERR_UNAVAILABLE || e->code == ERR_TIMEOUT || e->code == ERR_NOT_READY ||
		   e->code == ERR_THROTTLED || e->code == ERR_NO_MEMORY || e->code == ERR_OUTCOME_UNKNOWN ||
		   e->code == ERR_SHUTTING_DOWN;
}

static void fail(work *w, const err *e)
{
	if (!is_passing(e)) {
		end(w, work_event_error(e, w->topic->name));
	}
	rest(w, RETRY_MS);
}

/* Those that are leased to this connection now: what still stood, and what is new. */
static void keep_held(work *w)
{
	size_t kept = 0;
	for (size_t i = 0; i < w->held_count; i++) {
		if (w->held[i].stands) {
			w->held[kept++] = w->held[i];
		}
	}
	for (size_t i = 0; i < w->look.job_count; i++) {
		w->held[kept++] = (log_lease_ref){.offset = w->look.jobs[i].record.offset, .number = w->look.jobs[i].number};
	}
	w->held_count = kept;
}

static bool encode(work *w)
{
	buf out;
	buf_init(&out, FRAME_BYTES_MAX);
	for (size_t i = 0; i < w->look.job_count; i++) {
		work_event_job(&out, w->topic->name, &w->look.jobs[i]);
	}
	w->pending = out.failed ? NULL : frame_new(buf_str(&out));
	buf_dispose(&out);
	return w->pending != NULL;
}

/* False: the stream has no room now, or is gone. */
static bool push_pending(work *w)
{
	if (w->pending == NULL) {
		return true;
	}
	if (http_stream_push(w->stream, w->pending) != HTTP_PUSH_OK) {
		return false;
	}
	frame_unref(w->pending);
	w->pending = NULL;
	return true;
}

static void on_looked(log_lease *op)
{
	work *w = op->context;
	err e;
	if (op->error.code != ERR_NONE) {
		fail(w, &op->error);
		return;
	}
	keep_held(w);
	if (op->job_count > 0 && !encode(w)) {
		err_set(&e, ERR_INTERNAL, "the jobs do not fit one event frame; ask for fewer with max");
		end(w, work_event_error(&e, w->topic->name));
	}
	/* A full stream calls on_drain. */
	rest(w, push_pending(w) ? op->due_in_ms : -1);
}

/* With a reference of its own. */
static void look(work *w)
{
	err e;
	pthread_mutex_lock(&w->lock);
	bool is_closed = w->is_closed;
	disarm(w);
	pthread_mutex_unlock(&w->lock);
	if (is_closed) {
		give_back(w);
		return;
	}
	if (!push_pending(w)) {
		rest(w, -1);
		return;
	}
	w->look.ref_count = w->held_count;
	if (!log_lease_submit(w->api->log, &w->look, &e)) {
		fail(w, &e);
	}
}

/* ---- opening ---- */

typedef struct opening {
	api_operation op;
	str node;
	uint32_t max;
	int64_t lease_ms; /* 0: the topic's */
} opening;

/* False: absent, or no number. */
static bool query_number(const http_exchange *x, const char *name, uint64_t *out)
{
	str text;
	return http_request_query(x, str_from_c(name), &text) && str_parse_u64(text, UINT64_MAX, out);
}

/* NULL with *e filled. References: the stream's, and the caller's. */
static work *work_new(opening *o, err *e)
{
	work *w = calloc(1, sizeof *w);
	if (w == NULL) {
		goto fail;
	}
	pthread_mutex_init(&w->lock, NULL);
	atomic_init(&w->references, 2);
	atomic_init(&w->credential, NULL);
	w->api = api_of(o->op.x);
	w->topic = log_topic_ref(o->op.topic);
	w->principal = auth_principal_ref(gate_principal(o->op.x));
	w->held = calloc(o->max, sizeof *w->held);
	w->node = malloc(o->node.len);
	if (w->principal == NULL || w->held == NULL || w->node == NULL) {
		goto fail;
	}
	memcpy(w->node, o->node.ptr, o->node.len);
	w->node_len = o->node.len;
	w->look = (log_lease){.action = LOG_LEASE_CLAIM,
						  .topic = w->topic,
						  .holder = {w->node, w->node_len},
						  .refs = w->held,
						  .max = o->max,
						  .lease_ms = o->lease_ms != 0 ? o->lease_ms : w->topic->config.lease_ms,
						  .done = on_looked,
						  .context = w};
	/* Register first, then look. */
	w->wake = log_watch_start(w->api->log, w->topic->topic_id, 0, on_wake, w);
	if (w->wake != NULL) {
		return w;
	}
fail:
	if (w != NULL) {
		atomic_store(&w->references, 1);
		unref(w);
	}
	err_set(e, ERR_NO_MEMORY, "the server has no memory left for another stream; try again later");
	return NULL;
}

static void watch_credential(work *w)
{
	auth_watch *watch = auth_watch_start(w->api->auth, w->principal, on_credential_end, w);
	err e;
	if (watch == NULL) {
		err_set(&e, ERR_NO_MEMORY, "the server has no memory left for another stream; try again later");
		end(w, work_event_error(&e, w->topic->name));
	}
	atomic_store(&w->credential, watch);
	pthread_mutex_lock(&w->lock);
	bool is_closed = w->is_closed;
	pthread_mutex_unlock(&w->lock);
	if (is_closed) {
		auth_watch_stop(atomic_exchange(&w->credential, NULL));
	}
}

static void open_stream(opening *o, work *w)
{
	http_exchange *x = o->op.x;
	frame *first = frame_new(STR("retry: 2000\n\n"));
	frame *heartbeat = frame_new(STR(": hb\n\n"));
	http_stream_options options = {
		.content_type = "text/event-stream",
		.first = first,
		.heartbeat = heartbeat,
		.heartbeat_ms = (uint32_t)w->api->config->stream_heartbeat_ms,
		.stall_ms = (uint32_t)w->api->config->stream_stall_ms,
		.max_age_ms = gate_credential_ms(x),
		.place = &w->stream,
		.context = w,
		.on_drain = on_drain,
		.on_expire = on_expire,
		.on_shutdown = on_shutdown,
		.on_closed = on_closed,
	};
	http_reply_header(x, STR("Cache-Control"), STR("no-store"));
	http_reply_header(x, STR("X-Accel-Buffering"), STR("no"));
	log_topic_unref(o->op.topic);
	o->op.topic = NULL;
	/* The reply: x and o are gone behind it. */
	if (http_stream_open(x, &options) != NULL) {
		watch_credential(w);
		pthread_mutex_lock(&w->lock);
		w->is_open = true;
		pthread_mutex_unlock(&w->lock);
		kick(w);
	} else {
		live_slots_give_back(w->api->topics->slots, w->slot);
		log_watch_stop(w->wake);
		unref(w); /* the stream's: it never was */
	}
	unref(w);
	frame_unref(first);
	frame_unref(heartbeat);
}

/* Last of all the place among the live connections. NULL with *e filled. */
static work *work_begin(opening *o, err *e)
{
	live_slots *slots = api_of(o->op.x)->topics->slots;
	live_slot *slot = NULL;
	if (o->op.topic->config.kind != LOG_KIND_QUEUE) {
		queue_refuse_log(e, o->op.topic->name);
		return NULL;
	}
	if (!live_slots_take(slots, gate_principal(o->op.x), &slot, e)) {
		return NULL;
	}
	work *w = work_new(o, e);
	if (w == NULL) {
		live_slots_give_back(slots, slot);
		return NULL;
	}
	w->slot = slot;
	return w;
}

static void with_topic(api_operation *op)
{
	err e;
	work *w = work_begin((opening *)op, &e);
	if (w != NULL) {
		open_stream((opening *)op, w);
	} else {
		api_fail(op, &e);
	}
}

static bool accepts_events(const http_exchange *x, err *e)
{
	size_t at;
	str accept = http_request_header(x, STR("Accept"));
	if (accept.ptr == NULL || str_find(accept, STR("text/event-stream"), &at) || str_find(accept, STR("*/*"), &at)) {
		return true;
	}
	return err_set(e, ERR_NOT_ACCEPTABLE, "this is an event stream; accept text/event-stream");
}

void topics_work(http_exchange *x)
{
	err e;
	opening *o = api_operation_new(x, sizeof *o, NULL);
	if (o == NULL) {
		return;
	}
	o->op.topic_name = http_request_param(x, 0);
	o->op.is_fresh = true; /* what has begun cannot turn to another topic of this name */
	uint64_t number = 1;
	query_number(x, "max", &number);
	o->max = queue_clamp_max(number, queue_jobs_max(x));
	o->lease_ms = query_number(x, "lease_ms", &number) ? queue_clamp_lease(number) : 0;
	if (!http_request_query(x, STR("node"), &o->node)) {
		o->node = STR_NONE;
	}
	if (accepts_events(x, &e) && queue_check_node(api_of(x)->config, o->node, &e)) {
		api_with_topic(&o->op, with_topic);
	} else {
		api_fail(&o->op, &e);
	}
}
