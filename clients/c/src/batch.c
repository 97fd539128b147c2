#include "batch.h"

#include "clock.h"
#include "packet.h"

#include <stdlib.h>

batch *tgi_batch_new(int32_t partition, int64_t timestamp_ms, int64_t now_ms)
{
	batch *b = calloc(1, sizeof *b);
	if (b == NULL) {
		return NULL;
	}
	if (pthread_mutex_init(&b->lock, NULL) != 0) {
		free(b);
		return NULL;
	}
	if (!tgi_clock_condition_init(&b->finished)) {
		pthread_mutex_destroy(&b->lock);
		free(b);
		return NULL;
	}
	atomic_init(&b->references, 1);
	b->partition = partition;
	b->bytes = BATCH_HEAD_BYTES;
	b->created_ms = timestamp_ms;
	b->opened_at_ms = now_ms;
	b->base_offset = -1;
	return b;
}

void tgi_batch_ref(batch *b)
{
	atomic_fetch_add(&b->references, 1);
}

void tgi_batch_unref(batch *b)
{
	if (b != NULL && atomic_fetch_sub(&b->references, 1) == 1) {
		pthread_cond_destroy(&b->finished);
		pthread_mutex_destroy(&b->lock);
		tgi_buffer_dispose(&b->packets);
		free(b);
	}
}

/* ---- sizes ---- */

/* Bytes of a zigzag varint. */
static size_t varint_bytes(int64_t value)
{
	uint64_t zigzag = (uint64_t)value << 1 ^ (value < 0 ? UINT64_MAX : 0);
	size_t bytes = 1;
	for (; zigzag > 127; zigzag >>= 7) {
		bytes++;
	}
	return bytes;
}

size_t tgi_batch_record_bytes(const batch *b, const tg_message *m)
{
	int64_t time_delta = b != NULL ? m->timestamp_ms - b->created_ms : 0;
	int64_t offset_delta = b != NULL ? (int64_t)b->records : 0;
	size_t body = 1 + varint_bytes(time_delta) + varint_bytes(offset_delta) + 1;
	body += m->key != NULL ? varint_bytes((int64_t)m->key_len) + m->key_len : 0;
	body += varint_bytes((int64_t)m->value_len) + m->value_len + 1;
	return varint_bytes((int64_t)body) + body;
}

bool tgi_batch_add(batch *b, const tg_message *m)
{
	size_t bytes = tgi_batch_record_bytes(b, m);
	tgi_packet_write_record(&b->packets, b->partition, m);
	if (b->packets.failed) {
		b->packets.failed = false;
		return false;
	}
	b->records++;
	b->bytes += bytes;
	return true;
}

/* ---- the end ---- */

void tgi_batch_finish(batch *b, int64_t base_offset, const tg_error *error)
{
	tgi_buffer_dispose(&b->packets); /* an output may keep the batch for long, but not its records */
	pthread_mutex_lock(&b->lock);
	b->is_finished = true;
	if (error != NULL) {
		b->error = *error;
	} else {
		b->base_offset = base_offset;
	}
	pthread_cond_broadcast(&b->finished);
	pthread_mutex_unlock(&b->lock);
}

tg_status tgi_batch_wait(batch *b, int64_t timeout_ms)
{
	int64_t deadline_ms = tgi_clock_deadline_ms(timeout_ms);
	pthread_mutex_lock(&b->lock);
	while (!b->is_finished && tgi_clock_condition_wait(&b->finished, &b->lock, deadline_ms)) {
	}
	tg_status status = b->is_finished ? TG_OK : TG_TIMEOUT;
	pthread_mutex_unlock(&b->lock);
	return status;
}
