/*
 * packet: application/vnd.tidegate.records, the form in which records travel (docs/streaming.md, "Packets").
 *
 * Owns     nothing: what is read points into the bytes read.
 * Threads  any.
 * Errors   a packet that does not fit its own lengths is none: the readers return false.
 */
#ifndef TG_PACKET_H
#define TG_PACKET_H

#include "buffer.h"
#include "record.h"

#define PACKET_MEDIA_TYPE "application/vnd.tidegate.records"

/* Others are skipped. */
typedef enum packet_type {
	PACKET_RECORD = 1,
	PACKET_GAP = 2,
	PACKET_CAUGHT_UP = 3,
	PACKET_PAGE_END = 6,
} packet_type;

typedef struct packet {
	uint8_t type;
	char *body; /* without length and type */
	size_t len;
} packet;

typedef struct packet_gap {
	int32_t partition;
	int64_t from;
	int64_t to;
} packet_gap;

/* The next packet of the bytes, and how many it takes, 0 = there is no whole one. */
size_t tgi_packet_take(char *bytes, size_t len, packet *out);

bool tgi_packet_read_record(const packet *p, tg_record *out);
bool tgi_packet_read_gap(const packet *p, packet_gap *out);
/* The i-th position of a caught up, from 0; false: there is none. */
bool tgi_packet_read_caught_up(const packet *p, size_t i, int32_t *partition, int64_t *offset);
bool tgi_packet_read_page_end(const packet *p, int32_t *partition, int64_t *next_offset);

/* The timestamp must be set; no memory: out->failed. */
void tgi_packet_write_record(buffer *out, int32_t partition, const tg_message *m);
void tgi_packet_write_gap(buffer *out, const packet_gap *gap);

#endif
