#include "cli/bench/load.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/bench/h2_load.h"
#include "cli/bench/load_window.h"

typedef struct lane {
	peer peer;
	int64_t sent_ns;
	bool waits;  /* a reply is to come */
	bool writes; /* registered for writing as well */
} lane;

typedef struct load {
	load_window window;
	const load_options *options;
	lane *lanes;
	int epoll;
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

/* The next request, if there is one; *event is what came of it. */
static bool send_next(load *l, uint32_t index, peer_event *event)
{
	lane *n = &l->lanes[index];
	str request = load_window_next(&l->window, index);
	n->waits = request.ptr != NULL;
	if (n->waits) {
		n->sent_ns = latency_now_ns();
		*event = peer_send(&n->peer, request);
	}
	return n->waits;
}

/* Acts on what a connection did, and keeps it busy until it has to wait. */
static bool advance(load *l, uint32_t index, peer_event event, err *e)
{
	lane *n = &l->lanes[index];
	do {
		switch (event) {
		case PEER_WANTS_WRITE:
			return watch(l, index, true, e);
		case PEER_WANTS_READ:
			return watch(l, index, false, e);
		case PEER_BROKEN:
			return err_set(e, ERR_UNAVAILABLE, "connection %u to the server broke: %s", index,
						   errno != 0 ? strerror(errno) : "closed, or not an HTTP/1.1 reply");
		case PEER_DONE:
			if (!load_window_take(&l->window, index, peer_status(&n->peer), peer_body(&n->peer), n->sent_ns, e)) {
				return false;
			}
			break;
		}
	} while (send_next(l, index, &event));
	return true;
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

static bool start_lanes(void *context, err *e)
{
	load *l = context;
	for (uint32_t i = 0; i < l->options->connections; i++) {
		peer_event event;
		if (send_next(l, i, &event) && !advance(l, i, event, e)) {
			return false;
		}
	}
	return true;
}

static bool act(void *context, const struct epoll_event *event, err *e)
{
	load *l = context;
	uint32_t index = event->data.u32;
	return !l->lanes[index].waits || advance(l, index, peer_continue(&l->lanes[index].peer), e);
}

static bool run_http1(const load_options *options, load_result *out, err *e)
{
	bool ok = false;
	load l = {.options = options, .epoll = -1};
	l.lanes = calloc(options->connections, sizeof *l.lanes);
	l.epoll = epoll_create1(EPOLL_CLOEXEC);
	if (l.lanes == NULL || l.epoll < 0) {
		err_set(e, ERR_NO_MEMORY, "out of memory or file descriptors");
		goto out;
	}
	if (open_lanes(&l, e)) {
		load_window_begin(&l.window, options, out);
		ok = load_window_run(&l.window, &(load_carrier){&l, l.epoll, start_lanes, act}, e);
	}
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

bool load_run(const load_options *options, load_result *out, err *e)
{
	return options->streams > 0 ? h2_load_run(options, out, e) : run_http1(options, out, e);
}
