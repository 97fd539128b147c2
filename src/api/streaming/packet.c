#include "api/streaming/packet.h"

enum {
	LENGTH_BYTES = 4,
	RECORD_BYTES = 4 + 8 + 8 + 4 + 4, /* what a record has before its key */
	GAP_BYTES = 4 + 8 + 8,
	PAGE_END_BYTES = 4 + 8 + 8 + 8,
};

/* ---- numbers ---- */

static uint32_t get_u32(const char *at)
{
	const unsigned char *b = (const unsigned char *)at;
	return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}

static int32_t get_i32(const char *at)
{
	return (int32_t)get_u32(at);
}

static int64_t get_i64(const char *at)
{
	return (int64_t)((uint64_t)get_u32(at) << 32 | get_u32(at + 4));
}

static char *put_u32(char *at, uint32_t value)
{
	for (int shift = 24; shift >= 0; shift -= 8) {
		*at++ = (char)(value >> shift);
	}
	return at;
}

static char *put_i64(char *at, int64_t value)
{
	at = put_u32(at, (uint32_t)((uint64_t)value >> 32));
	return put_u32(at, (uint32_t)value);
}

/* ---- reading ---- */

bool packet_take(str *in, packet *out)
{
	if (in->len < LENGTH_BYTES + 1) {
		return false;
	}
	size_t length = get_u32(in->ptr);
	if (length < 1 || length > in->len - LENGTH_BYTES) {
		return false;
	}
	*out = (packet){(uint8_t)in->ptr[LENGTH_BYTES], {in->ptr + LENGTH_BYTES + 1, length - 1}};
	*in = str_skip(*in, LENGTH_BYTES + length);
	return true;
}

bool packet_read_record(str body, log_record *out)
{
	if (body.len < RECORD_BYTES) {
		return false;
	}
	int32_t key = get_i32(body.ptr + 20);
	int32_t headers = get_i32(body.ptr + 24);
	size_t key_len = key > 0 ? (size_t)key : 0;
	size_t headers_len = headers > 0 ? (size_t)headers : 0;
	if (key < -1 || headers < 0 || key_len > body.len - RECORD_BYTES ||
		headers_len > body.len - RECORD_BYTES - key_len) {
		return false;
	}
	const char *at = body.ptr + RECORD_BYTES;
	*out = (log_record){
		.partition = get_i32(body.ptr),
		.offset = get_i64(body.ptr + 4),
		.timestamp_ms = get_i64(body.ptr + 12),
		.key = key >= 0 ? (str){at, key_len} : STR_NONE,
		.headers = headers > 0 ? (str){at + key_len, headers_len} : STR_NONE,
		.value = {at + key_len + headers_len, body.len - RECORD_BYTES - key_len - headers_len},
	};
	return true;
}

/* ---- writing ---- */

/* Room for the whole packet, and its first bytes; `more` follows the fixed part. NULL: failed. */
static char *begin(buf *out, packet_type type, size_t fixed, size_t more)
{
	if (!buf_reserve(out, LENGTH_BYTES + 1 + fixed + more)) {
		return NULL;
	}
	char *at = put_u32(out->ptr + out->len, (uint32_t)(1 + fixed + more));
	*at++ = (char)type;
	out->len += LENGTH_BYTES + 1 + fixed;
	return at;
}

void packet_write_record(buf *out, const log_record *r)
{
	char *at = begin(out, PACKET_RECORD, RECORD_BYTES, r->key.len + r->headers.len + r->value.len);
	if (at == NULL) {
		return;
	}
	at = put_u32(at, (uint32_t)r->partition);
	at = put_i64(at, r->offset);
	at = put_i64(at, r->timestamp_ms);
	at = put_u32(at, r->key.ptr != NULL ? (uint32_t)r->key.len : UINT32_MAX);
	put_u32(at, (uint32_t)r->headers.len);
	buf_append_str(out, r->key);
	buf_append_str(out, r->headers);
	buf_append_str(out, r->value);
}

void packet_write_gap(buf *out, int32_t partition, const log_gap *gap)
{
	char *at = begin(out, PACKET_GAP, GAP_BYTES, 0);
	if (at != NULL) {
		at = put_u32(at, (uint32_t)partition);
		at = put_i64(at, gap->from);
		put_i64(at, gap->to);
	}
}

void packet_write_caught_up(buf *out, const log_position *position)
{
	char *at = begin(out, PACKET_CAUGHT_UP, 8 + 8 * (size_t)position->count, 0);
	if (at == NULL) {
		return;
	}
	at = put_u32(at, (uint32_t)position->first);
	at = put_u32(at, (uint32_t)position->count);
	for (int32_t i = 0; i < position->count; i++) {
		at = put_i64(at, position->offsets[i]);
	}
}

void packet_write_heartbeat(buf *out)
{
	begin(out, PACKET_HEARTBEAT, 0, 0);
}

void packet_write_event(buf *out, str json)
{
	if (begin(out, PACKET_EVENT, 0, json.len) != NULL) {
		buf_append_str(out, json);
	}
}

void packet_write_page_end(buf *out, int32_t partition, int64_t next, const log_page *page)
{
	char *at = begin(out, PACKET_PAGE_END, PAGE_END_BYTES, 0);
	if (at != NULL) {
		at = put_u32(at, (uint32_t)partition);
		at = put_i64(at, next);
		at = put_i64(at, log_page_start_offset(page));
		put_i64(at, log_page_end_offset(page));
	}
}
