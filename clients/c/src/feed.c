/* Asking for packets, and what becomes of the answers. */
#include "clock.h"
#include "error.h"
#include "packet.h"
#include "retry.h"
#include "stream_impl.h"

#include <stdlib.h>

enum {
	PAGE_WAIT_MS = 1000, /* below the end there is something; in case there is not, do not ask in a circle */
	PAGE_MS = 30000,
	PAGE_RECORDS = 10000,
	SILENCE_MS = 60000,           /* the server sends a heartbeat every 15 s */
	TAKEN_BYTES_MIN = 1 << 14,    /* at a time, of a live stream */
	TAKEN_BYTES_MAX = 512 * 1024, /* curl's */
};

static bool is_live(const tg_stream *s)
{
	return !s->config.disable_continuous;
}

/* ---- asking ---- */

static tg_status start(tg_stream *s, feed *f, const call_request *request, tg_error *error)
{
	size_t most = s->config.max_bytes;
	tg_status status = tgi_call_prepare(&f->call, s->client, request, error);
	if (status != TG_OK) {
		return status;
	}
	most = most < TAKEN_BYTES_MIN ? TAKEN_BYTES_MIN : most > TAKEN_BYTES_MAX ? TAKEN_BYTES_MAX : most;
	curl_easy_setopt(f->call.easy, CURLOPT_BUFFERSIZE, (long)most);
	f->is_checked = false;
	f->silent_at_ms = is_live(s) ? tgi_clock_now_ms() + SILENCE_MS : CLOCK_NEVER;
	return tgi_stream_io_start(s, f, error);
}

static tg_status ask_for_page(tg_stream *s, feed *f, tg_error *error)
{
	const reader *r = tgi_stream_reader(s, f->partition);
	buffer *b = &f->text;
	if (f->next_offset >= r->end) {
		return TG_OK;
	}
	tgi_buffer_clear(b);
	tgi_buffer_text(b, "{\"strict\":true,\"partition\":");
	tgi_buffer_integer(b, r->partition);
	tgi_buffer_text(b, ",\"offset\":");
	tgi_buffer_integer(b, f->next_offset);
	tgi_buffer_text(b, ",\"until_offset\":");
	tgi_buffer_integer(b, r->end);
	tgi_buffer_text(b, ",\"max_messages\":");
	tgi_buffer_integer(b, PAGE_RECORDS);
	tgi_buffer_text(b, ",\"max_bytes\":");
	tgi_buffer_integer(b, (int64_t)s->config.max_bytes);
	tgi_buffer_text(b, ",\"wait_ms\":");
	tgi_buffer_integer(b, PAGE_WAIT_MS);
	tgi_buffer_text(b, "}");
	if (b->failed) {
		return tgi_error_no_memory(error);
	}
	const call_request request = {
		.method = "POST",
		.path = s->path,
		.accept = PACKET_MEDIA_TYPE,
		.content_type = "application/json",
		.body = b->ptr,
		.body_len = b->len,
		.timeout_ms = PAGE_WAIT_MS + PAGE_MS,
	};
	return start(s, f, &request, error);
}

/* With a position for each partition, so that each goes on where it was. */
static tg_status connect_live(tg_stream *s, feed *f, tg_error *error)
{
	buffer *b = &f->text;
	bool is_one = f->partition != ALL_PARTITIONS || s->reader_count == 1;
	const reader *first = is_one && f->partition != ALL_PARTITIONS ? tgi_stream_reader(s, f->partition) : s->readers;
	size_t count = is_one ? 1 : s->reader_count;
	tgi_buffer_clear(b);
	tgi_buffer_text(b, s->path);
	tgi_buffer_text(b, "?strict=true");
	if (is_one) {
		tgi_buffer_text(b, "&partition=");
		tgi_buffer_integer(b, first->partition);
	}
	tgi_buffer_text(b, "&offset=");
	for (size_t i = 0; i < count; i++) {
		tgi_buffer_text(b, i > 0 ? "," : "");
		tgi_buffer_integer(b, first[i].position);
	}
	tgi_buffer_append(b, "", 1);
	if (b->failed) {
		return tgi_error_no_memory(error);
	}
	const call_request request = {.method = "GET", .path = b->ptr, .accept = PACKET_MEDIA_TYPE};
	return start(s, f, &request, error);
}

tg_status tgi_feed_start(tg_stream *s, feed *f, tg_error *error)
{
	return is_live(s) ? connect_live(s, f, error) : ask_for_page(s, f, error);
}

/* ---- answers ---- */

static void push_ready(tg_stream *s, feed *f)
{
	f->is_ready = true;
	f->next_ready = NULL;
	if (s->last_ready != NULL) {
		s->last_ready->next_ready = f;
	} else {
		s->first_ready = f;
	}
	s->last_ready = f;
}

static bool has_packet(const feed *f)
{
	packet first;
	return tgi_packet_take(f->call.reply.ptr, f->call.reply.len, &first) > 0;
}

/* Another try later, or the end of the stream. */
static void try_later(tg_stream *s, feed *f, tg_error *error)
{
	const tg_consumer_config *c = &s->config;
	if (!error->retryable || c->retry_mode == TG_RETRY_DISABLED || c->disable_continuous) {
		tgi_stream_fail(s, error);
		return;
	}
	if (c->retry_mode == TG_TRY_UNTIL && f->failures >= c->retry_tries) {
		tg_error cause = *error;
		tgi_error_set(error, TG_ERR_MAX_RETRY_REACHED, "given up after %u failures in a row: %.400s", f->failures + 1,
					  cause.message);
		error->http = cause.http;
		tgi_stream_fail(s, error);
		return;
	}
	int64_t delay_ms = tgi_retry_reconnect_delay_ms(f->failures++);
	delay_ms = delay_ms > f->call.retry_after_ms ? delay_ms : f->call.retry_after_ms;
	f->retry_at_ms = tgi_clock_now_ms() + delay_ms;
}

/* What is asked for is gone: a gap like any other, behind which reading goes on. */
static void skip_evicted(tg_stream *s, feed *f, tg_error *error)
{
	const reader *r = error->partition >= 0 ? tgi_stream_reader(s, error->partition) : NULL;
	if (r == NULL || error->start_offset <= r->position) {
		tgi_error_set(error, TG_ERR_PROTOCOL, "the server does not say where the records begin that are left");
		tgi_stream_fail(s, error);
		return;
	}
	const packet_gap gap = {r->partition, r->position, error->start_offset};
	tgi_buffer_clear(&f->call.reply);
	tgi_packet_write_gap(&f->call.reply, &gap);
	if (f->call.reply.failed) {
		tgi_error_no_memory(error);
		tgi_stream_fail(s, error);
		return;
	}
	f->next_offset = gap.to;
	f->retry_at_ms = is_live(s) ? tgi_clock_now_ms() : CLOCK_NEVER; /* the next page is asked for with the gap's */
	push_ready(s, f);
}

static tg_status not_ours(tg_error *error)
{
	return tgi_error_set(error, TG_ERR_PROTOCOL,
						 "an answer of the server cannot be read; does the endpoint lead to a Tidegate server?");
}

void tgi_feed_ended(tg_stream *s, feed *f, CURLcode result)
{
	tg_error error;
	f->is_under_way = false;
	f->silent_at_ms = CLOCK_NEVER;
	tg_status status = tgi_call_judge(&f->call, result, &error);
	if (status == TG_OK && !tgi_call_has_packets(&f->call)) {
		status = not_ours(&error);
	}
	if (status == TG_OK && !is_live(s)) {
		push_ready(s, f);
		return;
	}
	if (status == TG_ERR_OFFSET_EVICTED) {
		skip_evicted(s, f, &error);
		return;
	}
	if (status == TG_OK) {
		tgi_error_set(&error, TG_ERR_CONNECTION, "the server has ended the stream");
		error.retryable = true;
	}
	/* What came before is handed out first, and the position is behind it then. */
	if (f->is_checked && !f->is_ready && has_packet(f)) {
		push_ready(s, f);
	}
	try_later(s, f, &error);
}

void tgi_feed_look(tg_stream *s, feed *f, int64_t now_ms)
{
	tg_error error;
	long http = 0;
	if (!is_live(s) || !f->is_under_way) {
		return;
	}
	if (!f->is_checked && f->call.is_headed) {
		curl_easy_getinfo(f->call.easy, CURLINFO_RESPONSE_CODE, &http);
		f->is_checked = http == 200 && tgi_call_has_packets(&f->call);
	}
	if (f->is_checked && !f->is_ready && has_packet(f)) {
		f->silent_at_ms = now_ms + SILENCE_MS;
		push_ready(s, f);
	} else if (now_ms >= f->silent_at_ms) {
		curl_multi_remove_handle(s->multi, f->call.easy);
		f->is_under_way = false;
		f->silent_at_ms = CLOCK_NEVER;
		tgi_error_set(&error, TG_ERR_CONNECTION, "the server has been silent for %d s", SILENCE_MS / 1000);
		error.retryable = true;
		try_later(s, f, &error);
	}
}

/* ---- pages ---- */

/* How many bytes of the page are whole packets; *next_offset: from its end, if it has one. */
static size_t walk(buffer *page, bool *has_end, int64_t *next_offset)
{
	packet p;
	int32_t partition;
	size_t at = 0;
	*has_end = false;
	for (size_t taken; (taken = tgi_packet_take(page->ptr + at, page->len - at, &p)) > 0; at += taken) {
		*has_end = p.type == PACKET_PAGE_END && tgi_packet_read_page_end(&p, &partition, next_offset);
	}
	return at;
}

/* What has come of the next packet stays with the feed. */
static tg_status take_live(tg_stream *s, feed *f, tg_error *error)
{
	bool has_end;
	int64_t next_offset;
	size_t whole = walk(&s->page, &has_end, &next_offset);
	tgi_buffer_append(&f->call.reply, s->page.ptr + whole, s->page.len - whole);
	s->page.len = whole;
	return f->call.reply.failed ? tgi_error_no_memory(error) : TG_OK;
}

static tg_status take_page(tg_stream *s, feed *f, tg_error *error)
{
	bool has_end;
	bool is_gap = f->call.http >= 300; /* of skip_evicted() */
	int64_t before = f->next_offset;
	size_t whole = walk(&s->page, &has_end, &f->next_offset);
	if (whole != s->page.len || (!is_gap && !has_end) || f->next_offset < before) {
		return not_ours(error);
	}
	tg_status status = tgi_feed_start(s, f, error);
	if (status == TG_OK) {
		tgi_stream_io_wait(s, 0); /* the server shall work on it while this page is read */
	}
	return status;
}

tg_status tgi_feed_open_page(tg_stream *s, tg_error *error)
{
	feed *f = s->first_ready;
	buffer drained = s->page;
	s->first_ready = f->next_ready;
	s->last_ready = s->first_ready == NULL ? NULL : s->last_ready;
	s->page = f->call.reply;
	s->at = 0;
	tgi_buffer_clear(&drained);
	f->call.reply = drained;
	f->is_ready = false;
	if (f->is_under_way || !is_live(s)) {
		f->failures = 0;
	}
	tg_status status =
		tgi_buffer_reserve(&s->page, 1) ? TG_OK : tgi_error_no_memory(error); /* for the last record's 0 */
	if (status == TG_OK) {
		status = is_live(s) ? take_live(s, f, error) : take_page(s, f, error);
	}
	if (status != TG_OK) {
		tgi_stream_fail(s, error);
	}
	return status;
}
