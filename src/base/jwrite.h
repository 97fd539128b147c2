/*
 * base/jwrite: compact JSON into a buf. Plain functions, no state: the caller writes commas and braces.
 *
 * Threads  any. Errors: buf.failed.
 */
#ifndef TIDEGATE_BASE_JWRITE_H
#define TIDEGATE_BASE_JWRITE_H

#include "base/buf.h"

/* A quoted string. s must be valid UTF-8; quotes, backslashes and control characters are escaped. */
void jwrite_string(buf *out, str s);
/* "key": with quotes and colon; key is a literal that needs no escape. */
void jwrite_key(buf *out, const char *key);
void jwrite_bool(buf *out, bool value);

#endif
