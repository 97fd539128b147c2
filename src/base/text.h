/*
 * base/text: encodings of bytes as text: UTF-8, percent, base64, hex. Threads: any.
 *
 * Limits   decoders write at most what their buf allows (buf.failed) and never past their input.
 */
#ifndef TIDEGATE_BASE_TEXT_H
#define TIDEGATE_BASE_TEXT_H

#include "base/arena.h"
#include "base/buf.h"

/* RFC 3629: no surrogates, no overlongs, at most U+10FFFF. NUL is valid. Fast on ASCII (8 bytes a step). */
bool text_is_utf8(str s);
/* How many leading bytes are well-formed; s.len when all are. */
size_t text_utf8_valid(str s);
/* Bytes of the character that s begins with: 1 to 4, or 0 when s is empty or begins malformed. */
size_t text_utf8_length(str s);

/* %XX decoding; plus_is_space for query strings. A broken escape makes *clean false and is kept as it is.
 * Returns false only when the arena is full. s itself is the result when it has nothing to decode. */
bool text_percent_decode(arena *a, str s, bool plus_is_space, str *out, bool *clean);

/* RFC 4648 section 4 (standard, padded). Decoding is strict: padding required, no foreign byte, zero trailing bits. */
void text_base64_encode(buf *out, str bytes);
bool text_base64_decode(arena *a, str encoded, str *out); /* false: malformed, or arena full */
/* RFC 4648 section 5 without padding. */
void text_base64url_encode(buf *out, str bytes);
bool text_base64url_decode(arena *a, str encoded, str *out);

/* Lower-case hex; decoding takes both cases. */
void text_hex_encode(buf *out, str bytes);
bool text_hex_decode(arena *a, str encoded, str *out);

#endif
