#include "api/durable/tag.h"

#include "base/siphash.h"

#include <inttypes.h>
#include <stdio.h>

/* Ids do not cross the wire; every worker has to make the same tag of one. */
static uint64_t incarnation(int64_t topic_id)
{
	uint64_t salted = (uint64_t)topic_id ^ UINT64_C(0x64757261626c6521);
	return siphash_key((str){(const char *)&salted, sizeof salted});
}

str durable_tag_print(int64_t topic_id, str start, durable_offset end, bool is_closed, char out[DURABLE_TAG_SIZE])
{
	char token[DURABLE_OFFSET_SIZE];
	durable_offset_print(end, token);
	int len = snprintf(out, DURABLE_TAG_SIZE, "\"%016" PRIx64 ":%.*s:%s%s\"", incarnation(topic_id),
					   STR_ARG(str_take(start, DURABLE_OFFSET_LEN)), token, is_closed ? ":c" : "");
	return (str){out, (size_t)len};
}
