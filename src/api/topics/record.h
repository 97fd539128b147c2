/*
 * api/topics/record: a record of the log as this dialect's JSON. Shared by diff, watch, WebSocket, claims and jobs.
 *
 * A value that is JSON text is written as it is, without insignificant white space: what was written with this dialect
 * comes back byte for byte, and a JSON value that another dialect wrote is one here too. Any other bytes become
 * {"$base64":"…"}.
 *
 * Threads  any. Errors: buf.failed.
 */
#ifndef TIDEGATE_API_TOPICS_RECORD_H
#define TIDEGATE_API_TOPICS_RECORD_H

#include "base/buf.h"
#include "log/record.h"

/* What a reader wants to see of a record beyond $seq and $ts. */
typedef struct record_view {
	bool has_node; /* $node; claims and jobs leave it out */
	bool has_tag;
	bool has_data;
	bool has_meta;
} record_view;

/* {"$seq":1,"$ts":2,"$node":"n","$tag":"t","data":…,"meta":{…}} */
void record_write(buf *out, const log_record *r, record_view view);

/* The pieces of it, for answers with other members in between: "data":…, and ,"meta":{…} or nothing. */
void record_write_data(buf *out, str value);
void record_write_meta(buf *out, const log_record *r);
/* ,"$tag":"…" or nothing; the same for $node. */
void record_write_tag(buf *out, const log_record *r);
void record_write_node(buf *out, const log_record *r);

/* What counts against max_batch_bytes and cap_bytes. */
uint64_t record_payload_bytes(const log_record *r);

#endif
