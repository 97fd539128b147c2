#include "http/tls_impl.h"

#include "base/clock.h"
#include "http/server_impl.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum {
	EVENTS_MAX = 256,
	SLEEP_MAX_MS = 60000,
	HANDSHAKES_PER_TURN = 8, /* they take long: what is relayed has its turn in between */
};

/* ---- waking ---- */

static void wake(const tls_thread *t)
{
	uint64_t one = 1;
	while (write(t->wake_fd, &one, sizeof one) < 0 && errno == EINTR) {
	}
}

void tls_mark_ready(tls_conn *c)
{
	tls_thread *t = c->thread;
	if (c->is_ready) {
		return;
	}
	c->is_ready = true;
	c->next_ready = NULL;
	if (t->last_ready != NULL) {
		t->last_ready->next_ready = c;
	} else {
		t->first_ready = c;
	}
	t->last_ready = c;
}

/* ---- the turns of the loop ---- */

static void note(tls_end *end, uint32_t events)
{
	const uint32_t broken = EPOLLHUP | EPOLLERR;
	end->may_read = end->may_read || (events & (EPOLLIN | EPOLLRDHUP | broken)) != 0;
	end->may_write = end->may_write || (events & (EPOLLOUT | broken)) != 0;
	end->has_hung_up = end->has_hung_up || (events & broken) != 0;
	tls_mark_ready(end->conn);
}

static void take_incoming(tls_thread *t)
{
	pthread_mutex_lock(&t->lock);
	tls_arrival *list = t->incoming;
	t->incoming = NULL;
	pthread_mutex_unlock(&t->lock);
	while (list != NULL) {
		tls_arrival *arrival = list;
		list = arrival->next;
		tls_conn_open(t, arrival->fd, arrival->from);
		free(arrival);
	}
}

/* Each once: who has more to do is marked again, and has its next turn after the others. */
static void handle_ready(tls_thread *t)
{
	tls_conn *list = t->first_ready;
	t->first_ready = NULL;
	t->last_ready = NULL;
	while (list != NULL) {
		tls_conn *c = list;
		list = c->next_ready;
		c->is_ready = false;
		tls_conn_move(c);
	}
}

static void handle_timers(tls_thread *t)
{
	for (wheel_entry *entry; (entry = wheel_take_due(&t->wheel, t->now_ms)) != NULL;) {
		tls_conn_expire((tls_conn *)(void *)((char *)entry - offsetof(tls_conn, timer)));
	}
}

static void follow_phase(tls_thread *t)
{
	t->seen = (tls_phase)atomic_load_explicit(&t->owner->phase, memory_order_acquire);
	if (t->seen == TLS_RUNNING) {
		return;
	}
	tls_conn *next;
	for (tls_conn *c = t->conns; c != NULL; c = next) {
		next = c->next;
		if (t->seen == TLS_STOPPED || c->step == TLS_GREETING) {
			tls_conn_close(c);
		}
	}
}

static void bury(tls_thread *t)
{
	tls_conn **link = &t->dead;
	while (*link != NULL) {
		tls_conn *c = *link;
		if (c->is_ready) {
			/* Still in that list: the next turn. */
			link = &c->next_dead;
		} else {
			*link = c->next_dead;
			tls_conn_free(c);
		}
	}
}

static void *run(void *context)
{
	tls_thread *t = context;
	struct epoll_event events[EVENTS_MAX];
	while (t->seen != TLS_STOPPED || t->first_ready != NULL) {
		int sleep_ms = t->first_ready != NULL ? 0 : wheel_sleep_ms(&t->wheel, clock_now_ms(), SLEEP_MAX_MS);
		int count = epoll_wait(t->epoll_fd, events, EVENTS_MAX, sleep_ms);
		t->now_ms = clock_now_ms();
		t->handshakes_left = HANDSHAKES_PER_TURN;
		for (int i = 0; i < count; i++) {
			uint64_t drained;
			if (events[i].data.ptr != NULL) {
				note(events[i].data.ptr, events[i].events);
			} else {
				(void)!read(t->wake_fd, &drained, sizeof drained);
			}
		}
		take_incoming(t);
		handle_ready(t);
		handle_timers(t);
		follow_phase(t);
		bury(t);
	}
	return NULL;
}

/* ---- taking ---- */

static void turn_away(tls *t, int fd, metric *why)
{
	metric_add(why, 1);
	close(fd);
	server_connection_closed(t->server);
}

void tls_take(tls *t, int fd, peer from)
{
	if (atomic_load_explicit(&t->count, memory_order_relaxed) >= t->server->options.max_connections) {
		turn_away(t, fd, t->server->stats.refused[REFUSED_CONNECTIONS]);
		return;
	}
	if (atomic_load_explicit(&t->greeting_count, memory_order_relaxed) >= TLS_GREETINGS_MAX) {
		turn_away(t, fd, t->handshakes[TLS_REFUSED]);
		return;
	}
	tls_arrival *arrival = calloc(1, sizeof *arrival);
	if (arrival == NULL) {
		turn_away(t, fd, t->handshakes[TLS_REFUSED]);
		return;
	}
	tls_thread *best = t->threads[0];
	for (size_t i = 1; i < t->thread_count; i++) {
		tls_thread *other = t->threads[i];
		if (atomic_load_explicit(&other->count, memory_order_relaxed) <
			atomic_load_explicit(&best->count, memory_order_relaxed)) {
			best = other;
		}
	}
	arrival->fd = fd;
	arrival->from = from;
	atomic_fetch_add_explicit(&t->count, 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&t->greeting_count, 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&best->count, 1, memory_order_relaxed);
	metric_add(t->connections, 1);
	pthread_mutex_lock(&best->lock);
	arrival->next = best->incoming;
	best->incoming = arrival;
	pthread_mutex_unlock(&best->lock);
	wake(best);
}

void tls_look_at_files(tls *t, int64_t now_ms)
{
	certificate_look(t->certificate, now_ms);
}

/* ---- life ---- */

static void thread_free(tls_thread *t)
{
	if (t == NULL) {
		return;
	}
	if (t->epoll_fd >= 0) {
		close(t->epoll_fd);
	}
	if (t->wake_fd >= 0) {
		close(t->wake_fd);
	}
	pthread_mutex_destroy(&t->lock);
	free(t);
}

static tls_thread *thread_new(tls *owner)
{
	tls_thread *t = calloc(1, sizeof *t);
	if (t == NULL) {
		return NULL;
	}
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
	t->owner = owner;
	t->now_ms = clock_now_ms();
	pthread_mutex_init(&t->lock, NULL);
	wheel_init(&t->wheel, t->now_ms);
	t->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	t->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (t->epoll_fd < 0 || t->wake_fd < 0 || epoll_ctl(t->epoll_fd, EPOLL_CTL_ADD, t->wake_fd, &event) != 0) {
		thread_free(t);
		return NULL;
	}
	return t;
}

static void make_metrics(tls *t)
{
	static const char *const results[TLS_RESULTS] = {
		[TLS_DONE] = "result=\"done\"",
		[TLS_FAILED] = "result=\"failed\"",
		[TLS_LATE] = "result=\"late\"",
		[TLS_REFUSED] = "result=\"refused\"",
	};
	metric_registry *registry = t->server->options.metrics;
	t->connections = metric_gauge(registry, "tidegate_tls_connections", "Open client connections with TLS.", NULL);
	for (size_t i = 0; i < TLS_RESULTS; i++) {
		t->handshakes[i] =
			metric_counter(registry, "tidegate_tls_handshakes_total", "TLS handshakes by how they ended.", results[i]);
	}
}

bool tls_new(http_server *server, tls **out, err *e)
{
	const http_server_options *o = &server->options;
	tls *t = calloc(1, sizeof *t);
	if (t != NULL) {
		t->server = server;
		t->threads = calloc(o->threads, sizeof(tls_thread *));
	}
	if (t == NULL || t->threads == NULL) {
		tls_free(t);
		return err_set(e, ERR_NO_MEMORY, "out of memory preparing TLS");
	}
	make_metrics(t);
	if (!certificate_new(o->tls_certificate_file, o->tls_key_file, o->log, o->metrics, &t->certificate, e)) {
		tls_free(t);
		return false;
	}
	while (t->thread_count < o->threads) {
		tls_thread *thread = thread_new(t);
		if (thread == NULL) {
			tls_free(t);
			return err_set(e, ERR_NO_MEMORY, "out of memory or descriptors starting the TLS threads");
		}
		t->threads[t->thread_count++] = thread;
	}
	*out = t;
	return true;
}

bool tls_start(tls *t, err *e)
{
	for (size_t i = 0; i < t->thread_count; i++) {
		tls_thread *thread = t->threads[i];
		thread->has_thread = pthread_create(&thread->thread, NULL, run, thread) == 0;
		if (!thread->has_thread) {
			return err_set(e, ERR_UNAVAILABLE, "cannot start a TLS thread");
		}
	}
	return true;
}

static void set_phase(tls *t, tls_phase phase)
{
	atomic_store_explicit(&t->phase, phase, memory_order_release);
	for (size_t i = 0; i < t->thread_count; i++) {
		wake(t->threads[i]);
	}
}

void tls_begin_shutdown(tls *t)
{
	if (t != NULL) {
		set_phase(t, TLS_SHUTTING_DOWN);
	}
}

size_t tls_connection_count(const tls *t)
{
	return t != NULL ? atomic_load_explicit(&t->count, memory_order_acquire) : 0;
}

size_t tls_unsent_count(const tls *t)
{
	return t != NULL ? atomic_load_explicit(&t->unsent_count, memory_order_acquire) : 0;
}

void tls_stop(tls *t)
{
	if (t == NULL) {
		return;
	}
	set_phase(t, TLS_STOPPED);
	for (size_t i = 0; i < t->thread_count; i++) {
		tls_thread *thread = t->threads[i];
		if (thread->has_thread) {
			pthread_join(thread->thread, NULL);
			thread->has_thread = false;
		}
	}
}

void tls_free(tls *t)
{
	if (t == NULL) {
		return;
	}
	for (size_t i = 0; i < t->thread_count; i++) {
		thread_free(t->threads[i]);
	}
	free(t->threads);
	certificate_free(t->certificate);
	free(t);
}
