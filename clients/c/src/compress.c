#include "compress.h"

#include "error.h"

#define ZLIB_CONST
#include <zlib.h>
#ifdef TG_HAVE_ZSTD
#include <zstd.h>
#endif
#ifdef TG_HAVE_LZ4
#include <lz4frame.h>
#endif
#ifdef TG_HAVE_SNAPPY
#include <snappy-c.h>
#endif

const char *tgi_compress_name(tg_compression codec)
{
	switch (codec) {
	case TG_COMPRESSION_NONE:
		return "none";
	case TG_COMPRESSION_GZIP:
		return "gzip";
	case TG_COMPRESSION_SNAPPY:
		return "snappy";
	case TG_COMPRESSION_LZ4:
		return "lz4";
	case TG_COMPRESSION_ZSTD:
		return "zstd";
	}
	return "unknown";
}

bool tg_compression_supported(tg_compression compression)
{
	switch (compression) {
	case TG_COMPRESSION_NONE:
	case TG_COMPRESSION_GZIP:
		return true;
	case TG_COMPRESSION_SNAPPY:
#ifdef TG_HAVE_SNAPPY
		return true;
#else
		return false;
#endif
	case TG_COMPRESSION_LZ4:
#ifdef TG_HAVE_LZ4
		return true;
#else
		return false;
#endif
	case TG_COMPRESSION_ZSTD:
#ifdef TG_HAVE_ZSTD
		return true;
#else
		return false;
#endif
	}
	return false;
}

static bool with_gzip(const void *bytes, size_t len, buffer *out)
{
	enum { GZIP_FORMAT = 15 + 16, MEMORY_LEVEL = 8 };
	z_stream z = {0};
	if (deflateInit2(&z, Z_DEFAULT_COMPRESSION, Z_DEFLATED, GZIP_FORMAT, MEMORY_LEVEL, Z_DEFAULT_STRATEGY) != Z_OK) {
		return false;
	}
	bool is_done = false;
	size_t room = deflateBound(&z, (uLong)len);
	if (tgi_buffer_reserve(out, room)) {
		z.next_in = bytes;
		z.avail_in = (uInt)len;
		z.next_out = (Bytef *)out->ptr + out->len;
		z.avail_out = (uInt)room;
		is_done = deflate(&z, Z_FINISH) == Z_STREAM_END;
		out->len += room - z.avail_out;
	}
	deflateEnd(&z);
	return is_done;
}

#ifdef TG_HAVE_ZSTD
static bool with_zstd(const void *bytes, size_t len, buffer *out)
{
	size_t room = ZSTD_compressBound(len);
	if (!tgi_buffer_reserve(out, room)) {
		return false;
	}
	size_t made = ZSTD_compress(out->ptr + out->len, room, bytes, len, 1);
	if (ZSTD_isError(made)) {
		return false;
	}
	out->len += made;
	return true;
}
#endif

#ifdef TG_HAVE_LZ4
static bool with_lz4(const void *bytes, size_t len, buffer *out)
{
	size_t room = LZ4F_compressFrameBound(len, NULL);
	if (!tgi_buffer_reserve(out, room)) {
		return false;
	}
	size_t made = LZ4F_compressFrame(out->ptr + out->len, room, bytes, len, NULL);
	if (LZ4F_isError(made)) {
		return false;
	}
	out->len += made;
	return true;
}
#endif

#ifdef TG_HAVE_SNAPPY
/* CRC-32C as the framing format masks it. */
static uint32_t masked_crc(const unsigned char *bytes, size_t len)
{
	uint32_t table[16]; /* half a byte at a time */
	uint32_t crc = UINT32_MAX;
	for (uint32_t i = 0; i < 16; i++) {
		table[i] = i;
		for (int bit = 0; bit < 4; bit++) {
			table[i] = table[i] >> 1 ^ ((table[i] & 1) != 0 ? 0x82f63b78U : 0);
		}
	}
	for (size_t i = 0; i < len; i++) {
		crc ^= bytes[i];
		crc = crc >> 4 ^ table[crc & 15];
		crc = crc >> 4 ^ table[crc & 15];
	}
	crc = ~crc;
	return (crc >> 15 | crc << 17) + 0xa282ead8U;
}

/* The framing format: an identifier, then chunks of at most 64 KiB, each with its checksum. */
static bool with_snappy(const void *bytes, size_t len, buffer *out)
{
	enum { CHUNK = 65536, CHUNK_HEAD = 8 };
	const unsigned char *at = bytes;
	tgi_buffer_append(out, "\xff\x06\0\0sNaPpY", 10);
	for (size_t left = len; left > 0;) {
		size_t plain = left < CHUNK ? left : CHUNK;
		size_t made = snappy_max_compressed_length(plain);
		if (!tgi_buffer_reserve(out, CHUNK_HEAD + made)) {
			return false;
		}
		unsigned char *head = (unsigned char *)out->ptr + out->len;
		if (snappy_compress((const char *)at, plain, (char *)head + CHUNK_HEAD, &made) != SNAPPY_OK) {
			return false;
		}
		size_t body = made + 4;
		uint32_t crc = masked_crc(at, plain);
		head[0] = 0; /* a compressed chunk */
		for (unsigned i = 0; i < 3; i++) {
			head[1 + i] = (unsigned char)(body >> (8 * i));
		}
		for (unsigned i = 0; i < 4; i++) {
			head[4 + i] = (unsigned char)(crc >> (8 * i));
		}
		out->len += CHUNK_HEAD + made;
		at += plain;
		left -= plain;
	}
	return !out->failed;
}
#endif

tg_status tgi_compress_bytes(tg_compression codec, const void *bytes, size_t len, buffer *out, tg_error *error)
{
	bool is_done = false;
	if (!tg_compression_supported(codec) || codec == TG_COMPRESSION_NONE) {
		return tgi_error_set(error, TG_ERR_COMPRESSION,
							 "this build of libtidegate has no %s; choose another compression",
							 tgi_compress_name(codec));
	}
	switch (codec) {
	case TG_COMPRESSION_NONE:
		break;
	case TG_COMPRESSION_GZIP:
		is_done = with_gzip(bytes, len, out);
		break;
	case TG_COMPRESSION_SNAPPY:
#ifdef TG_HAVE_SNAPPY
		is_done = with_snappy(bytes, len, out);
#endif
		break;
	case TG_COMPRESSION_LZ4:
#ifdef TG_HAVE_LZ4
		is_done = with_lz4(bytes, len, out);
#endif
		break;
	case TG_COMPRESSION_ZSTD:
#ifdef TG_HAVE_ZSTD
		is_done = with_zstd(bytes, len, out);
#endif
		break;
	}
	if (out->failed) {
		return tgi_error_no_memory(error);
	}
	return is_done ? TG_OK
				   : tgi_error_set(error, TG_ERR_COMPRESSION, "a batch could not be compressed with %s",
								   tgi_compress_name(codec));
}
