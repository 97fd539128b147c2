#include "packet.h"

#include <endian.h>
#include <string.h>

enum {
	LENGTH_BYTES = 4,
	RECORD_HEAD_BYTES = 28,   /* partition, offset, timestamp, two lengths */
	CAUGHT_UP_HEAD_BYTES = 8, /* partition, count */
	PAGE_END_BYTES = 28,
	GAP_BYTES = 20,
};

/* ---- numbers: big-endian ---- */

static uint32_t read_u32(const char *at)
{
	uint32_t big;
	memcpy(&big, at, sizeof big);
	return be32toh(big);
}

static int32_t read_i32(const char *at)
{
	return (int32_t)read_u32(at);
}

static int64_t read_i64(const char *at)
{
	return (int64_t)((uint64_t)read_u32(at) << 32 | read_u32(at + 4));
}

static char *write_u32(char *at, uint32_t value)
{
	uint32_t big = htobe32(value);
	memcpy(at, &big, sizeof big);
	return at + sizeof big;
}

static char *write_u64(char *at, uint64_t value)
{
	return write_u32(write_u32(at, (uint32_t)(value >> 32)), (uint32_t)value);
}

/* ---- reading ---- */

size_t tgi_packet_take(char *bytes, size_t len, packet *out)
{
	size_t rest = len >= LENGTH_BYTES ? read_u32(bytes) : 0;
	if (rest == 0 || rest > len - LENGTH_BYTES) {
		return 0;
	}
	*out = (packet){.type = (uint8_t)bytes[LENGTH_BYTES], .body = bytes + LENGTH_BYTES + 1, .len = rest - 1};
	return LENGTH_BYTES + rest;
}

bool tgi_packet_read_record(const packet *p, tg_record *out)
{
	if (p->len < RECORD_HEAD_BYTES) {
		return false;
	}
	int32_t key_len = read_i32(p->body + 20);
	uint32_t headers_len = read_u32(p->body + 24);
	size_t left = p->len - RECORD_HEAD_BYTES;
	size_t before_value = (key_len > 0 ? (size_t)key_len : 0) + headers_len;
	if (before_value > left) {
		return false;
	}
	*out = (tg_record){
		.key = key_len >= 0 ? p->body + RECORD_HEAD_BYTES : NULL,
		.key_len = key_len >= 0 ? (size_t)key_len : 0,
		.value = p->body + RECORD_HEAD_BYTES + before_value,
		.value_len = left - before_value,
		.partition = read_i32(p->body),
		.offset = read_i64(p->body + 4),
		.timestamp_ms = read_i64(p->body + 12),
	};
	return true;
}

bool tgi_packet_read_gap(const packet *p, packet_gap *out)
{
	if (p->len != GAP_BYTES) {
		return false;
	}
	*out = (packet_gap){.partition = read_i32(p->body), .from = read_i64(p->body + 4), .to = read_i64(p->body + 12)};
	return true;
}

bool tgi_packet_read_caught_up(const packet *p, size_t i, int32_t *partition, int64_t *offset)
{
	if (p->len < CAUGHT_UP_HEAD_BYTES || i >= (p->len - CAUGHT_UP_HEAD_BYTES) / sizeof *offset) {
		return false;
	}
	*partition = read_i32(p->body) + (int32_t)i;
	*offset = read_i64(p->body + CAUGHT_UP_HEAD_BYTES + i * sizeof *offset);
	return true;
}

bool tgi_packet_read_page_end(const packet *p, int32_t *partition, int64_t *next_offset)
{
	if (p->len != PAGE_END_BYTES) {
		return false;
	}
	*partition = read_i32(p->body);
	*next_offset = read_i64(p->body + 4);
	return true;
}

/* ---- writing ---- */

void tgi_packet_write_gap(buffer *out, const packet_gap *gap)
{
	if (!tgi_buffer_reserve(out, LENGTH_BYTES + 1 + GAP_BYTES)) {
		return;
	}
	char *at = write_u32(out->ptr + out->len, 1 + GAP_BYTES);
	*at++ = PACKET_GAP;
	at = write_u32(at, (uint32_t)gap->partition);
	at = write_u64(at, (uint64_t)gap->from);
	write_u64(at, (uint64_t)gap->to);
	out->len += LENGTH_BYTES + 1 + GAP_BYTES;
}

void tgi_packet_write_record(buffer *out, int32_t partition, const tg_message *m)
{
	size_t rest = 1 + RECORD_HEAD_BYTES + m->key_len + m->value_len;
	if (!tgi_buffer_reserve(out, LENGTH_BYTES + rest)) {
		return;
	}
	char *at = write_u32(out->ptr + out->len, (uint32_t)rest);
	*at++ = PACKET_RECORD;
	at = write_u32(at, (uint32_t)partition);
	at = write_u64(at, 0); /* the offset is the server's */
	at = write_u64(at, (uint64_t)m->timestamp_ms);
	at = write_u32(at, m->key != NULL ? (uint32_t)m->key_len : UINT32_MAX);
	at = write_u32(at, 0); /* no headers */
	if (m->key_len > 0) {
		memcpy(at, m->key, m->key_len);
	}
	if (m->value_len > 0) {
		memcpy(at + m->key_len, m->value, m->value_len);
	}
	out->len += LENGTH_BYTES + rest;
}
