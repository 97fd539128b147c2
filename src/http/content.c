#include "http/content_impl.h"

#include <limits.h>
#include <lz4frame.h>
#include <stdlib.h>
#include <zlib.h>
#include <zstd.h>

enum { ZSTD_MAGIC_BYTES = 4, GZIP_WINDOW = 15 + 16, ZSTD_WINDOW_LOG_MAX = 23, GZIP_MEMORY = 8 };

struct content {
	content_encoding encoding;
	bool may_end; /* between two frames, after the first */
	z_stream gzip;
	ZSTD_DStream *zstd;
	unsigned char zstd_magic[ZSTD_MAGIC_BYTES]; /* of the frame that begins */
	size_t zstd_magic_bytes;
	LZ4F_dctx *lz4;
	content_snappy *snappy;
};

/* zlib reads from what it declares as writable. */
static Bytef *unconst(const char *bytes)
{
	return (Bytef *)(uintptr_t)bytes;
}

content_encoding content_encoding_parse(str header)
{
	static const struct {
		const char *name;
		content_encoding encoding;
	} names[] = {
		{"identity", CONTENT_IDENTITY}, {"", CONTENT_IDENTITY},
		{"gzip", CONTENT_GZIP},         {"x-gzip", CONTENT_GZIP},
		{"zstd", CONTENT_ZSTD},         {"lz4", CONTENT_LZ4},
		{"snappy", CONTENT_SNAPPY},     {"x-snappy-framed", CONTENT_SNAPPY},
	};
	str name = str_trim(header);
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		if (str_equal_ignore_case(name, str_from_c(names[i].name))) {
			return names[i].encoding;
		}
	}
	return CONTENT_UNKNOWN;
}

content *content_new(content_encoding encoding)
{
	content *c = calloc(1, sizeof *c);
	bool is_ready = false;
	if (c == NULL) {
		return NULL;
	}
	c->encoding = encoding;
	switch (encoding) {
	case CONTENT_GZIP:
		is_ready = inflateInit2(&c->gzip, GZIP_WINDOW) == Z_OK;
		break;
	case CONTENT_ZSTD:
		c->zstd = ZSTD_createDStream();
		is_ready =
			c->zstd != NULL && !ZSTD_isError(ZSTD_DCtx_setParameter(c->zstd, ZSTD_d_windowLogMax, ZSTD_WINDOW_LOG_MAX));
		break;
	case CONTENT_LZ4:
		is_ready = !LZ4F_isError(LZ4F_createDecompressionContext(&c->lz4, LZ4F_VERSION));
		break;
	case CONTENT_SNAPPY:
		c->snappy = content_snappy_new();
		is_ready = c->snappy != NULL;
		break;
	case CONTENT_IDENTITY:
	case CONTENT_UNKNOWN:
		break;
	}
	if (!is_ready) {
		content_free(c);
		c = NULL;
	}
	return c;
}

void content_free(content *c)
{
	if (c != NULL) {
		if (c->encoding == CONTENT_GZIP) {
			inflateEnd(&c->gzip);
		}
		ZSTD_freeDStream(c->zstd);
		if (c->lz4 != NULL) {
			LZ4F_freeDecompressionContext(c->lz4);
		}
		content_snappy_free(c->snappy);
		free(c);
	}
}

/* One step of a decoder: takes some of *in, appends to `out` within `room`. */
static content_result step_gzip(content *c, str *in, size_t room, buf *out)
{
	if (c->may_end && inflateReset(&c->gzip) != Z_OK) {
		return CONTENT_CORRUPT;
	}
	c->may_end = false;
	uInt given = in->len < UINT_MAX ? (uInt)in->len : UINT_MAX;
	uInt space = room < UINT_MAX ? (uInt)room : UINT_MAX;
	c->gzip.next_in = unconst(in->ptr);
	c->gzip.avail_in = given;
	c->gzip.next_out = (Bytef *)(out->ptr + out->len);
	c->gzip.avail_out = space;
	int answer = inflate(&c->gzip, Z_NO_FLUSH);
	*in = str_skip(*in, given - c->gzip.avail_in);
	out->len += space - c->gzip.avail_out;
	switch (answer) {
	case Z_STREAM_END:
		c->may_end = true;
		return CONTENT_OK;
	case Z_OK:
	case Z_BUF_ERROR: /* no progress was possible: the rest of the input is still to come */
		return CONTENT_OK;
	case Z_MEM_ERROR:
		return CONTENT_NO_MEMORY;
	default:
		return CONTENT_CORRUPT;
	}
}

/* The library may also read the formats from before zstd was specified; those are refused. */
static bool is_zstd_magic(const unsigned char *m)
{
	uint32_t magic = (uint32_t)m[0] | (uint32_t)m[1] << 8 | (uint32_t)m[2] << 16 | (uint32_t)m[3] << 24;
	return magic == ZSTD_MAGICNUMBER || (magic & ZSTD_MAGIC_SKIPPABLE_MASK) == ZSTD_MAGIC_SKIPPABLE_START;
}

static content_result feed_zstd(content *c, ZSTD_inBuffer *input, size_t room, buf *out)
{
	ZSTD_outBuffer output = {out->ptr + out->len, room, 0};
	size_t answer = ZSTD_decompressStream(c->zstd, &output, input);
	if (ZSTD_isError(answer)) {
		return CONTENT_CORRUPT;
	}
	out->len += output.pos;
	if (answer == 0) {
		c->may_end = true;
		c->zstd_magic_bytes = 0;
	}
	return CONTENT_OK;
}

static content_result step_zstd(content *c, str *in, size_t room, buf *out)
{
	if (c->zstd_magic_bytes == ZSTD_MAGIC_BYTES) {
		ZSTD_inBuffer input = {in->ptr, in->len, 0};
		content_result result = feed_zstd(c, &input, room, out);
		*in = str_skip(*in, input.pos);
		return result;
	}
	c->may_end = false;
	while (in->len > 0 && c->zstd_magic_bytes < ZSTD_MAGIC_BYTES) {
		c->zstd_magic[c->zstd_magic_bytes++] = (unsigned char)in->ptr[0];
		*in = str_skip(*in, 1);
	}
	if (c->zstd_magic_bytes < ZSTD_MAGIC_BYTES) {
		return CONTENT_OK;
	}
	ZSTD_inBuffer magic = {c->zstd_magic, ZSTD_MAGIC_BYTES, 0};
	return is_zstd_magic(c->zstd_magic) ? feed_zstd(c, &magic, room, out) : CONTENT_CORRUPT;
}

static content_result step_lz4(content *c, str *in, size_t room, buf *out)
{
	size_t taken = in->len;
	size_t given = room;
	size_t answer = LZ4F_decompress(c->lz4, out->ptr + out->len, &given, in->ptr, &taken, NULL);
	if (LZ4F_isError(answer)) {
		return CONTENT_CORRUPT;
	}
	*in = str_skip(*in, taken);
	out->len += given;
	c->may_end = answer == 0;
	return CONTENT_OK;
}

static content_result step(content *c, str *in, size_t room, buf *out)
{
	switch (c->encoding) {
	case CONTENT_GZIP:
		return step_gzip(c, in, room, out);
	case CONTENT_ZSTD:
		return step_zstd(c, in, room, out);
	case CONTENT_LZ4:
		return step_lz4(c, in, room, out);
	case CONTENT_IDENTITY:
	case CONTENT_SNAPPY:
	case CONTENT_UNKNOWN:
		break;
	}
	return CONTENT_CORRUPT;
}

content_result content_feed(content *c, str in, uint64_t max_bytes, buf *out)
{
	if (c->encoding == CONTENT_SNAPPY) {
		return content_snappy_feed(c->snappy, in, max_bytes, out);
	}
	bool is_filled = false; /* the last step used all its room: the decoder may hold more */
	while (in.len > 0 || is_filled) {
		/* A body of exactly max_bytes is fine: one spare byte tells "full" from "more to come". */
		size_t room;
		content_result result = content_room(out, max_bytes < UINT64_MAX ? max_bytes + 1 : max_bytes, &room);
		if (result != CONTENT_OK) {
			return result;
		}
		size_t len_before = out->len;
		size_t in_before = in.len;
		bool was_at_end = c->may_end;
		if (was_at_end && in.len == 0) {
			break;
		}
		result = step(c, &in, room, out);
		if (result == CONTENT_OK && out->len > max_bytes) {
			out->len = (size_t)max_bytes;
			result = CONTENT_TOO_LARGE;
		}
		if (result != CONTENT_OK) {
			return result;
		}
		is_filled = out->len - len_before == room;
		if (in.len == in_before && out->len == len_before && c->may_end == was_at_end) {
			return in.len == 0 ? CONTENT_OK : CONTENT_CORRUPT;
		}
	}
	return CONTENT_OK;
}

content_result content_finish(const content *c)
{
	bool may_end = c->encoding == CONTENT_SNAPPY ? content_snappy_may_end(c->snappy) : c->may_end;
	return may_end ? CONTENT_OK : CONTENT_CORRUPT;
}

bool content_gzip(str plain, buf *out)
{
	z_stream z = {.zalloc = Z_NULL};
	if (plain.len > UINT_MAX / 2 ||
		deflateInit2(&z, 1, Z_DEFLATED, GZIP_WINDOW, GZIP_MEMORY, Z_DEFAULT_STRATEGY) != Z_OK) {
		return false;
	}
	size_t most = deflateBound(&z, (uLong)plain.len);
	bool is_done = buf_reserve(out, most);
	if (is_done) {
		z.next_in = unconst(plain.ptr);
		z.avail_in = (uInt)plain.len;
		z.next_out = (Bytef *)(out->ptr + out->len);
		z.avail_out = (uInt)most;
		is_done = deflate(&z, Z_FINISH) == Z_STREAM_END;
		out->len += is_done ? z.total_out : 0;
	}
	deflateEnd(&z);
	return is_done;
}
