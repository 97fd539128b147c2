#include "stream_impl.h"

#include "clock.h"
#include "error.h"
#include "packet.h"

#include <stdlib.h>
#include <string.h>

void tgi_stream_fail(tg_stream *s, const tg_error *error)
{
	if (!s->has_failed) {
		s->has_failed = true;
		s->failure = *error;
	}
}

/* ---- partitions ---- */

/* Partitions that were added to the topic, up to this one. */
static bool add_readers(tg_stream *s, size_t count)
{
	reader *grown = realloc(s->readers, count * sizeof *grown);
	if (grown == NULL) {
		return false;
	}
	s->readers = grown;
	for (; s->reader_count < count; s->reader_count++) {
		s->readers[s->reader_count] = (reader){
			.partition = (int32_t)s->reader_count,
			.end = s->config.last_offset >= 0 ? s->config.last_offset + 1 : INT64_MAX,
			.handed = -1,
			.marked = -1,
			.saved = -1,
		};
	}
	return true;
}

reader *tgi_stream_reader(tg_stream *s, int32_t partition)
{
	enum { PARTITIONS_MAX = 65536 };
	if (partition < 0 || partition >= PARTITIONS_MAX) {
		return NULL;
	}
	if (s->config.partition_count == 0) {
		size_t index = (size_t)partition;
		return index < s->reader_count || add_readers(s, index + 1) ? &s->readers[index] : NULL;
	}
	for (size_t i = 0; i < s->reader_count; i++) {
		if (s->readers[i].partition == partition) {
			return &s->readers[i];
		}
	}
	return NULL;
}

/* ---- packets ---- */

/* Puts a 0 behind key and value: the key moves down by a byte, over its length; behind the value is the next packet,
 * which gets its byte back from unhide(). */
static void terminate(tg_stream *s, packet *p)
{
	tg_record *r = &s->record;
	if (r->key != NULL) {
		char *key = p->body + (r->key - p->body) - 1;
		memmove(key, key + 1, r->key_len);
		key[r->key_len] = '\0';
		r->key = key;
	}
	s->hidden_at = p->body + p->len;
	s->hidden = *s->hidden_at;
	*s->hidden_at = '\0';
}

static void unhide(tg_stream *s)
{
	if (s->hidden_at != NULL) {
		*s->hidden_at = s->hidden;
		s->hidden_at = NULL;
	}
}

/* TG_END: a record that is not wanted. */
static tg_status take_record(tg_stream *s, packet *p, tg_error *error)
{
	if (!tgi_packet_read_record(p, &s->record)) {
		return tgi_error_set(error, TG_ERR_PROTOCOL, "a record of the server cannot be read");
	}
	reader *r = tgi_stream_reader(s, s->record.partition);
	if (r == NULL || s->record.offset < r->position) {
		return TG_END;
	}
	r->position = s->record.offset + 1;
	if (s->record.offset >= r->end) {
		return TG_END;
	}
	r->handed = r->position;
	if (s->config.strategy == TG_OFFSETS_AUTO) {
		r->marked = r->handed;
	}
	terminate(s, p);
	return TG_OK;
}

/* TG_END: it was told, and reading goes on. */
static tg_status take_gap(tg_stream *s, const packet *p, tg_error *error)
{
	const tg_consumer_config *c = &s->config;
	packet_gap gap;
	reader *r = tgi_packet_read_gap(p, &gap) ? tgi_stream_reader(s, gap.partition) : NULL;
	if (r == NULL || gap.to <= r->position) {
		return TG_END;
	}
	r->position = gap.to;
	if (c->on_gap != NULL) {
		c->on_gap(c->gap_context, gap.partition, gap.from, gap.to);
	}
	if (c->retry_mode != TG_RETRY_DISABLED) {
		return TG_END;
	}
	tgi_error_set(error, TG_ERR_OFFSET_EVICTED,
				  "the records from %lld on were lost to retention in partition %d; the next there is has offset %lld",
				  (long long)gap.from, gap.partition, (long long)gap.to);
	error->partition = gap.partition;
	error->start_offset = gap.to;
	return TG_ERR_OFFSET_EVICTED;
}

static void advance(tg_stream *s, int32_t partition, int64_t offset)
{
	reader *r = tgi_stream_reader(s, partition);
	if (r != NULL && offset > r->position) {
		r->position = offset;
	}
}

/* Takes the page apart up to the next record. TG_END: there is none. */
static tg_status next_of_page(tg_stream *s, tg_error *error)
{
	packet p;
	int32_t partition;
	int64_t offset;
	tg_status status = TG_END;
	unhide(s);
	for (size_t taken;
		 status == TG_END && (taken = tgi_packet_take(s->page.ptr + s->at, s->page.len - s->at, &p)) > 0;) {
		s->at += taken;
		switch (p.type) {
		case PACKET_RECORD:
			status = take_record(s, &p, error);
			break;
		case PACKET_GAP:
			status = take_gap(s, &p, error);
			break;
		case PACKET_CAUGHT_UP:
			for (size_t i = 0; tgi_packet_read_caught_up(&p, i, &partition, &offset); i++) {
				advance(s, partition, offset);
			}
			break;
		case PACKET_PAGE_END:
			if (tgi_packet_read_page_end(&p, &partition, &offset)) {
				advance(s, partition, offset);
			}
			break;
		default:
			break;
		}
	}
	return status;
}

/* ---- handing out ---- */

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

/* Until when to wait: positions that are due are saved meanwhile. */
static int64_t wait_until_ms(const tg_stream *s, int64_t deadline_ms)
{
	bool is_flush_due = s->config.strategy == TG_OFFSETS_AUTO && s->has_flushed && s->flush_at_ms < deadline_ms &&
						s->flush_at_ms > tgi_clock_now_ms();
	return is_flush_due ? s->flush_at_ms : deadline_ms;
}

static tg_status next_record(tg_stream *s, int64_t timeout_ms, tg_error *error)
{
	tg_status status = next_of_page(s, error);
	if (status != TG_END) {
		return status;
	}
	int64_t deadline_ms = tgi_clock_deadline_ms(timeout_ms);
	bool is_time_left = true;
	for (;;) {
		if (s->first_ready != NULL) {
			status = tgi_feed_open_page(s, error);
			status = status == TG_OK ? next_of_page(s, error) : status;
			if (status != TG_END) {
				return status;
			}
			continue;
		}
		if (is_over(s)) {
			return TG_END;
		}
		if (s->has_failed) {
			return tgi_error_copy(error, &s->failure);
		}
		if (!is_time_left) {
			return tgi_error_set(error, TG_TIMEOUT, "no record came in time");
		}
		status = tgi_positions_flush_due(s, error);
		if (status != TG_OK) {
			return status;
		}
		int64_t until_ms = wait_until_ms(s, deadline_ms);
		is_time_left = tgi_stream_io_wait(s, until_ms) || until_ms < deadline_ms;
	}
}

tg_status tg_stream_next(tg_stream *s, int64_t timeout_ms, const tg_record **record, tg_error *error)
{
	tg_error own;
	error = error != NULL ? error : &own;
	tg_status status = next_record(s, timeout_ms, error);
	if (status == TG_OK) {
		*record = &s->record;
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
