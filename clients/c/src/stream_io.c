/* Curl's sockets and timers in one epoll set. */
#include "clock.h"
#include "error.h"
#include "stream_impl.h"

#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

enum { EVENTS_A_TURN = 32, PAGES_AT_ONCE = 16 };

/* ---- the timer: curl's wish, a feed's next try, or the end of its patience ---- */

static void arm_timer(tg_stream *s)
{
	int64_t at_ms = s->curl_timer_at_ms;
	for (size_t i = 0; i < s->feed_count; i++) {
		const feed *f = &s->feeds[i];
		at_ms = f->retry_at_ms < at_ms ? f->retry_at_ms : at_ms;
		at_ms = f->silent_at_ms < at_ms ? f->silent_at_ms : at_ms;
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
	if (s->config.disable_continuous) {
		curl_multi_setopt(s->multi, CURLMOPT_MAX_TOTAL_CONNECTIONS, (long)PAGES_AT_ONCE);
	}
	return true;
}

void tgi_stream_io_close(tg_stream *s)
{
	for (size_t i = 0; i < s->feed_count; i++) {
		feed *f = &s->feeds[i];
		if (f->is_under_way) {
			curl_multi_remove_handle(s->multi, f->call.easy);
		}
		tgi_call_dispose(&f->call);
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

tg_status tgi_stream_io_start(tg_stream *s, feed *f, tg_error *error)
{
	f->is_under_way = curl_multi_add_handle(s->multi, f->call.easy) == CURLM_OK;
	arm_timer(s);
	return f->is_under_way ? TG_OK : tgi_error_no_memory(error);
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
	for (size_t i = 0; i < s->feed_count; i++) {
		feed *f = &s->feeds[i];
		tg_error error;
		if (f->retry_at_ms <= now_ms) {
			f->retry_at_ms = CLOCK_NEVER;
			if (tgi_feed_start(s, f, &error) != TG_OK) {
				tgi_stream_fail(s, &error);
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
		for (size_t i = 0; m->msg == CURLMSG_DONE && i < s->feed_count; i++) {
			if (s->feeds[i].call.easy == easy) {
				curl_multi_remove_handle(s->multi, easy);
				tgi_feed_ended(s, &s->feeds[i], result);
				break;
			}
		}
	}
	int64_t now_ms = tgi_clock_now_ms();
	for (size_t i = 0; i < s->feed_count; i++) {
		tgi_feed_look(s, &s->feeds[i], now_ms);
	}
	arm_timer(s);
	return count > 0 || now_ms < deadline_ms;
}
