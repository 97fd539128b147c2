/* Curl's sockets and timers in one epoll set. */
#include "clock.h"
#include "error.h"
#include "stream_impl.h"

#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

enum { EVENTS_A_TURN = 32 };

/* ---- the timer: curl's wish, or a reader's next try ---- */

static void arm_timer(tg_stream *s)
{
	int64_t at_ms = s->curl_timer_at_ms;
	for (size_t i = 0; i < s->reader_count; i++) {
		at_ms = s->readers[i].retry_at_ms < at_ms ? s->readers[i].retry_at_ms : at_ms;
	}
	struct itimerspec spec = {0};
	if (at_ms != CLOCK_NEVER) {
		at_ms = at_ms > 0 ? at_ms : 1; /* 0 would disarm */
		spec.it_value = (struct timespec){.tv_sec = (time_t)(at_ms / 1000), .tv_nsec = (long)(at_ms % 1000) * 1000000};
	}
	timerfd_settime(s->timer, TFD_TIMER_ABSTIME, &spec, NULL);
}

static int curl_sets_timer(CURLM *multi, long timeout_ms, void *context)
{
	tg_stream *s = context;
	(void)multi;
	s->curl_timer_at_ms = timeout_ms < 0 ? CLOCK_NEVER : tgi_clock_now_ms() + timeout_ms;
	return 0;
}

/* ---- sockets ---- */

static int curl_watches_socket(CURL *easy, curl_socket_t socket, int what, void *context, void *known)
{
	tg_stream *s = context;
	struct epoll_event event = {.data.fd = socket};
	(void)easy;
	if (what == CURL_POLL_REMOVE) {
		epoll_ctl(s->epoll, EPOLL_CTL_DEL, socket, NULL);
		return 0;
	}
	event.events |= (what & CURL_POLL_IN) != 0 ? (uint32_t)EPOLLIN : 0;
	event.events |= (what & CURL_POLL_OUT) != 0 ? (uint32_t)EPOLLOUT : 0;
	if (known == NULL) {
		curl_multi_assign(s->multi, socket, s); /* not NULL from now on */
	}
	return epoll_ctl(s->epoll, known == NULL ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, socket, &event) == 0 ? 0 : -1;
}

bool tgi_stream_io_open(tg_stream *s)
{
	struct epoll_event event = {.events = EPOLLIN};
	s->epoll = epoll_create1(EPOLL_CLOEXEC);
	s->timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	s->multi = curl_multi_init();
	s->curl_timer_at_ms = CLOCK_NEVER;
	event.data.fd = s->timer;
	if (s->epoll < 0 || s->timer < 0 || s->multi == NULL || epoll_ctl(s->epoll, EPOLL_CTL_ADD, s->timer, &event) != 0) {
		return false;
	}
	curl_multi_setopt(s->multi, CURLMOPT_SOCKETFUNCTION, curl_watches_socket);
	curl_multi_setopt(s->multi, CURLMOPT_SOCKETDATA, s);
	curl_multi_setopt(s->multi, CURLMOPT_TIMERFUNCTION, curl_sets_timer);
	curl_multi_setopt(s->multi, CURLMOPT_TIMERDATA, s);
	return true;
}

void tgi_stream_io_close(tg_stream *s)
{
	for (size_t i = 0; i < s->reader_count; i++) {
		reader *r = &s->readers[i];
		if (r->is_under_way) {
			curl_multi_remove_handle(s->multi, r->call.easy);
		}
		tgi_call_dispose(&r->call);
	}
	if (s->multi != NULL) {
		curl_multi_cleanup(s->multi);
	}
	if (s->timer >= 0) {
		close(s->timer);
	}
	if (s->epoll >= 0) {
		close(s->epoll);
	}
}

tg_status tgi_stream_io_start(tg_stream *s, reader *r, tg_error *error)
{
	r->is_under_way = curl_multi_add_handle(s->multi, r->call.easy) == CURLM_OK;
	arm_timer(s);
	return r->is_under_way ? TG_OK : tgi_error_no_memory(error);
}

/* ---- a turn ---- */

static void act(tg_stream *s, curl_socket_t socket, int what)
{
	int running;
	curl_multi_socket_action(s->multi, socket, what, &running);
}

static void take_timer(tg_stream *s)
{
	uint64_t times;
	int64_t now_ms = tgi_clock_now_ms();
	ssize_t got = read(s->timer, &times, sizeof times);
	(void)got; /* armed anew below whatever it was */
	if (s->curl_timer_at_ms <= now_ms) {
		s->curl_timer_at_ms = CLOCK_NEVER; /* curl sets another when it wants one */
		act(s, CURL_SOCKET_TIMEOUT, 0);
	}
	for (size_t i = 0; i < s->reader_count; i++) {
		reader *r = &s->readers[i];
		tg_error error;
		if (r->retry_at_ms <= now_ms) {
			r->retry_at_ms = CLOCK_NEVER;
			if (tgi_stream_read(s, r, &error) != TG_OK) {
				s->has_failed = true;
				s->failure = error;
			}
		}
	}
}

static int events_of(uint32_t events)
{
	int what = (events & EPOLLIN) != 0 ? CURL_CSELECT_IN : 0;
	what |= (events & EPOLLOUT) != 0 ? CURL_CSELECT_OUT : 0;
	what |= (events & (EPOLLERR | EPOLLHUP)) != 0 ? CURL_CSELECT_ERR : 0;
	return what;
}

bool tgi_stream_io_wait(tg_stream *s, int64_t deadline_ms)
{
	struct epoll_event events[EVENTS_A_TURN];
	int left;
	int count = epoll_wait(s->epoll, events, EVENTS_A_TURN, tgi_clock_left_ms(deadline_ms));
	for (int i = 0; i < count; i++) {
		if (events[i].data.fd == s->timer) {
			take_timer(s);
		} else {
			act(s, events[i].data.fd, events_of(events[i].events));
		}
	}
	for (const CURLMsg *m; (m = curl_multi_info_read(s->multi, &left)) != NULL;) {
		CURLcode result = m->data.result;
		CURL *easy = m->easy_handle;
		for (size_t i = 0; m->msg == CURLMSG_DONE && i < s->reader_count; i++) {
			reader *r = &s->readers[i];
			if (r->call.easy == easy) {
				curl_multi_remove_handle(s->multi, easy);
				r->is_under_way = false;
				tgi_stream_answered(s, r, result);
				break;
			}
		}
	}
	arm_timer(s);
	return count > 0 || deadline_ms == CLOCK_NEVER || tgi_clock_now_ms() < deadline_ms;
}
