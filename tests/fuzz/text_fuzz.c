/*
 * base/text: what one direction makes, the other undoes; what is refused is refused for a reason.
 */
#include "fuzz.h"

#include "base/text.h"

#include <iconv.h>
#include <string.h>

enum { MEMORY = 16 << 20 };

typedef void encode_fn(buf *out, str bytes);
typedef bool decode_fn(arena *a, str encoded, str *out);

static void check_codec(encode_fn *encode, decode_fn *decode, str data, arena *a, bool has_one_form)
{
	buf b;
	str back;
	buf_init(&b, 2 * data.len + 4);
	encode(&b, data);
	FUZZ_CHECK(!b.failed && decode(a, buf_str(&b), &back) && str_equal(back, data));
	/* Whatever is accepted is what the encoder would have written: there are no two texts for the same bytes. */
	if (decode(a, data, &back)) {
		buf_clear(&b);
		encode(&b, back);
		FUZZ_CHECK(has_one_form ? str_equal(buf_str(&b), data) : str_equal_ignore_case(buf_str(&b), data));
	}
	buf_dispose(&b);
}

/* libc's converter is the second opinion. */
static bool iconv_is_utf8(str s)
{
	iconv_t converter = iconv_open("UTF-32LE", "UTF-8");
	FUZZ_CHECK(converter != (iconv_t)-1);
	char *copy = malloc(s.len + 1);
	char *out = malloc(4 * s.len + 4);
	FUZZ_CHECK(copy != NULL && out != NULL);
	if (s.len > 0) {
		memcpy(copy, s.ptr, s.len);
	}
	char *in_at = copy;
	char *out_at = out;
	size_t in_left = s.len;
	size_t out_left = 4 * s.len + 4;
	bool is_valid = iconv(converter, &in_at, &in_left, &out_at, &out_left) != (size_t)-1 && in_left == 0;
	iconv_close(converter);
	free(copy);
	free(out);
	return is_valid;
}

static void check_utf8(str s)
{
	size_t valid = text_utf8_valid(s);
	FUZZ_CHECK(valid <= s.len && text_is_utf8(s) == (valid == s.len) && text_is_utf8(str_take(s, valid)));
	FUZZ_CHECK((text_utf8_length(str_skip(s, valid)) == 0));
	FUZZ_CHECK(text_is_utf8(s) == iconv_is_utf8(s));
}

static void check_percent(str s, bool plus_is_space, arena *a)
{
	str out;
	bool clean;
	FUZZ_CHECK(text_percent_decode(a, s, plus_is_space, &out, &clean) && out.len <= s.len);
	/* Escaping every byte and decoding it again gives the text back. */
	buf b;
	buf_init(&b, 3 * s.len);
	for (size_t i = 0; i < s.len; i++) {
		buf_printf(&b, i % 2 == 0 ? "%%%02x" : "%%%02X", (unsigned)(unsigned char)s.ptr[i]);
	}
	FUZZ_CHECK(text_percent_decode(a, buf_str(&b), plus_is_space, &out, &clean) && clean && str_equal(out, s));
	buf_dispose(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	arena *a = arena_new(MEMORY);
	FUZZ_CHECK(a != NULL);
	str s = {(const char *)data, size};
	if (size <= 1 << 16) {
		check_codec(text_base64_encode, text_base64_decode, s, a, true);
		check_codec(text_base64url_encode, text_base64url_decode, s, a, true);
		check_codec(text_hex_encode, text_hex_decode, s, a, false);
		check_utf8(s);
		check_percent(s, false, a);
		check_percent(s, true, a);
	}
	arena_free(a);
	return 0;
}
