#include "cli/bench/load_window.h"

#include <errno.h>
#include <string.h>

#include "cli/bench/gateway.h"

enum { EVENTS_AT_ONCE = 64, TICK_MS = 100 };

void load_window_begin(load_window *w, const load_options *options, load_result *result)
{
	int64_t now_ns = latency_now_ns();
	memset(result, 0, sizeof *result);
	latency_reset(&result->latency);
	*w = (load_window){.options = options, .result = result, .begin_ns = now_ns, .heard_ns = now_ns};
}

str load_window_next(load_window *w, uint32_t lane)
{
	const load_client *client = &w->options->client;
	str request = w->is_over ? STR_NONE : client->next(client->context, lane);
	w->waiting += request.ptr != NULL ? 1 : 0;
	return request;
}

bool load_window_take(load_window *w, uint32_t lane, int status, str body, int64_t sent_ns, err *e)
{
	const load_client *client = &w->options->client;
	int64_t now_ns = latency_now_ns();
	uint32_t records = 0;
	w->waiting--;
	if (status / 100 != 2) {
		return gateway_refused("a request", status, body, e);
	}
	if (!client->reply(client->context, lane, body, &records, e)) {
		return false;
	}
	if (w->is_measuring) {
		w->result->requests++;
		w->result->records += records;
		latency_add(&w->result->latency, now_ns - sent_ns);
	}
	w->heard_ns = now_ns;
	return true;
}

static void close_window(load_window *w, int64_t end_ns)
{
	usage after = usage_now(w->options->sources);
	w->result->spent = usage_between(&w->before, &after);
	w->result->elapsed_ns = end_ns - w->window_ns;
	w->is_measuring = false;
	w->is_over = true;
}

/* Begins and ends the window when its time has come. */
static bool keep_time(load_window *w, err *e)
{
	int64_t now_ns = latency_now_ns();
	if (now_ns - w->heard_ns > (int64_t)LOAD_TIMEOUT_MS * 1000000) {
		return err_set(e, ERR_TIMEOUT, "%u requests got no reply within %d ms", w->waiting, LOAD_TIMEOUT_MS);
	}
	if (w->is_over) {
		return true;
	}
	if (!w->is_measuring && now_ns - w->begin_ns >= w->options->warmup_ms * 1000000) {
		w->is_measuring = true;
		w->before = usage_now(w->options->sources);
		w->window_ns = latency_now_ns();
	} else if (w->is_measuring && now_ns - w->window_ns >= w->options->measure_ms * 1000000) {
		close_window(w, now_ns);
	}
	return true;
}

bool load_window_run(load_window *w, const load_carrier *carrier, err *e)
{
	struct epoll_event events[EVENTS_AT_ONCE];
	if (!keep_time(w, e) || !carrier->start(carrier->context, e)) {
		return false;
	}
	while (w->waiting > 0) {
		int n = epoll_wait(carrier->epoll, events, EVENTS_AT_ONCE, TICK_MS);
		if (n < 0 && errno != EINTR) {
			return err_set(e, ERR_INTERNAL, "epoll_wait: %s", strerror(errno));
		}
		for (int i = 0; i < n; i++) {
			if (!carrier->act(carrier->context, &events[i], e)) {
				return false;
			}
		}
		if (!keep_time(w, e)) {
			return false;
		}
	}
	if (w->is_measuring) {
		close_window(w, w->heard_ns);
	}
	return true;
}
