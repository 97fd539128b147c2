#include "stream_impl.h"

#include "clock.h"
#include "error.h"
#include "retry.h"
#include "topic.h"

enum { LONG_POLL_MS = 20000, NETWORK_MS = 30000, PAGE_RECORDS = 10000 };

/* ---- asking for pages ---- */

tg_status tgi_stream_read(tg_stream *s, reader *r, tg_error *error)
{
	buffer *b = &r->body;
	int64_t wait_ms = s->config.disable_continuous ? 0 : LONG_POLL_MS;
	if (r->position >= r->end) {
		return TG_OK;
	}
	tgi_buffer_clear(b);
	tgi_buffer_text(b, "{\"partition\":");
	tgi_buffer_integer(b, r->partition);
	tgi_buffer_text(b, ",\"offset\":");
	tgi_buffer_integer(b, r->position);
	tgi_buffer_text(b, ",\"max_messages\":");
	tgi_buffer_integer(b, PAGE_RECORDS);
	tgi_buffer_text(b, ",\"max_bytes\":");
	tgi_buffer_integer(b, (int64_t)s->config.max_bytes);
	tgi_buffer_text(b, ",\"wait_ms\":");
	tgi_buffer_integer(b, wait_ms);
	tgi_buffer_text(b, "}");
	if (b->failed) {
		return tgi_error_no_memory(error);
	}
	const call_request request = {
		.method = "POST",
		.path = s->path,
		.content_type = "application/json",
		.body = b->ptr,
		.body_len = b->len,
		.timeout_ms = wait_ms + NETWORK_MS,
	};
	tg_status status = tgi_call_prepare(&r->call, s->client, &request, error);
	return status == TG_OK ? tgi_stream_io_start(s, r, error) : status;
}

static void fail(tg_stream *s, const tg_error *error)
{
	if (!s->has_failed) {
		s->has_failed = true;
		s->failure = *error;
	}
}

/* A request of the reader failed: another try later, or the end of the stream. */
static void try_later(tg_stream *s, reader *r, tg_error *error)
{
	const tg_consumer_config *c = &s->config;
	if (!error->retryable || c->retry_mode == TG_RETRY_DISABLED || c->disable_continuous) {
		fail(s, error);
		return;
	}
	if (c->retry_mode == TG_TRY_UNTIL && r->failures >= c->retry_tries) {
		tg_error cause = *error;
		tgi_error_set(error, TG_ERR_MAX_RETRY_REACHED, "given up after %u failures in a row: %.400s", r->failures + 1,
					  cause.message);
		error->http = cause.http;
		fail(s, error);
		return;
	}
	int64_t delay_ms = tgi_retry_reconnect_delay_ms(r->failures++);
	delay_ms = delay_ms > r->call.retry_after_ms ? delay_ms : r->call.retry_after_ms;
	r->retry_at_ms = tgi_clock_now_ms() + delay_ms;
}

void tgi_stream_answered(tg_stream *s, reader *r, CURLcode result)
{
	tg_error error;
	json_t *page = NULL;
	tg_status status = tgi_call_judge(&r->call, result, &error);
	if (status == TG_OK && (page = tgi_call_json(&r->call, &error)) == NULL) {
		status = TG_ERR_PROTOCOL;
	}
	int64_t next = tgi_topic_integer(page, "next_offset", -1);
	if (status == TG_OK && next < r->position) {
		status = tgi_error_set(&error, TG_ERR_PROTOCOL, "an answer of the server does not say where to read on");
	}
	if (status != TG_OK) {
		json_decref(page);
		if (status == TG_ERR_PROTOCOL || status == TG_ERR_NO_MEMORY) {
			fail(s, &error);
		} else {
			try_later(s, r, &error);
		}
		return;
	}
	r->failures = 0;
	r->position = next;
	r->page = page;
	r->next_ready = NULL;
	if (s->last_ready != NULL) {
		s->last_ready->next_ready = r;
	} else {
		s->first_ready = r;
	}
	s->last_ready = r;
}

/* ---- handing out ---- */

/* Text or base64 to bytes with a 0 behind. */
static tg_status decode(const json_t *from, bool is_base64, buffer *to, tg_error *error)
{
	const char *text = json_string_value(from);
	size_t len = json_string_length(from);
	tgi_buffer_clear(to);
	if (text == NULL || (is_base64 && !tgi_buffer_from_base64(to, text, len) && !to->failed)) {
		return tgi_error_set(error, TG_ERR_PROTOCOL, "a record of the server can not be decoded");
	}
	if (!is_base64) {
		tgi_buffer_append(to, text, len);
	}
	tgi_buffer_append(to, "", 1);
	if (to->failed) {
		return tgi_error_no_memory(error);
	}
	to->len--;
	return TG_OK;
}

static tg_status decode_record(tg_stream *s, const json_t *message, tg_error *error)
{
	const json_t *key = json_object_get(message, "key");
	bool has_key = json_is_string(key);
	bool is_base64 = json_is_string(json_object_get(message, "encoding"));
	tg_status status = decode(json_object_get(message, "value"), is_base64, &s->value, error);
	if (status == TG_OK && has_key) {
		status = decode(key, is_base64, &s->key, error);
	}
	if (status == TG_OK) {
		s->record = (tg_record){
			.key = has_key ? s->key.ptr : NULL,
			.key_len = has_key ? s->key.len : 0,
			.value = s->value.ptr,
			.value_len = s->value.len,
			.offset = tgi_topic_integer(message, "offset", -1),
			.timestamp_ms = tgi_topic_integer(message, "timestamp", -1),
			.partition = s->current->partition,
		};
	}
	return status;
}

/* The next record of the current page into s->record; TG_END: there is none. */
static tg_status next_of_page(tg_stream *s, tg_error *error)
{
	const json_t *message = json_array_get(json_object_get(s->page, "messages"), s->index);
	reader *r = s->current;
	if (message == NULL || tgi_topic_integer(message, "offset", 0) >= r->end) {
		json_decref(s->page);
		s->page = NULL;
		return TG_END;
	}
	tg_status status = decode_record(s, message, error);
	if (status == TG_OK) {
		s->index++;
		r->handed = s->record.offset + 1;
		if (s->config.strategy == TG_OFFSETS_AUTO) {
			r->marked = r->handed;
		}
	}
	return status;
}

/* Tells of what the page could not give. */
static tg_status tell_gaps(const tg_stream *s, tg_error *error)
{
	const tg_consumer_config *c = &s->config;
	tg_status status = TG_OK;
	size_t i;
	json_t *gap;
	json_array_foreach(json_object_get(s->page, "gaps"), i, gap)
	{
		int64_t from = tgi_topic_integer(gap, "from_offset", -1);
		int64_t to = tgi_topic_integer(gap, "to_offset", -1);
		if (c->on_gap != NULL) {
			c->on_gap(c->gap_context, s->current->partition, from, to);
		}
		if (c->retry_mode == TG_RETRY_DISABLED) {
			status =
				tgi_error_set(error, TG_ERR_OFFSET_EVICTED,
							  "the records from %lld on were lost to retention in partition %d; the next there is has "
							  "offset %lld",
							  (long long)from, s->current->partition, (long long)to);
		}
	}
	return status;
}

/* Makes the page that is ready longest the current one, and has the next one of its partition fetched. */
static tg_status open_page(tg_stream *s, tg_error *error)
{
	reader *r = s->first_ready;
	s->first_ready = r->next_ready;
	s->last_ready = s->first_ready == NULL ? NULL : s->last_ready;
	s->page = r->page;
	s->current = r;
	s->index = 0;
	r->page = NULL;
	tg_status status = tgi_stream_read(s, r, error);
	if (status != TG_OK) {
		fail(s, error);
		return status;
	}
	return tell_gaps(s, error);
}

/* A bounded stream with nothing more to come. */
static bool is_over(const tg_stream *s)
{
	for (size_t i = 0; i < s->reader_count; i++) {
		if (s->readers[i].position < s->readers[i].end) {
			return false;
		}
	}
	return true;
}

static tg_status next_record(tg_stream *s, int64_t deadline_ms, const tg_record **record, tg_error *error)
{
	bool is_time_left = true;
	for (;;) {
		if (s->page != NULL) {
			tg_status status = next_of_page(s, error);
			if (status == TG_OK) {
				*record = &s->record;
			}
			if (status != TG_END) {
				return status;
			}
		}
		if (s->first_ready != NULL) {
			tg_status status = open_page(s, error);
			if (status != TG_OK) {
				return status;
			}
			continue;
		}
		if (s->has_failed) {
			return tgi_error_copy(error, &s->failure);
		}
		if (is_over(s)) {
			return TG_END;
		}
		if (!is_time_left) {
			return tgi_error_set(error, TG_TIMEOUT, "no record came in time");
		}
		tg_status status = tgi_positions_flush_due(s, error);
		if (status != TG_OK) {
			return status;
		}
		int64_t until_ms = s->config.strategy == TG_OFFSETS_AUTO && s->has_flushed && s->flush_at_ms < deadline_ms &&
								   s->flush_at_ms > tgi_clock_now_ms()
							   ? s->flush_at_ms
							   : deadline_ms;
		is_time_left = tgi_stream_io_wait(s, until_ms) || until_ms < deadline_ms;
	}
}

tg_status tg_stream_next(tg_stream *s, int64_t timeout_ms, const tg_record **record, tg_error *error)
{
	tg_error own;
	error = error != NULL ? error : &own;
	tg_status status = next_record(s, tgi_clock_deadline_ms(timeout_ms), record, error);
	if (status == TG_OK) {
		/* A position that could not be saved is no reason to withhold the record: the next round tries again. */
		tg_status saved = tgi_positions_flush_due(s, &own);
		(void)saved;
	} else if (status == TG_END && s->config.strategy == TG_OFFSETS_AUTO) {
		tg_status saved = tg_offset_flush(s, error);
		status = saved != TG_OK ? saved : TG_END;
	}
	return status;
}

int tg_stream_fd(const tg_stream *s)
{
	return s->epoll;
}
