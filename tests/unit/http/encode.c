#include "encode.h"

#include <check.h>
#include <lz4frame.h>
#include <snappy-c.h>
#include <zstd.h>

enum { SNAPPY_CHUNK = 65536, CRC_BITS = 8 };

static uint32_t snappy_crc(str s)
{
	uint32_t crc = UINT32_MAX;
	for (size_t i = 0; i < s.len; i++) {
		crc ^= (unsigned char)s.ptr[i];
		for (int bit = 0; bit < CRC_BITS; bit++) {
			crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0x82f63b78U : 0);
		}
	}
	crc = ~crc;
	return ((crc >> 15) | (crc << 17)) + 0xa282ead8U;
}

static void append_little(buf *out, uint32_t value, int bytes)
{
	for (int i = 0; i < bytes; i++) {
		buf_append_byte(out, (char)(value >> (8 * i) & 0xff));
	}
}

static void encode_snappy(str plain, buf *out)
{
	buf_append_str(out, STR("\xff\x06\0\0sNaPpY"));
	while (plain.len > 0) {
		str piece = str_take(plain, SNAPPY_CHUNK);
		size_t packed_len = snappy_max_compressed_length(piece.len);
		char *packed = malloc(packed_len);
		ck_assert_ptr_nonnull(packed);
		ck_assert_int_eq(snappy_compress(piece.ptr, piece.len, packed, &packed_len), SNAPPY_OK);
		bool is_smaller = packed_len < piece.len;
		str body = is_smaller ? (str){packed, packed_len} : piece;
		buf_append_byte(out, is_smaller ? 0 : 1);
		append_little(out, (uint32_t)body.len + 4, 3);
		append_little(out, snappy_crc(piece), 4);
		buf_append_str(out, body);
		free(packed);
		plain = str_skip(plain, piece.len);
	}
}

void encode(content_encoding encoding, str plain, buf *out)
{
	size_t room;
	switch (encoding) {
	case CONTENT_GZIP:
		ck_assert(content_gzip(plain, out));
		break;
	case CONTENT_ZSTD:
		room = ZSTD_compressBound(plain.len);
		ck_assert(buf_reserve(out, room));
		out->len += ZSTD_compress(out->ptr + out->len, room, plain.ptr, plain.len, 1);
		break;
	case CONTENT_LZ4:
		room = LZ4F_compressFrameBound(plain.len, NULL);
		ck_assert(buf_reserve(out, room));
		out->len += LZ4F_compressFrame(out->ptr + out->len, room, plain.ptr, plain.len, NULL);
		break;
	case CONTENT_SNAPPY:
		encode_snappy(plain, out);
		break;
	case CONTENT_IDENTITY:
	case CONTENT_UNKNOWN:
		buf_append_str(out, plain);
		break;
	}
	ck_assert(!out->failed);
}

const char *encode_name(content_encoding encoding)
{
	switch (encoding) {
	case CONTENT_GZIP:
		return "gzip";
	case CONTENT_ZSTD:
		return "zstd";
	case CONTENT_LZ4:
		return "lz4";
	case CONTENT_SNAPPY:
		return "snappy";
	case CONTENT_IDENTITY:
		return "identity";
	case CONTENT_UNKNOWN:
		break;
	}
	return "br";
}
