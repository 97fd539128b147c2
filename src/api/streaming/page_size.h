/*
 * api/streaming/page_size: ?page_size= of this dialect's lists.
 *
 * Threads  any. Errors: ERR_INVALID_REQUEST.
 */
#ifndef TIDEGATE_API_STREAMING_PAGE_SIZE_H
#define TIDEGATE_API_STREAMING_PAGE_SIZE_H

#include "http/exchange.h"

enum { PAGE_SIZE_DEFAULT = 100, PAGE_SIZE_MAX = 1000 };

static inline bool page_size_read(const http_exchange *x, uint32_t *out, err *e)
{
	str text;
	uint64_t size = PAGE_SIZE_DEFAULT;
	if (http_request_query(x, STR("page_size"), &text) && text.len > 0 && !str_parse_u64(text, UINT64_MAX, &size)) {
		return err_set(e, ERR_INVALID_REQUEST, "page_size must be an integer from 1 to %d", PAGE_SIZE_MAX);
	}
	*out = size < 1 ? 1 : size > PAGE_SIZE_MAX ? PAGE_SIZE_MAX : (uint32_t)size;
	return true;
}

#endif
