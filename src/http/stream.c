#include "http/stream_impl.h"

#include "base/clock.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

enum { FLUSH_FRAMES = 64, FLUSH_TURN_BYTES = 1024 * 1024, TAIL_BYTES = 5 };

static const char TAIL[] = "0\r\n\r\n";

/* ---- queue; the caller holds the lock ---- */

static str bytes_of(const http_stream *s, const frame *f)
{
	return s->is_chunked ? frame_chunk(f) : frame_payload(f);
}

static frame *ring_at(const http_stream *s, uint32_t index)
{
	return s->ring[(s->ring_first + index) & (s->ring_capacity - 1)];
}

static size_t tail_left(const http_stream *s)
{
	return s->is_chunked && s->phase == STREAM_ENDING ? (size_t)TAIL_BYTES - s->tail_sent : 0;
}

bool stream_has_output(const http_stream *s)
{
	return s->ring_count > 0 || s->head != NULL || tail_left(s) > 0;
}

static bool ring_grow(http_stream *s)
{
	uint32_t capacity = s->ring_capacity * 2;
	frame **ring = malloc(capacity * sizeof(frame *));
	if (ring == NULL) {
		return false;
	}
	for (uint32_t i = 0; i < s->ring_count; i++) {
		ring[i] = ring_at(s, i);
	}
	if (s->ring != s->inline_ring) {
		free(s->ring);
	}
	s->ring = ring;
	s->ring_first = 0;
	s->ring_capacity = capacity;
	return true;
}

/* An idle stream keeps no memory for its queue. */
static void ring_shrink(http_stream *s)
{
	if (s->ring != s->inline_ring) {
		free(s->ring);
		s->ring = s->inline_ring;
		s->ring_capacity = RING_INLINE;
	}
	s->ring_first = 0;
}

bool stream_enqueue(http_stream *s, frame *f, size_t already_sent)
{
	if (s->ring_count == s->ring_capacity && !ring_grow(s)) {
		return false;
	}
	if (s->ring_count == 0) {
		s->sent_of_first = already_sent;
	}
	s->ring[(s->ring_first + s->ring_count) & (s->ring_capacity - 1)] = frame_ref(f);
	s->ring_count++;
	s->queued_bytes += bytes_of(s, f).len;
	return true;
}

static void dequeue(http_stream *s)
{
	frame *f = ring_at(s, 0);
	s->queued_bytes -= bytes_of(s, f).len;
	s->ring_first = (s->ring_first + 1) & (s->ring_capacity - 1);
	s->ring_count--;
	s->sent_of_first = 0;
	frame_unref(f);
	if (s->ring_count == 0) {
		ring_shrink(s);
	}
}

void stream_drop_output(http_stream *s)
{
	while (s->ring_count > 0) {
		dequeue(s);
	}
	free(s->head);
	s->head = NULL;
	s->tail_sent = TAIL_BYTES;
}

/* ---- writing; the caller holds the lock ---- */

static struct iovec piece(const char *bytes, size_t len)
{
	/* sendmsg(2) reads from what iovec calls void *. */
	return (struct iovec){.iov_base = (void *)(uintptr_t)bytes, .iov_len = len};
}

static size_t gather(const http_stream *s, struct iovec *out)
{
	size_t count = 0;
	if (s->head != NULL) {
		out[count++] = piece(s->head + s->head_sent, s->head_bytes - s->head_sent);
	}
	uint32_t frames = s->ring_count < FLUSH_FRAMES ? s->ring_count : FLUSH_FRAMES;
	for (uint32_t i = 0; i < frames; i++) {
		str bytes = str_skip(bytes_of(s, ring_at(s, i)), i == 0 ? s->sent_of_first : 0);
		out[count++] = piece(bytes.ptr, bytes.len);
	}
	if (frames == s->ring_count && tail_left(s) > 0) {
		out[count++] = piece(TAIL + s->tail_sent, tail_left(s));
	}
	return count;
}

/* Takes what was sent off the queue. */
static void consume(http_stream *s, size_t sent)
{
	if (s->head != NULL) {
		size_t left = s->head_bytes - s->head_sent;
		size_t part = sent < left ? sent : left;
		s->head_sent += part;
		sent -= part;
		if (part == left) {
			free(s->head);
			s->head = NULL;
		}
	}
	while (sent > 0 && s->ring_count > 0) {
		size_t left = bytes_of(s, ring_at(s, 0)).len - s->sent_of_first;
		if (sent < left) {
			s->sent_of_first += sent;
			return;
		}
		sent -= left;
		dequeue(s);
	}
	s->tail_sent = (uint8_t)(s->tail_sent + sent);
}

flush_result stream_flush(http_stream *s, int64_t now_ms)
{
	size_t turn = 0;
	while (stream_has_output(s)) {
		struct iovec pieces[FLUSH_FRAMES + 2];
		struct msghdr message = {.msg_iov = pieces, .msg_iovlen = gather(s, pieces)};
		ssize_t sent = sendmsg(s->fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (sent < 0) {
			if (errno == EINTR) {
				continue;
			}
			return errno == EAGAIN ? FLUSH_BLOCKED : FLUSH_BROKEN;
		}
		consume(s, (size_t)sent);
		engine_count_bytes(s, (size_t)sent);
		s->last_output_ms = now_ms;
		s->waiting_since_ms = now_ms;
		turn += (size_t)sent;
		if (turn >= FLUSH_TURN_BYTES && stream_has_output(s)) {
			return FLUSH_MORE;
		}
	}
	return FLUSH_DONE;
}

/* Nothing is queued: straight to the socket. */
static http_push send_now(http_stream *s, frame *f, int64_t now_ms)
{
	str bytes = bytes_of(s, f);
	ssize_t sent;
	do {
		sent = send(s->fd, bytes.ptr, bytes.len, MSG_NOSIGNAL | MSG_DONTWAIT);
	} while (sent < 0 && errno == EINTR);
	if (sent < 0 && errno != EAGAIN && errno != EWOULDBLOCK) {
		s->is_broken = true;
		return HTTP_PUSH_CLOSED;
	}
	s->waiting_since_ms = now_ms;
	if (sent > 0) {
		s->last_output_ms = now_ms;
		engine_count_bytes(s, (size_t)sent);
	}
	size_t done = sent > 0 ? (size_t)sent : 0;
	if (done < bytes.len) {
		/* The ring has room for one without allocating. The kernel now owes an EPOLLOUT: no need to wake anybody. */
		(void)stream_enqueue(s, f, done);
	}
	return HTTP_PUSH_OK;
}

static bool has_room(const http_stream *s, frame *const *frames, size_t count)
{
	size_t len = 0;
	for (size_t i = 0; i < count; i++) {
		len += bytes_of(s, frames[i]).len;
	}
	/* Without any frame at most the headers are waiting: whatever comes first is taken. */
	bool fits =
		s->ring_count == 0 || (s->queued_bytes < s->queue_max_bytes && len <= s->queue_max_bytes - s->queued_bytes);
	return fits && s->ring_count + count <= RING_MAX;
}

http_push stream_push_all_locked(http_stream *s, frame *const *frames, size_t count, int64_t now_ms)
{
	if (s->phase != STREAM_OPEN || s->is_broken) {
		return HTTP_PUSH_CLOSED;
	}
	bool is_idle = !stream_has_output(s);
	if (is_idle && count == 1) {
		return send_now(s, frames[0], now_ms);
	}
	bool has_place = has_room(s, frames, count);
	while (has_place && s->ring_capacity - s->ring_count < count) {
		has_place = ring_grow(s);
	}
	if (!has_place) {
		s->was_full = true;
		return HTTP_PUSH_FULL;
	}
	for (size_t i = 0; i < count; i++) {
		(void)stream_enqueue(s, frames[i], 0);
	}
	if (is_idle) {
		s->waiting_since_ms = now_ms;
		s->is_broken = stream_flush(s, now_ms) == FLUSH_BROKEN;
	}
	return s->is_broken ? HTTP_PUSH_CLOSED : HTTP_PUSH_OK;
}

http_push stream_push_locked(http_stream *s, frame *f, int64_t now_ms)
{
	return stream_push_all_locked(s, &f, 1, now_ms);
}

/* ---- public ---- */

http_push http_stream_push(http_stream *s, frame *f)
{
	return http_stream_push_all(s, &f, 1);
}

http_push http_stream_push_all(http_stream *s, frame *const *frames, size_t count)
{
	if (atomic_load_explicit(&s->is_over, memory_order_acquire)) {
		return HTTP_PUSH_CLOSED;
	}
	int64_t now_ms = clock_now_ms();
	pthread_mutex_lock(&s->lock);
	bool was_idle = !stream_has_output(s);
	http_push answer = stream_push_all_locked(s, frames, count, now_ms);
	bool has_broken = answer == HTTP_PUSH_CLOSED && s->is_broken && s->phase == STREAM_OPEN;
	/* A long write may have stopped with the socket still ready: epoll would not tell. */
	bool has_rest = was_idle && count > 1 && stream_has_output(s);
	pthread_mutex_unlock(&s->lock);
	if (has_broken || has_rest) {
		(void)engine_mark_ready(s);
	}
	return answer;
}

void http_stream_pause_input(http_stream *s, bool is_paused)
{
	bool was_paused = atomic_exchange_explicit(&s->is_paused, is_paused, memory_order_acq_rel);
	if (was_paused && !is_paused) {
		(void)engine_mark_ready(s);
	}
}

void http_stream_end(http_stream *s, frame *last)
{
	int64_t now_ms = clock_now_ms();
	pthread_mutex_lock(&s->lock);
	bool was_open = s->phase == STREAM_OPEN;
	if (was_open) {
		bool is_settled = s->tls == NULL && !stream_has_output(s) && !s->is_broken && !socket_has_lost(s->fd);
		atomic_store_explicit(&s->is_settled, is_settled, memory_order_relaxed);
		atomic_store_explicit(&s->is_over, true, memory_order_release);
		if (last != NULL && !s->is_broken && !stream_enqueue(s, last, 0)) {
			/* A body that lacks its last frame must not look complete. */
			s->is_broken = true;
		}
		if (!stream_has_output(s)) {
			s->waiting_since_ms = now_ms;
		}
		s->phase = STREAM_ENDING;
		if (!s->is_broken && stream_flush(s, now_ms) == FLUSH_BROKEN) {
			s->is_broken = true;
		}
	}
	pthread_mutex_unlock(&s->lock);
	if (was_open) {
		/* The stream's own thread does the rest and says on_closed. */
		(void)engine_mark_ready(s);
	}
}

bool http_stream_is_closed(const http_stream *s)
{
	return atomic_load_explicit(&s->is_over, memory_order_acquire);
}

bool http_stream_has_lost(const http_stream *s)
{
	return atomic_load_explicit(&s->has_lost, memory_order_relaxed) &&
		   !atomic_load_explicit(&s->is_settled, memory_order_relaxed);
}

void http_stream_unref(http_stream *s)
{
	if (s != NULL && atomic_fetch_sub_explicit(&s->references, 1, memory_order_acq_rel) == 1) {
		stream_drop_output(s);
		frame_unref(s->options.first);
		frame_unref(s->options.heartbeat);
		peer_tls_unref(s->tls);
		pthread_mutex_destroy(&s->lock);
		free(s);
	}
}
