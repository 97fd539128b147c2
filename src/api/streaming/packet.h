/*
 * api/streaming/packet: application/vnd.tidegate.records: messages as bytes, with no JSON around them.
 *
 * A body or a stream is a row of packets. Numbers are big-endian; offsets and times as everywhere.
 *
 *   each        u32 length of what follows it, u8 type, then
 *   1 record    i32 partition, i64 offset, i64 timestamp, i32 key length (-1: no key), i32 headers length (0: none),
 *               key, headers (as JSON holds them: [["name","value"],…]), value: the rest
 *   2 gap       i32 partition, i64 from, i64 to
 *   3 caught up i32 first partition, i32 count, count × i64 end offset: all that is there was sent
 *   4 heartbeat nothing
 *   5 event     JSON: {"event":…}
 *   6 page end  i32 partition, i64 next offset, i64 start offset, i64 end offset
 *
 * A producer's records are the same packets: partition -1 leaves the choice to the server, timestamp 0 is the server's
 * time, the offset says nothing.
 *
 * Owns     nothing: what is read points into the bytes read.
 * Threads  any. Errors when writing: buf.failed.
 */
#ifndef TIDEGATE_API_STREAMING_PACKET_H
#define TIDEGATE_API_STREAMING_PACKET_H

#include "base/buf.h"
#include "log/tail.h"

#define PACKET_MEDIA_TYPE "application/vnd.tidegate.records"

typedef enum packet_type {
	PACKET_RECORD = 1,
	PACKET_GAP = 2,
	PACKET_CAUGHT_UP = 3,
	PACKET_HEARTBEAT = 4,
	PACKET_EVENT = 5,
	PACKET_PAGE_END = 6,
} packet_type;

typedef struct packet {
	uint8_t type;
	str body; /* without length and type */
} packet;

/* The next packet, taken off *in. False: what is left is no whole one. */
bool packet_take(str *in, packet *out);
/* The body of a record. False: its lengths do not fit it. Of *out only what a packet holds is set. */
bool packet_read_record(str body, log_record *out);

void packet_write_record(buf *out, const log_record *r);
void packet_write_gap(buf *out, int32_t partition, const log_gap *gap);
void packet_write_caught_up(buf *out, const log_position *position);
void packet_write_heartbeat(buf *out);
void packet_write_event(buf *out, str json);
void packet_write_page_end(buf *out, int32_t partition, int64_t next, const log_page *page);

#endif
