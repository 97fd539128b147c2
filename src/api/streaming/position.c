#include "api/streaming/position.h"

#include "base/siphash.h"
#include "base/text.h"

#include <stdlib.h>
#include <string.h>

enum {
	VERSION = 1,
	VARINT_BYTES = 10,
	BYTES_MAX = 3 + VARINT_BYTES * (LOG_PARTITIONS_MAX + 3),
};

static size_t position_bytes(int32_t count)
{
	return sizeof(log_position) + (size_t)count * sizeof(int64_t);
}

log_position *position_new(arena *a, int32_t first, int32_t count)
{
	log_position *p = arena_alloc_zero(a, position_bytes(count));
	if (p != NULL) {
		p->first = first;
		p->count = count;
	}
	return p;
}

/* Ids stay inside; two bytes of their hash tell incarnations apart. */
static uint16_t topic_mark(const log_topic *t)
{
	return (uint16_t)siphash_key((str){(const char *)&t->topic_id, sizeof t->topic_id});
}

static size_t put_varint(unsigned char *at, uint64_t value)
{
	size_t len = 0;
	while (value >= 0x80) {
		at[len++] = (unsigned char)(value | 0x80);
		value >>= 7;
	}
	at[len++] = (unsigned char)value;
	return len;
}

void position_write(buf *out, const log_topic *t, const log_position *p)
{
	unsigned char bytes[BYTES_MAX];
	uint16_t mark = topic_mark(t);
	int64_t least = p->count > 0 ? p->offsets[0] : 0;
	for (int32_t i = 1; i < p->count; i++) {
		least = p->offsets[i] < least ? p->offsets[i] : least;
	}
	bytes[0] = VERSION;
	bytes[1] = (unsigned char)(mark >> 8);
	bytes[2] = (unsigned char)mark;
	size_t len = 3;
	len += put_varint(bytes + len, (uint64_t)p->first);
	len += put_varint(bytes + len, (uint64_t)p->count);
	len += put_varint(bytes + len, (uint64_t)least);
	/* Of a single partition the least offset says it all. */
	for (int32_t i = 0; i < p->count && p->count > 1; i++) {
		len += put_varint(bytes + len, (uint64_t)(p->offsets[i] - least));
	}
	text_base64url_encode(out, (str){(const char *)bytes, len});
}

/* At most `max`; takes the varint off *in. */
static bool take_varint(str *in, uint64_t max, uint64_t *out)
{
	uint64_t value = 0;
	for (size_t i = 0; i < in->len && i < VARINT_BYTES; i++) {
		unsigned char byte = (unsigned char)in->ptr[i];
		if (i == VARINT_BYTES - 1 && byte > 1) {
			return false;
		}
		value |= (uint64_t)(byte & 0x7f) << (7 * i);
		if ((byte & 0x80) == 0) {
			*in = str_skip(*in, i + 1);
			*out = value;
			return value <= max;
		}
	}
	return false;
}

position_origin position_read(str text, const log_topic *t, arena *a, log_position **out)
{
	str in;
	uint64_t first;
	uint64_t count;
	uint64_t least;
	uint64_t above = 0;
	if (!text_base64url_decode(a, text, &in) || in.len < 3 || in.ptr[0] != VERSION) {
		return POSITION_BROKEN;
	}
	uint16_t mark = (uint16_t)((unsigned char)in.ptr[1] << 8 | (unsigned char)in.ptr[2]);
	in = str_skip(in, 3);
	if (!take_varint(&in, LOG_PARTITIONS_MAX - 1, &first) || !take_varint(&in, LOG_PARTITIONS_MAX, &count) ||
		!take_varint(&in, INT64_MAX, &least) || count == 0 || first + count > LOG_PARTITIONS_MAX) {
		return POSITION_BROKEN;
	}
	log_position *p = position_new(a, (int32_t)first, (int32_t)count);
	if (p == NULL) {
		return POSITION_BROKEN;
	}
	for (uint64_t i = 0; i < count; i++) {
		if (count > 1 && !take_varint(&in, INT64_MAX - least, &above)) {
			return POSITION_BROKEN;
		}
		p->offsets[i] = (int64_t)(least + above);
	}
	if (in.len > 0) {
		return POSITION_BROKEN;
	}
	if (mark != topic_mark(t)) {
		return POSITION_OF_EARLIER_TOPIC;
	}
	*out = p;
	return POSITION_OF_TOPIC;
}
