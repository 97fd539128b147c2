#include "cli/bench/watchers.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

enum {
	EVENTS_AT_ONCE = 256,
	OPENED_AT_ONCE = 64,
	LINE_MAX_BYTES = 512,
	READ_BYTES = 65536,
	PRODUCER = -1 /* in an epoll event's data */
};

typedef enum watcher_phase { WATCHER_STATUS, WATCHER_HEADERS, WATCHER_STREAM } watcher_phase;

typedef struct watcher {
	int fd;
	watcher_phase phase;
	bool is_chunked;
	chunk_decoder chunks;
	int64_t next_offset;
	int64_t event_ns; /* when the last event was read */
	uint32_t line_len;
	char line[LINE_MAX_BYTES]; /* an unfinished line; what does not fit is dropped */
} watcher;

struct watchers {
	const watch_dialect *dialect;
	int epoll;
	uint32_t capacity;
	uint32_t count;   /* opened */
	uint32_t ready;   /* in WATCHER_STREAM */
	uint32_t reached; /* have the record that is on its way */
	int64_t next_offset;
	int64_t acknowledged_ns; /* 0 = not yet */
	peer producer;
	char *block; /* READ_BYTES, for every read */
	watcher list[];
};

/* ---- one stream ---- */

static bool take_line(watchers *all, watcher *w, str line, int64_t now_ns, err *e)
{
	int64_t offset = 0;
	if (line.len > 0 && line.ptr[line.len - 1] == '\r') {
		line.len--;
	}
	switch (w->phase) {
	case WATCHER_STATUS:
		w->phase = WATCHER_HEADERS;
		return str_starts_with(line, STR("HTTP/1.1 200")) ||
			   err_set(e, ERR_INTERNAL, "an event stream was refused: %.*s", STR_ARG(line));
	case WATCHER_HEADERS:
		if (line.len == 0) {
			w->phase = WATCHER_STREAM;
			all->ready++;
		} else if (str_equal_ignore_case(line, STR("transfer-encoding: chunked"))) {
			w->is_chunked = true;
		}
		return true;
	case WATCHER_STREAM:
		break;
	}
	if (!all->dialect->is_event(line, &offset)) {
		return true;
	}
	if (offset != WATCH_UNNUMBERED && offset != w->next_offset) {
		return err_set(e, ERR_INTERNAL, "a watcher expected offset %" PRId64 " and was sent %" PRId64, w->next_offset,
					   offset);
	}
	w->next_offset++;
	w->event_ns = now_ns;
	if (w->next_offset == all->next_offset) {
		all->reached++;
	}
	return true;
}

/* Cuts into lines, up to the end of the head if that is in it: *rest is what follows it. */
static bool take_text(watchers *all, watcher *w, str text, str *rest, int64_t now_ns, err *e)
{
	bool in_head = w->phase != WATCHER_STREAM;
	while (text.len > 0 && in_head == (w->phase != WATCHER_STREAM)) {
		str line, tail;
		bool is_whole = str_split(text, '\n', &line, &tail);
		text = tail;
		if (w->line_len > 0 || !is_whole) {
			str fits = str_take(line, LINE_MAX_BYTES - w->line_len);
			memcpy(w->line + w->line_len, fits.ptr, fits.len);
			w->line_len += (uint32_t)fits.len;
			line = (str){w->line, w->line_len};
		}
		if (is_whole) {
			w->line_len = 0;
			if (!take_line(all, w, line, now_ns, e)) {
				return false;
			}
		}
	}
	*rest = text;
	return true;
}

static bool take_bytes(watchers *all, watcher *w, str bytes, err *e)
{
	int64_t now_ns = latency_now_ns();
	str piece, none;
	if (w->phase != WATCHER_STREAM && !take_text(all, w, bytes, &bytes, now_ns, e)) {
		return false;
	}
	if (w->phase != WATCHER_STREAM) {
		return true;
	}
	if (!w->is_chunked) {
		return take_text(all, w, bytes, &none, now_ns, e);
	}
	for (;;) {
		switch (chunk_next(&w->chunks, &bytes, &piece)) {
		case CHUNK_MORE:
			return true;
		case CHUNK_END:
			return err_set(e, ERR_INTERNAL, "the server ended an event stream");
		case CHUNK_BROKEN:
			return err_set(e, ERR_INTERNAL, "an event stream has broken chunks");
		case CHUNK_PIECE:
			if (!take_text(all, w, piece, &none, now_ns, e)) {
				return false;
			}
			break;
		}
	}
}

static bool read_watcher(watchers *all, watcher *w, err *e)
{
	ssize_t n = recv(w->fd, all->block, READ_BYTES, 0);
	if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
		return true;
	}
	if (n <= 0) {
		return err_set(e, ERR_INTERNAL, "the server closed an event stream: %s",
					   n < 0 ? strerror(errno) : "end of stream");
	}
	return take_bytes(all, w, (str){all->block, (size_t)n}, e);
}

/* ---- all of them ---- */

static bool take_acknowledgement(watchers *all, peer_event event, err *e)
{
	int64_t offset = 0;
	switch (event) {
	case PEER_WANTS_WRITE: /* one record: the socket takes it at once, or soon */
	case PEER_WANTS_READ:
		return true;
	case PEER_BROKEN:
		return err_set(e, ERR_UNAVAILABLE, "the producing connection broke");
	case PEER_DONE:
		break;
	}
	all->acknowledged_ns = latency_now_ns();
	if (!all->dialect->check_reply(&all->producer, &offset, e)) {
		return false;
	}
	return offset == WATCH_UNNUMBERED || offset == all->next_offset - 1 ||
		   err_set(e, ERR_INTERNAL, "offset %" PRId64 " was acknowledged where %" PRId64 " was expected", offset,
				   all->next_offset - 1);
}

/* Waits for events once, at most that long. */
static bool pump(watchers *all, int64_t ms, err *e)
{
	struct epoll_event events[EVENTS_AT_ONCE];
	int n = epoll_wait(all->epoll, events, EVENTS_AT_ONCE, ms > 0 ? (int)ms : 0);
	if (n < 0 && errno != EINTR) {
		return err_set(e, ERR_INTERNAL, "epoll_wait: %s", strerror(errno));
	}
	for (int i = 0; i < n; i++) {
		int64_t index = (int64_t)events[i].data.u64;
		bool ok = index == PRODUCER ? take_acknowledgement(all, peer_continue(&all->producer), e)
									: read_watcher(all, &all->list[index], e);
		if (!ok) {
			return false;
		}
	}
	return true;
}

static bool add_socket(watchers *all, int fd, int64_t index, err *e)
{
	struct epoll_event event = {.events = EPOLLIN, .data.u64 = (uint64_t)index};
	return epoll_ctl(all->epoll, EPOLL_CTL_ADD, fd, &event) == 0 ||
		   err_set(e, ERR_INTERNAL, "epoll_ctl: %s", strerror(errno));
}

static bool open_one(watchers *all, const peer_address *address, str request, err *e)
{
	watcher *w = &all->list[all->count];
	int fd = -1;
	if (!peer_connect(address, &fd, e)) {
		return false;
	}
	*w = (watcher){.fd = fd, .next_offset = all->next_offset};
	chunk_init(&w->chunks);
	all->count++;
	if (send(fd, request.ptr, request.len, MSG_NOSIGNAL) != (ssize_t)request.len) {
		return err_set(e, ERR_UNAVAILABLE, "a request for an event stream could not be sent");
	}
	return add_socket(all, fd, all->count - 1, e);
}

/* Until at most `most` streams are still to be accepted. */
static bool await_ready(watchers *all, uint32_t most, err *e)
{
	int64_t deadline_ns = latency_now_ns() + (int64_t)WATCHERS_TIMEOUT_MS * 1000000;
	while (all->count - all->ready > most) {
		int64_t left_ms = (deadline_ns - latency_now_ns()) / 1000000;
		if (left_ms <= 0) {
			return err_set(e, ERR_TIMEOUT, "%u of %u event streams were accepted in time", all->ready, all->count);
		}
		if (!pump(all, left_ms, e)) {
			return false;
		}
	}
	return true;
}

bool watchers_new(const peer_address *address, const watch_dialect *dialect, uint32_t capacity, watchers **out, err *e)
{
	bool ok = false;
	watchers *all = calloc(1, sizeof *all + capacity * sizeof all->list[0]);
	if (all == NULL) {
		err_set(e, ERR_NO_MEMORY, "out of memory");
		goto out;
	}
	all->dialect = dialect;
	all->capacity = capacity;
	peer_init(&all->producer);
	all->block = malloc(READ_BYTES);
	all->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (all->block == NULL || all->epoll < 0) {
		err_set(e, ERR_NO_MEMORY, "out of memory or file descriptors");
		goto out;
	}
	if (!peer_open(&all->producer, address, e) || !add_socket(all, all->producer.fd, PRODUCER, e)) {
		goto out;
	}
	*out = all;
	all = NULL;
	ok = true;
out:
	watchers_close(all);
	return ok;
}

bool watchers_add(watchers *all, const peer_address *address, str request, uint32_t count, err *e)
{
	if (count > all->capacity - all->count) {
		return err_set(e, ERR_NO_MEMORY, "there is no room for %u more watchers", count);
	}
	for (uint32_t i = 0; i < count; i++) {
		if (!open_one(all, address, request, e) || !await_ready(all, OPENED_AT_ONCE, e)) {
			return false;
		}
	}
	return await_ready(all, 0, e);
}

void watchers_close(watchers *all)
{
	if (all != NULL) {
		for (uint32_t i = 0; i < all->count; i++) {
			close(all->list[i].fd);
		}
		peer_dispose(&all->producer);
		if (all->epoll >= 0) {
			close(all->epoll);
		}
		free(all->block);
		free(all);
	}
}

bool watchers_idle(watchers *all, int64_t ms, err *e)
{
	int64_t end_ns = latency_now_ns() + ms * 1000000;
	for (int64_t left_ms = ms; left_ms > 0; left_ms = (end_ns - latency_now_ns()) / 1000000) {
		if (!pump(all, left_ms, e)) {
			return false;
		}
	}
	return true;
}

bool watchers_publish(watchers *all, str request, watch_times *times, err *e)
{
	int64_t last_ns = 0;
	all->next_offset++;
	all->reached = 0;
	all->acknowledged_ns = 0;
	int64_t sent_ns = latency_now_ns();
	int64_t deadline_ns = sent_ns + (int64_t)WATCHERS_TIMEOUT_MS * 1000000;
	if (!take_acknowledgement(all, peer_send(&all->producer, request), e)) {
		return false;
	}
	while (all->reached < all->count || all->acknowledged_ns == 0) {
		int64_t left_ms = (deadline_ns - latency_now_ns()) / 1000000;
		if (left_ms <= 0) {
			return err_set(e, ERR_TIMEOUT, "%u of %u watchers were sent offset %" PRId64 " in time", all->reached,
						   all->count, all->next_offset - 1);
		}
		if (!pump(all, left_ms, e)) {
			return false;
		}
	}
	for (uint32_t i = 0; i < all->count; i++) {
		int64_t event_ns = all->list[i].event_ns;
		latency_add(&times->from_sent, event_ns - sent_ns);
		latency_add(&times->from_acknowledged, event_ns - all->acknowledged_ns);
		last_ns = event_ns > last_ns ? event_ns : last_ns;
	}
	latency_add(&times->last_from_sent, last_ns - sent_ns);
	return true;
}

bool watchers_measure(watchers *all, watch_window *window, watch_times *times, err *e)
{
	for (int i = 0; i < WATCHERS_WARMUP_ROUNDS; i++) {
		if (!window->publish(window->context, all, times, e)) {
			return false;
		}
	}
	*times = (watch_times){0};
	usage before = usage_now(window->sources);
	int64_t begin_ns = latency_now_ns();
	int64_t now_ns = begin_ns;
	for (int i = 0; i < WATCHERS_LEAST_ROUNDS || now_ns - begin_ns < window->measure_ms * 1000000; i++) {
		if (!window->publish(window->context, all, times, e)) {
			return false;
		}
		now_ns = latency_now_ns();
	}
	usage after = usage_now(window->sources);
	window->spent = usage_between(&before, &after);
	window->seconds = (double)(now_ns - begin_ns) / 1e9;
	return true;
}
