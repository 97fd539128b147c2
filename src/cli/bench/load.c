#include "cli/bench/load.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "cli/bench/gateway.h"

enum { EVENTS_AT_ONCE = 64, TICK_MS = 100 };

typedef struct lane {
	peer peer;
	int64_t sent_ns;
	bool waits;  /* a reply is to come */
	bool writes; /* registered for writing as well */
} lane;

typedef struct load {
	const load_options *options;
	load_result *result;
	lane *lanes;
	int epoll;
	uint32_t waiting; /* lanes that wait */
	bool is_measuring;
	bool is_over;      /* nothing new is sent */
	int64_t window_ns; /* its begin */
	int64_t heard_ns;  /* the last complete reply */
	usage before;
} load;

static bool watch(load *l, uint32_t index, bool writes, err *e)
{
	lane *n = &l->lanes[index];
	struct epoll_event event = {.events = EPOLLIN | (writes ? EPOLLOUT : 0), .data.u32 = index};
	if (n->writes == writes) {
		return true;
	}
	n->writes = writes;
	return epoll_ctl(l->epoll, EPOLL_CTL_MOD, n->peer.fd, &event) == 0 ||
		   err_set(e, ERR_INTERNAL, "epoll_ctl: %s", strerror(errno));
}

static bool take_reply(load *l, uint32_t index, err *e)
{
	lane *n = &l->lanes[index];
	int64_t now_ns = latency_now_ns();
	uint32_t records = 0;
	n->waits = false;
	l->waiting--;
	if (peer_status(&n->peer) / 100 != 2) {
		return gateway_refused("a request", peer_status(&n->peer), peer_body(&n->peer), e);
	}
	if (!l->options->client.reply(l->options->client.context, index, peer_body(&n->peer), &records, e)) {
		return false;
	}
	if (l->is_measuring) {
		l->result->requests++;
		l->result->records += records;
		latency_add(&l->result->latency, now_ns - n->sent_ns);
	}
	l->heard_ns = now_ns;
	return true;
}

/* Acts on what a connection did, and keeps it busy until it has to wait. */
static bool advance(load *l, uint32_t index, peer_event event, err *e)
{
	lane *n = &l->lanes[index];
	for (;;) {
		switch (event) {
		case PEER_WANTS_WRITE:
			return watch(l, index, true, e);
		case PEER_WANTS_READ:
			return watch(l, index, false, e);
		case PEER_BROKEN:
			return err_set(e, ERR_UNAVAILABLE, "connection %u to the server broke: %s", index,
						   errno != 0 ? strerror(errno) : "closed, or not an HTTP/1.1 reply");
		case PEER_DONE:
			if (!take_reply(l, index, e)) {
				return false;
			}
			break;
		}
		str request = l->is_over ? STR_NONE : l->options->client.next(l->options->client.context, index);
		if (request.ptr == NULL) {
			return true;
		}
		n->waits = true;
		l->waiting++;
		n->sent_ns = latency_now_ns();
		event = peer_send(&n->peer, request);
	}
}

static bool open_lanes(load *l, err *e)
{
	for (uint32_t i = 0; i < l->options->connections; i++) {
		peer_init(&l->lanes[i].peer);
	}
	for (uint32_t i = 0; i < l->options->connections; i++) {
		struct epoll_event event = {.events = EPOLLIN, .data.u32 = i};
		if (!peer_open(&l->lanes[i].peer, l->options->address, e)) {
			return false;
		}
		if (epoll_ctl(l->epoll, EPOLL_CTL_ADD, l->lanes[i].peer.fd, &event) != 0) {
			return err_set(e, ERR_INTERNAL, "epoll_ctl: %s", strerror(errno));
		}
	}
	return true;
}

static bool start_lanes(load *l, err *e)
{
	for (uint32_t i = 0; i < l->options->connections; i++) {
		lane *n = &l->lanes[i];
		str request = l->options->client.next(l->options->client.context, i);
		if (request.ptr == NULL) {
			continue;
		}
		n->waits = true;
		l->waiting++;
		n->sent_ns = latency_now_ns();
		if (!advance(l, i, peer_send(&n->peer, request), e)) {
			return false;
		}
	}
	return true;
}

static void end_window(load *l, int64_t end_ns)
{
	usage after = usage_now(l->options->sources);
	l->result->spent = usage_between(&l->before, &after);
	l->result->elapsed_ns = end_ns - l->window_ns;
	l->is_measuring = false;
	l->is_over = true;
}

/* Begins and ends the window when its time has come. */
static void keep_time(load *l, int64_t begin_ns, int64_t now_ns)
{
	int64_t warmup_ns = l->options->warmup_ms * 1000000;
	if (l->is_over) {
		return;
	}
	if (!l->is_measuring && now_ns - begin_ns >= warmup_ns) {
		l->is_measuring = true;
		l->before = usage_now(l->options->sources);
		l->window_ns = latency_now_ns();
	} else if (l->is_measuring && now_ns - l->window_ns >= l->options->measure_ms * 1000000) {
		end_window(l, now_ns);
	}
}

static bool loop(load *l, err *e)
{
	struct epoll_event events[EVENTS_AT_ONCE];
	int64_t begin_ns = latency_now_ns();
	keep_time(l, begin_ns, begin_ns);
	l->heard_ns = begin_ns;
	if (!start_lanes(l, e)) {
		return false;
	}
	while (l->waiting > 0) {
		int n = epoll_wait(l->epoll, events, EVENTS_AT_ONCE, TICK_MS);
		if (n < 0 && errno != EINTR) {
			return err_set(e, ERR_INTERNAL, "epoll_wait: %s", strerror(errno));
		}
		for (int i = 0; i < n; i++) {
			uint32_t index = events[i].data.u32;
			if (l->lanes[index].waits && !advance(l, index, peer_continue(&l->lanes[index].peer), e)) {
				return false;
			}
		}
		int64_t now_ns = latency_now_ns();
		keep_time(l, begin_ns, now_ns);
		if (now_ns - l->heard_ns > (int64_t)LOAD_TIMEOUT_MS * 1000000) {
			return err_set(e, ERR_TIMEOUT, "%u requests got no reply within %d ms", l->waiting, LOAD_TIMEOUT_MS);
		}
	}
	if (l->is_measuring) {
		end_window(l, l->heard_ns);
	}
	return true;
}

bool load_run(const load_options *options, load_result *out, err *e)
{
	bool ok = false;
	load l = {.options = options, .result = out, .epoll = -1};
	memset(out, 0, sizeof *out);
	latency_reset(&out->latency);
	l.lanes = calloc(options->connections, sizeof *l.lanes);
	l.epoll = epoll_create1(EPOLL_CLOEXEC);
	if (l.lanes == NULL || l.epoll < 0) {
		err_set(e, ERR_NO_MEMORY, "out of memory or file descriptors");
		goto out;
	}
	ok = open_lanes(&l, e) && loop(&l, e);
out:
	for (uint32_t i = 0; l.lanes != NULL && l.epoll >= 0 && i < options->connections; i++) {
		peer_dispose(&l.lanes[i].peer);
	}
	if (l.epoll >= 0) {
		close(l.epoll);
	}
	free(l.lanes);
	return ok;
}
