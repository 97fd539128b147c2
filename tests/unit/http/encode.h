/*
 * tests/unit/http/encode: encoders for the content encodings that the server takes.
 */
#ifndef TIDEGATE_TESTS_HTTP_ENCODE_H
#define TIDEGATE_TESTS_HTTP_ENCODE_H

#include "base/buf.h"
#include "http/content.h"

/* Appends `plain`, encoded: one gzip member, zstd frame, lz4 frame or snappy stream. */
void encode(content_encoding encoding, str plain, buf *out);
const char *encode_name(content_encoding encoding);

#endif
