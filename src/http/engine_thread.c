#include "base/clock.h"
#include "http/engine_impl.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	EVENTS_MAX = 256,
	READS_PER_TURN = 16,
	OPEN_INPUT_MAX = 1024 * 1024,        /* what a client may send while its stream is open */
	GOODBYE_INPUT_MAX = 8 * 1024 * 1024, /* and what is read off so that it sees the end */
	LINGER_MS = 2000,
	DEFAULT_STALL_MS = 30000,
	SLEEP_MAX_MS = 60000,
};

/* ---- waking ---- */

void engine_thread_wake(const engine_thread *t)
{
	uint64_t one = 1;
	while (write(t->wake_fd, &one, sizeof one) < 0 && errno == EINTR) {
	}
}

bool engine_mark_ready(http_stream *s)
{
	engine_thread *t = s->home;
	pthread_mutex_lock(&t->lock);
	bool is_alive = !t->is_stopped;
	bool was_empty = t->ready == NULL;
	if (is_alive && !s->is_ready) {
		s->is_ready = true;
		s->next_ready = t->ready;
		t->ready = s;
		atomic_fetch_add_explicit(&s->references, 1, memory_order_relaxed);
	}
	pthread_mutex_unlock(&t->lock);
	if (is_alive && was_empty) {
		engine_thread_wake(t);
	}
	return is_alive;
}

void engine_count_bytes(const http_stream *s, size_t bytes)
{
	metric_add(s->home->engine->options.bytes_out, (int64_t)bytes);
}

/* ---- a stream's time, home thread ---- */

static uint32_t stall_ms(const http_stream *s)
{
	return s->options.stall_ms > 0 ? s->options.stall_ms : DEFAULT_STALL_MS;
}

/* The earliest moment at which anything can be due. Looked at again then: pushes never touch the wheel. */
static void set_timer(engine_thread *t, http_stream *s, int64_t now_ms)
{
	pthread_mutex_lock(&s->lock);
	bool is_waiting = stream_has_output(s);
	int64_t due = (is_waiting ? s->waiting_since_ms : now_ms) + stall_ms(s);
	/* A heartbeat is never due while output waits, however long ago the last one left. */
	int64_t heartbeat_due = (is_waiting ? now_ms : s->last_output_ms) + s->options.heartbeat_ms;
	if (s->options.heartbeat != NULL && heartbeat_due < due) {
		due = heartbeat_due;
	}
	pthread_mutex_unlock(&s->lock);
	if (s->options.max_age_ms > 0 && !s->has_expired && s->opened_ms + s->options.max_age_ms < due) {
		due = s->opened_ms + s->options.max_age_ms;
	}
	wheel_set(&t->wheel, &s->timer, due);
}

static void report_closed(http_stream *s, http_stream_end_reason reason)
{
	if (s->is_goodbye || s->is_reported) {
		return;
	}
	engine *e = s->home->engine;
	s->is_reported = true;
	atomic_store_explicit(&s->is_over, true, memory_order_release);
	metric_add(e->options.open_streams, -1);
	s->options.on_closed(s->options.context, reason);
	engine_release(e, s->hold);
	atomic_fetch_sub_explicit(&e->stream_count, 1, memory_order_release);
}

static bool has_lost(const http_stream *s)
{
	bool tls_has_lost = s->tls != NULL && atomic_load_explicit(&s->tls->has_lost, memory_order_acquire);
	return s->is_broken || stream_has_output(s) || socket_has_lost(s->fd) || tls_has_lost;
}

static void set_lost(http_stream *s)
{
	atomic_store_explicit(&s->has_lost, true, memory_order_relaxed);
}

static void close_socket(engine_thread *t, http_stream *s, http_stream_end_reason reason)
{
	engine *e = t->engine;
	pthread_mutex_lock(&s->lock);
	atomic_store_explicit(&s->is_over, true, memory_order_release);
	s->phase = STREAM_CLOSED;
	if (has_lost(s)) {
		set_lost(s);
	}
	stream_drop_output(s);
	/* Explicitly: the transport may still hold a descriptor of the same socket, which would keep it in epoll. */
	epoll_ctl(t->epoll_fd, EPOLL_CTL_DEL, s->fd, NULL);
	close(s->fd);
	s->fd = -1;
	pthread_mutex_unlock(&s->lock);
	wheel_cancel(&t->wheel, &s->timer);
	if (s->prev != NULL) {
		s->prev->next = s->next;
	} else {
		t->streams = s->next;
	}
	if (s->next != NULL) {
		s->next->prev = s->prev;
	}
	report_closed(s, reason);
	if (s->is_goodbye) {
		atomic_fetch_sub_explicit(&e->goodbye_count, 1, memory_order_relaxed);
	}
	e->options.on_socket_closed(e->options.context);
	atomic_fetch_sub_explicit(&e->socket_count, 1, memory_order_release);
	s->next_dead = t->dead;
	t->dead = s;
}

static void ask_to_end(http_stream *s)
{
	if (s->is_goodbye || s->is_reported) {
		return;
	}
	if (s->options.on_shutdown != NULL) {
		s->options.on_shutdown(s->options.context);
	} else {
		http_stream_end(s, NULL);
	}
}

/* The stream's first moment on its thread. False: it was closed right away. */
static bool adopt(engine_thread *t, http_stream *s, int64_t now_ms)
{
	s->is_adopted = true;
	s->next = t->streams;
	if (t->streams != NULL) {
		t->streams->prev = s;
	}
	t->streams = s;
	set_timer(t, s, now_ms);
	if (t->seen >= ENGINE_CUT) {
		close_socket(t, s, HTTP_STREAM_SHUTDOWN);
		return false;
	}
	if (t->seen == ENGINE_SHUTTING_DOWN) {
		ask_to_end(s);
	}
	return true;
}

typedef enum input { INPUT_NONE, INPUT_MORE, INPUT_END, INPUT_TOO_MUCH } input;

/* Reads what the client sends: for on_input while the stream is open, else to be dropped. */
static input take_input(engine_thread *t, http_stream *s, bool is_open)
{
	bool is_wanted = is_open && s->options.on_input != NULL;
	uint64_t most = is_open ? OPEN_INPUT_MAX : GOODBYE_INPUT_MAX;
	for (int i = 0; i < READS_PER_TURN; i++) {
		if (is_wanted && atomic_load_explicit(&s->is_paused, memory_order_acquire)) {
			/* Whoever ends the pause marks the stream ready. */
			s->has_input = true;
			return INPUT_NONE;
		}
		ssize_t got = recv(s->fd, t->input, sizeof t->input, MSG_DONTWAIT);
		if (got > 0 && is_wanted) {
			s->options.on_input(s->options.context, (str){t->input, (size_t)got});
			/* The application may have ended it. */
			is_wanted = !atomic_load_explicit(&s->is_over, memory_order_acquire);
		} else if (got > 0) {
			s->dropped_bytes += (uint64_t)got;
			if (s->dropped_bytes > most) {
				return INPUT_TOO_MUCH;
			}
		} else if (got < 0 && errno == EAGAIN) {
			return INPUT_NONE;
		} else if (got == 0 || errno != EINTR) {
			if (got < 0) {
				set_lost(s);
			}
			return INPUT_END;
		}
	}
	return INPUT_MORE;
}

/* Everything is written: says goodbye to the application now and to the client when it has closed, too. */
static void begin_linger(engine_thread *t, http_stream *s, int64_t now_ms)
{
	pthread_mutex_lock(&s->lock);
	s->phase = STREAM_LINGERING;
	shutdown(s->fd, SHUT_WR);
	pthread_mutex_unlock(&s->lock);
	report_closed(s, HTTP_STREAM_ENDED);
	if (s->has_eof) {
		close_socket(t, s, HTTP_STREAM_ENDED);
	} else {
		wheel_set(&t->wheel, &s->timer, now_ms + LINGER_MS);
	}
}

/* Whatever may have changed: the socket, the queue, the phase. */
static void handle(engine_thread *t, http_stream *s, uint32_t events, int64_t now_ms)
{
	if (!s->is_adopted && !adopt(t, s, now_ms)) {
		return;
	}
	/* Only this thread leaves OPEN for anything but ENDING, so that a glance without the lock cannot miss CLOSED. */
	pthread_mutex_lock(&s->lock);
	stream_phase phase = s->phase;
	bool is_broken = s->is_broken;
	pthread_mutex_unlock(&s->lock);
	if (phase == STREAM_CLOSED) {
		return;
	}
	if ((events & (EPOLLHUP | EPOLLERR)) != 0 || is_broken) {
		close_socket(t, s, HTTP_STREAM_CLIENT_GONE);
		return;
	}
	input in = INPUT_NONE;
	if (s->has_input || (events & (EPOLLIN | EPOLLRDHUP)) != 0) {
		s->has_input = false;
		in = take_input(t, s, phase == STREAM_OPEN);
		/* A client that is gone is noticed also while nothing is read from it. */
		in = s->has_input && (events & EPOLLRDHUP) != 0 ? INPUT_END : in;
	}
	s->has_eof = s->has_eof || in == INPUT_END;
	s->has_input = s->has_input || in == INPUT_MORE;
	if (in == INPUT_TOO_MUCH || (in == INPUT_END && phase != STREAM_ENDING)) {
		close_socket(t, s, HTTP_STREAM_CLIENT_GONE);
		return;
	}
	if (in == INPUT_MORE) {
		(void)engine_mark_ready(s);
	}
	if (phase == STREAM_LINGERING) {
		return;
	}
	pthread_mutex_lock(&s->lock);
	flush_result result = stream_flush(s, now_ms);
	bool has_drained = s->was_full && s->phase == STREAM_OPEN && s->queued_bytes <= s->queue_max_bytes / 2;
	s->was_full = s->was_full && !has_drained;
	phase = s->phase;
	pthread_mutex_unlock(&s->lock);
	if (result == FLUSH_BROKEN) {
		set_lost(s);
		close_socket(t, s, HTTP_STREAM_CLIENT_GONE);
		return;
	}
	if (result == FLUSH_MORE) {
		(void)engine_mark_ready(s);
	}
	if (result == FLUSH_DONE && phase == STREAM_ENDING) {
		begin_linger(t, s, now_ms);
	} else if (has_drained && s->options.on_drain != NULL) {
		s->options.on_drain(s->options.context);
	}
}

static void handle_time(engine_thread *t, http_stream *s, int64_t now_ms)
{
	pthread_mutex_lock(&s->lock);
	stream_phase phase = s->phase;
	bool is_waiting = stream_has_output(s);
	bool is_stalled = is_waiting && now_ms - s->waiting_since_ms >= stall_ms(s);
	if (phase == STREAM_OPEN && !is_waiting && s->options.heartbeat != NULL &&
		now_ms - s->last_output_ms >= s->options.heartbeat_ms) {
		(void)stream_push_locked(s, s->options.heartbeat, now_ms);
	}
	bool is_broken = s->is_broken;
	pthread_mutex_unlock(&s->lock);
	if (phase == STREAM_LINGERING) {
		close_socket(t, s, HTTP_STREAM_ENDED);
	} else if (is_stalled || is_broken) {
		close_socket(t, s, is_stalled ? HTTP_STREAM_STALLED : HTTP_STREAM_CLIENT_GONE);
	} else {
		bool is_old = s->options.max_age_ms > 0 && now_ms - s->opened_ms >= s->options.max_age_ms;
		if (phase == STREAM_OPEN && is_old && !s->has_expired) {
			s->has_expired = true;
			if (s->options.on_expire != NULL) {
				s->options.on_expire(s->options.context);
			}
		}
		set_timer(t, s, now_ms);
	}
}

/* ---- the thread ---- */

static void follow_phase(engine_thread *t)
{
	engine_phase phase = (engine_phase)atomic_load_explicit(&t->engine->phase, memory_order_acquire);
	if (phase == t->seen) {
		return;
	}
	bool was_running = t->seen == ENGINE_RUNNING;
	t->seen = phase;
	http_stream *next;
	for (http_stream *s = t->streams; s != NULL; s = next) {
		next = s->next;
		if (phase >= ENGINE_CUT) {
			close_socket(t, s, HTTP_STREAM_SHUTDOWN);
		} else if (was_running) {
			ask_to_end(s);
		}
	}
}

static void handle_ready(engine_thread *t, int64_t now_ms)
{
	pthread_mutex_lock(&t->lock);
	http_stream *list = t->ready;
	t->ready = NULL;
	pthread_mutex_unlock(&t->lock);
	while (list != NULL) {
		http_stream *s = list;
		/* Until here a second mark found is_ready set and did nothing: this turn serves it, too. */
		pthread_mutex_lock(&t->lock);
		list = s->next_ready;
		s->is_ready = false;
		pthread_mutex_unlock(&t->lock);
		handle(t, s, 0, now_ms);
		http_stream_unref(s);
	}
}

static void handle_timers(engine_thread *t, int64_t now_ms)
{
	for (wheel_entry *entry; (entry = wheel_take_due(&t->wheel, now_ms)) != NULL;) {
		handle_time(t, (http_stream *)(void *)((char *)entry - offsetof(http_stream, timer)), now_ms);
	}
}

static void bury(engine_thread *t)
{
	while (t->dead != NULL) {
		http_stream *s = t->dead;
		t->dead = s->next_dead;
		http_stream_unref(s);
	}
}

static void *run(void *context)
{
	engine_thread *t = context;
	struct epoll_event events[EVENTS_MAX];
	while (t->seen != ENGINE_STOPPED) {
		int count =
			epoll_wait(t->epoll_fd, events, EVENTS_MAX, wheel_sleep_ms(&t->wheel, clock_now_ms(), SLEEP_MAX_MS));
		int64_t now_ms = clock_now_ms();
		for (int i = 0; i < count; i++) {
			http_stream *s = events[i].data.ptr;
			if (s != NULL) {
				handle(t, s, events[i].events, now_ms);
			} else {
				uint64_t drained;
				(void)!read(t->wake_fd, &drained, sizeof drained);
			}
		}
		handle_ready(t, now_ms);
		handle_timers(t, now_ms);
		follow_phase(t);
		bury(t);
	}
	/* Nobody comes any more; who came since is closed. */
	pthread_mutex_lock(&t->lock);
	t->is_stopped = true;
	pthread_mutex_unlock(&t->lock);
	handle_ready(t, clock_now_ms());
	bury(t);
	return NULL;
}

/* ---- life ---- */

void engine_thread_free(engine_thread *t)
{
	if (t != NULL) {
		if (t->epoll_fd >= 0) {
			close(t->epoll_fd);
		}
		if (t->wake_fd >= 0) {
			close(t->wake_fd);
		}
		pthread_mutex_destroy(&t->lock);
		free(t);
	}
}

void engine_thread_join(engine_thread *t)
{
	if (t->has_thread) {
		pthread_join(t->thread, NULL);
		t->has_thread = false;
	}
}

engine_thread *engine_thread_new(engine *e)
{
	engine_thread *t = calloc(1, sizeof *t);
	if (t == NULL) {
		return NULL;
	}
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
	t->engine = e;
	pthread_mutex_init(&t->lock, NULL);
	wheel_init(&t->wheel, clock_now_ms());
	t->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	t->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	bool is_ready =
		t->epoll_fd >= 0 && t->wake_fd >= 0 && epoll_ctl(t->epoll_fd, EPOLL_CTL_ADD, t->wake_fd, &event) == 0;
	if (!is_ready || pthread_create(&t->thread, NULL, run, t) != 0) {
		engine_thread_free(t);
		return NULL;
	}
	t->has_thread = true;
	return t;
}
