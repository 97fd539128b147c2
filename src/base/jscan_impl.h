/*
 * base/jscan_impl: what jscan.c (structure, numbers) and jscan_string.c (strings) share.
 */
#ifndef TIDEGATE_BASE_JSCAN_IMPL_H
#define TIDEGATE_BASE_JSCAN_IMPL_H

#include "base/jscan.h"

static inline bool jscan_is_space(char c)
{
	return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

/* s->at is at the opening quote, and then behind the closing one. */
bool jscan_scan_string(jscan *s, jscan_string *out);
/* Decodes the inside of a valid string. False when it does not fit; raw.len bytes are always enough. */
bool jscan_decode(str raw, char *out, size_t capacity, size_t *out_len);

#endif
