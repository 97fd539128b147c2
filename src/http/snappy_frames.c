/* The snappy framing format: chunks of at most 64 KiB, each with a masked CRC-32C of its plain bytes. */
#include "http/content_impl.h"

#include <snappy-c.h>
#include <stdlib.h>
#include <string.h>

enum {
	CHUNK_COMPRESSED = 0x00,
	CHUNK_PLAIN = 0x01,
	CHUNK_SKIPPABLE = 0x80, /* and above */
	CHUNK_IDENTIFIER = 0xff,
	HEADER_BYTES = 4,
	CRC_BYTES = 4,
	PLAIN_MAX = 64 * 1024,
	/* The most a compressor makes of PLAIN_MAX bytes is 76 490; rounded up. */
	CHUNK_MAX = 80 * 1024,
	CRC_TABLE = 256,
};

struct content_snappy {
	uint32_t crc_table[CRC_TABLE];
	bool has_identifier;
	size_t header_bytes; /* of the current chunk, seen so far */
	unsigned char header[HEADER_BYTES];
	size_t body_bytes; /* of the current chunk, seen so far */
	size_t body_total;
	char body[CHUNK_MAX];
};

content_snappy *content_snappy_new(void)
{
	static const uint32_t polynomial = 0x82f63b78U; /* CRC-32C, reflected */
	content_snappy *s = malloc(sizeof *s);
	if (s == NULL) {
		return NULL;
	}
	s->has_identifier = false;
	s->header_bytes = 0;
	s->body_bytes = 0;
	s->body_total = 0;
	for (uint32_t i = 0; i < CRC_TABLE; i++) {
		uint32_t crc = i;
		for (int bit = 0; bit < 8; bit++) {
			crc = (crc >> 1) ^ ((crc & 1) != 0 ? polynomial : 0);
		}
		s->crc_table[i] = crc;
	}
	return s;
}

void content_snappy_free(content_snappy *s)
{
	free(s);
}

static uint32_t masked_crc(const content_snappy *s, const char *bytes, size_t len)
{
	uint32_t crc = UINT32_MAX;
	for (size_t i = 0; i < len; i++) {
		crc = s->crc_table[(crc ^ (unsigned char)bytes[i]) & 0xff] ^ (crc >> 8);
	}
	crc = ~crc;
	return ((crc >> 15) | (crc << 17)) + 0xa282ead8U;
}

static uint32_t little_endian(const char *bytes)
{
	const unsigned char *b = (const unsigned char *)bytes;
	return (uint32_t)b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
}

static content_result append_plain(const content_snappy *s, uint32_t crc, size_t len, buf *out)
{
	if (masked_crc(s, out->ptr + out->len, len) != crc) {
		return CONTENT_CORRUPT;
	}
	out->len += len;
	return CONTENT_OK;
}

/* A whole chunk is in s->body. */
static content_result take_data(const content_snappy *s, uint64_t max_bytes, buf *out)
{
	size_t packed_len = s->body_total - CRC_BYTES;
	const char *packed = s->body + CRC_BYTES;
	size_t plain_len = packed_len;
	bool is_compressed = s->header[0] == CHUNK_COMPRESSED;
	if (is_compressed && snappy_uncompressed_length(packed, packed_len, &plain_len) != SNAPPY_OK) {
		return CONTENT_CORRUPT;
	}
	if (plain_len > PLAIN_MAX) {
		return CONTENT_CORRUPT;
	}
	if (out->len > max_bytes || plain_len > max_bytes - out->len) {
		return CONTENT_TOO_LARGE;
	}
	if (!buf_reserve(out, plain_len)) {
		return CONTENT_NO_MEMORY;
	}
	size_t room = plain_len;
	if (plain_len == 0) {
		return CONTENT_OK;
	}
	if (!is_compressed) {
		memcpy(out->ptr + out->len, packed, packed_len);
	} else if (snappy_uncompress(packed, packed_len, out->ptr + out->len, &room) != SNAPPY_OK) {
		return CONTENT_CORRUPT;
	}
	return append_plain(s, little_endian(s->body), plain_len, out);
}

/* The header is complete: is this chunk acceptable here? */
static bool begin_chunk(content_snappy *s)
{
	unsigned type = s->header[0];
	s->body_bytes = 0;
	s->body_total = (size_t)s->header[1] | (size_t)s->header[2] << 8 | (size_t)s->header[3] << 16;
	if (type == CHUNK_IDENTIFIER) {
		return s->body_total == 6;
	}
	bool is_data = type == CHUNK_COMPRESSED || type == CHUNK_PLAIN;
	bool fits = s->body_total >= CRC_BYTES && s->body_total <= CHUNK_MAX;
	return s->has_identifier && (is_data ? fits : type >= CHUNK_SKIPPABLE);
}

static content_result end_chunk(content_snappy *s, uint64_t max_bytes, buf *out)
{
	unsigned type = s->header[0];
	s->header_bytes = 0;
	if (type == CHUNK_IDENTIFIER) {
		s->has_identifier = true;
		return memcmp(s->body, "sNaPpY", 6) == 0 ? CONTENT_OK : CONTENT_CORRUPT;
	}
	return type < CHUNK_SKIPPABLE ? take_data(s, max_bytes, out) : CONTENT_OK;
}

content_result content_snappy_feed(content_snappy *s, str in, uint64_t max_bytes, buf *out)
{
	while (in.len > 0) {
		if (s->header_bytes < HEADER_BYTES) {
			s->header[s->header_bytes++] = (unsigned char)in.ptr[0];
			in = str_skip(in, 1);
			if (s->header_bytes < HEADER_BYTES) {
				continue;
			}
			if (!begin_chunk(s)) {
				return CONTENT_CORRUPT;
			}
		}
		size_t missing = s->body_total - s->body_bytes;
		str piece = str_take(in, missing);
		bool is_kept = s->header[0] < CHUNK_SKIPPABLE || s->header[0] == CHUNK_IDENTIFIER;
		if (is_kept && piece.len > 0) {
			memcpy(s->body + s->body_bytes, piece.ptr, piece.len);
		}
		s->body_bytes += piece.len;
		in = str_skip(in, piece.len);
		if (s->body_bytes == s->body_total) {
			content_result result = end_chunk(s, max_bytes, out);
			if (result != CONTENT_OK) {
				return result;
			}
		}
	}
	return CONTENT_OK;
}

bool content_snappy_may_end(const content_snappy *s)
{
	return s->has_identifier && s->header_bytes == 0;
}
