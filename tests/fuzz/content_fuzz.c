/*
 * Encoded request bodies. Input: one byte that chooses the encoding, one for the size of the pieces, then the body.
 *
 * Checked besides memory errors: the output keeps to its limit, and does not depend on how the input was cut.
 */
#include "fuzz.h"

#include "http/content.h"

#include <string.h>

enum { OUTPUT_MAX = 200000 };

static content_result decode(content_encoding encoding, str in, size_t piece, buf *out)
{
	content *c = content_new(encoding);
	content_result result = CONTENT_OK;
	FUZZ_CHECK(c != NULL);
	while (in.len > 0 && result == CONTENT_OK) {
		result = content_feed(c, str_take(in, piece), OUTPUT_MAX, out);
		in = str_skip(in, piece);
	}
	if (result == CONTENT_OK) {
		result = content_finish(c);
	}
	content_free(c);
	FUZZ_CHECK(out->len <= OUTPUT_MAX);
	return result;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const content_encoding encodings[] = {CONTENT_GZIP, CONTENT_ZSTD, CONTENT_LZ4, CONTENT_SNAPPY};
	if (size < 2) {
		return 0;
	}
	content_encoding encoding = encodings[data[0] % 4];
	str in = {(const char *)data + 2, size - 2};
	buf whole;
	buf pieces;
	buf_init(&whole, OUTPUT_MAX + 1);
	buf_init(&pieces, OUTPUT_MAX + 1);
	content_result first = decode(encoding, in, size, &whole);
	content_result second = decode(encoding, in, (size_t)data[1] + 1, &pieces);
	FUZZ_CHECK(first == second);
	FUZZ_CHECK(first != CONTENT_OK || str_equal(buf_str(&whole), buf_str(&pieces)));
	buf_dispose(&whole);
	buf_dispose(&pieces);
	return 0;
}
