/* The positions of a named consumer: marks, and saving them at the server as the next offset of each partition. */
#include "clock.h"
#include "error.h"
#include "stream_impl.h"
#include "topic.h"

#include <stdlib.h>
#include <string.h>

static tg_status check_strategy(const tg_stream *s, tg_error *error)
{
	if (s->config.strategy == TG_OFFSETS_NONE) {
		return tgi_error_set(error, TG_ERR_NO_OFFSET_MANAGEMENT,
							 "the stream saves no positions; set a consumer id and a strategy before opening it");
	}
	return TG_OK;
}

tg_status tg_offset_commit(tg_stream *s, tg_error *error)
{
	tg_status status = check_strategy(s, error);
	for (size_t i = 0; i < s->reader_count && status == TG_OK; i++) {
		reader *r = &s->readers[i];
		r->marked = r->handed > r->marked ? r->handed : r->marked;
	}
	return status;
}

/* The marks that are not saved yet; false: there are none. */
static bool write_marks(const tg_stream *s, buffer *out)
{
	bool is_any = false;
	tgi_buffer_text(out, "{\"group_id\":");
	tgi_buffer_json_string(out, s->config.id, strlen(s->config.id));
	tgi_buffer_text(out, ",\"offsets\":[");
	for (size_t i = 0; i < s->reader_count; i++) {
		const reader *r = &s->readers[i];
		if (r->marked > r->saved) {
			tgi_buffer_text(out, is_any ? ",{\"partition\":" : "{\"partition\":");
			tgi_buffer_integer(out, r->partition);
			tgi_buffer_text(out, ",\"offset\":");
			tgi_buffer_integer(out, r->marked);
			tgi_buffer_text(out, "}");
			is_any = true;
		}
	}
	tgi_buffer_text(out, "]}");
	return is_any;
}

tg_status tg_offset_flush(tg_stream *s, tg_error *error)
{
	buffer body = {0};
	char *path = NULL;
	tg_status status = check_strategy(s, error);
	if (status != TG_OK || !write_marks(s, &body)) {
		goto out;
	}
	path = tgi_topic_path(s->config.topic, "/commit");
	status = tgi_call_post(s->client, path, &body, NULL, error);
	for (size_t i = 0; i < s->reader_count && status == TG_OK; i++) {
		reader *r = &s->readers[i];
		r->saved = r->marked > r->saved ? r->marked : r->saved;
	}
out:
	free(path);
	tgi_buffer_dispose(&body);
	return status;
}

tg_status tgi_positions_flush_due(tg_stream *s, tg_error *error)
{
	if (s->config.strategy != TG_OFFSETS_AUTO) {
		return TG_OK;
	}
	int64_t now_ms = tgi_clock_now_ms();
	if (s->has_flushed && now_ms < s->flush_at_ms) {
		return TG_OK;
	}
	bool is_any = false;
	for (size_t i = 0; i < s->reader_count && !is_any; i++) {
		is_any = s->readers[i].marked > s->readers[i].saved;
	}
	if (!is_any) {
		return TG_OK;
	}
	s->has_flushed = true;
	s->flush_at_ms = now_ms + s->config.flush_ms;
	return tg_offset_flush(s, error);
}
