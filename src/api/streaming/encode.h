/*
 * api/streaming/encode: records as this dialect's JSON, and the results of a produce. The hot half of reading.
 *
 * Threads  any. Errors: buf.failed.
 */
#ifndef TIDEGATE_API_STREAMING_ENCODE_H
#define TIDEGATE_API_STREAMING_ENCODE_H

#include "base/buf.h"
#include "log/append.h"
#include "log/read.h"

/* "partition":0,"offset":1,"key":…,"value":…,"timestamp":…,"headers":[…] without braces. Bytes that are not UTF-8 make
 * key and value base64, and "encoding":"base64" says so. */
void encode_record(buf *out, const log_record *r);
/* "partition":0,"from_offset":3,"to_offset":9 without braces; to_offset is the first one that is kept. */
void encode_gap(buf *out, int32_t partition, const log_gap *gap);
/* {"results":[{"partition":0,"offset":7},…]}, with "deduped":true for a duplicate. False: the arena is full. */
bool encode_results(buf *out, const log_append *op);

/* {"partitions":[{"partition":0,"offset":7,"count":3},…]}: the same, shorter: each partition's first offset. */
void encode_result_ranges(buf *out, const log_append *op);

#endif
