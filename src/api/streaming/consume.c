/*
 * POST /topics/{topic}/consume: with an offset a pure read, with a group_id a leased delivery, with wait_ms a long
 * poll.
 */
#include "api/accept.h"
#include "api/body.h"
#include "api/operation.h"
#include "api/pump.h"
#include "api/streaming/delivery.h"
#include "api/streaming/offsets.h"
#include "api/streaming/packet.h"
#include "api/streaming/streaming.h"
#include "base/clock.h"

enum { GROUP_LOOK_MS = 1000 }; /* a group's waiter looks this often whether another consumer's lease has ended */

typedef struct consume {
	api_operation op;
	str group_id; /* ptr NULL = none */
	str consumer_id;
	int64_t partition; /* or LOG_ALL_PARTITIONS */
	int64_t offset;
	int64_t until_offset; /* exclusive; INT64_MAX: the end */
	bool has_offset;
	bool is_strict; /* an offset that is not kept is an error */
	bool from_latest;
	int64_t max_messages;
	int64_t max_bytes;
	int64_t wait_ms;
	int64_t lease_ms;
	int64_t deadline_ms; /* of the long poll, on clock_now_ms() */
	pump *pump;
	bool wants_packets;
	bool is_watching;
	bool is_empty; /* the last look found nothing to tell */
} consume;

/* ---- the request ---- */

static void read_from(body *b, bool *from_latest)
{
	str from = STR_NONE;
	body_text(b, "from", &from);
	*from_latest = str_equal(from, STR("latest"));
	if (!b->failed && !*from_latest && !str_equal(from, STR("earliest"))) {
		body_refuse(b, "from", "\"earliest\" or \"latest\"");
	}
}

static void read_member(body *b, str key, consume *c)
{
	if (body_null(b)) {
		return;
	}
	if (str_equal(key, STR("group_id"))) {
		body_name(b, "group_id", LOG_GROUP_NAME_MAX, &c->group_id);
	} else if (str_equal(key, STR("consumer_id"))) {
		body_name(b, "consumer_id", API_ID_BYTES_MAX, &c->consumer_id);
	} else if (str_equal(key, STR("partition"))) {
		body_integer(b, "partition", 0, LOG_PARTITIONS_MAX - 1, &c->partition);
	} else if (str_equal(key, STR("offset"))) {
		body_integer(b, "offset", 0, INT64_MAX, &c->offset);
		c->has_offset = true;
	} else if (str_equal(key, STR("until_offset"))) {
		body_integer(b, "until_offset", 1, INT64_MAX, &c->until_offset);
	} else if (str_equal(key, STR("strict"))) {
		body_bool(b, "strict", &c->is_strict);
	} else if (str_equal(key, STR("from"))) {
		read_from(b, &c->from_latest);
	} else if (str_equal(key, STR("max_messages"))) {
		body_integer(b, "max_messages", 1, STREAMING_MESSAGES_MAX, &c->max_messages);
	} else if (str_equal(key, STR("max_bytes"))) {
		body_integer(b, "max_bytes", 1, STREAMING_PAGE_BYTES_MAX, &c->max_bytes);
	} else if (str_equal(key, STR("wait_ms"))) {
		body_integer(b, "wait_ms", 0, STREAMING_WAIT_MS_MAX, &c->wait_ms);
	} else if (str_equal(key, STR("lease_ms"))) {
		body_integer(b, "lease_ms", STREAMING_LEASE_MS_MIN, STREAMING_LEASE_MS_MAX, &c->lease_ms);
	} else {
		body_skip(b);
	}
}

static bool read_request(consume *c, err *e)
{
	body b;
	str key;
	c->partition = LOG_ALL_PARTITIONS;
	c->until_offset = INT64_MAX;
	c->max_messages = STREAMING_MESSAGES_DEFAULT;
	c->max_bytes = STREAMING_PAGE_BYTES_DEFAULT;
	c->lease_ms = STREAMING_LEASE_MS_DEFAULT;
	if (!body_begin(&b, c->op.x, e)) {
		return false;
	}
	while (body_next(&b, &key)) {
		read_member(&b, key, c);
	}
	return body_end(&b);
}

static bool is_pure_read(const consume *c)
{
	return c->has_offset || c->group_id.ptr == NULL;
}

/* JSON, unless packets fit better. */
static void choose_form(consume *c)
{
	str accept = http_request_header(c->op.x, STR("Accept"));
	c->wants_packets = accept_fit(accept, STR(PACKET_MEDIA_TYPE)) > accept_fit(accept, STR("application/json"));
	c->op.content_type = c->wants_packets ? PACKET_MEDIA_TYPE : NULL;
}

/* ---- one look ---- */

static bool read_partition(api_operation *op, log_conn *conn, err *e)
{
	consume *c = (consume *)op;
	int32_t partition = c->partition == LOG_ALL_PARTITIONS ? 0 : (int32_t)c->partition;
	if (!api_check_partition(op, partition, e)) {
		return false;
	}
	bool from_end = !c->has_offset && c->from_latest;
	log_read_request request = {
		.topic = op->topic,
		.partition = partition,
		.from = from_end ? INT64_MAX : c->offset,
		.until = c->until_offset,
		.max_records = (uint32_t)c->max_messages,
		.max_bytes = (uint64_t)c->max_bytes,
	};
	log_page *page = NULL;
	if (!log_read(api_of(op->x)->log, conn, &request, &page, e)) {
		return false;
	}
	if (c->is_strict && c->has_offset &&
		!offsets_check(partition, c->offset, log_page_start_offset(page), log_page_end_offset(page), e)) {
		log_page_free(page);
		return false;
	}
	delivery d;
	delivery_begin(&d, http_reply_body(op->x), http_arena(op->x), c->wants_packets);
	delivery_add_page(&d, partition, page);
	/* A further look goes on behind what this one examined. */
	c->offset = from_end ? log_page_end_offset(page) : log_page_position(page);
	c->has_offset = true;
	delivery_end_read(&d, partition, c->offset, page);
	c->is_empty = d.is_empty && c->offset < c->until_offset;
	log_page_free(page);
	return true;
}

static log_group_take_request take_request(const consume *c)
{
	return (log_group_take_request){
		.topic = c->op.topic,
		.group = c->group_id,
		.consumer_id = c->consumer_id,
		.partition = (int32_t)c->partition,
		.start = c->from_latest ? LOG_FROM_LATEST : LOG_FROM_EARLIEST,
		.max_records = (uint32_t)c->max_messages,
		.max_bytes = (uint64_t)c->max_bytes,
		.lease_ms = c->lease_ms,
	};
}

static bool take_for_group(api_operation *op, log_conn *conn, err *e)
{
	consume *c = (consume *)op;
	buf *out = http_reply_body(op->x);
	log_engine *log = api_of(op->x)->log;
	log_group_take take = {0};
	delivery d;
	if (c->partition != LOG_ALL_PARTITIONS && !api_check_partition(op, c->partition, e)) {
		return false;
	}
	log_group_take_request request = take_request(c);
	/* Nothing is leased for a client that has left while this waited for its turn. */
	if (!http_peer_is_gone(op->x) && !log_group_take_records(log, conn, &request, http_arena(op->x), &take, e)) {
		return false;
	}
	delivery_begin(&d, out, http_arena(op->x), c->wants_packets);
	for (size_t i = 0; i < take.count; i++) {
		delivery_add_page(&d, take.partitions[i], take.pages[i]);
	}
	delivery_end_take(&d, c->consumer_id, &take);
	c->is_empty = d.is_empty;
	/* Nobody would commit what nobody reads: the next call shall have it at once. */
	err ignored;
	if (take.count > 0 && (http_peer_is_gone(op->x) || out->failed) &&
		!log_group_give_back(log, conn, &request, &take, &ignored)) {
		slog_err(api_of(op->x)->slog, SLOG_DEBUG, "streaming", "a lease was left to end by itself", &ignored);
	}
	log_group_take_free(&take);
	return true;
}

/* ---- the long poll ---- */

static pump_next answer(consume *c)
{
	pump_unref(c->pump);
	api_reply(&c->op);
	return PUMP_DONE;
}

static pump_next refuse(consume *c, const err *e)
{
	pump_unref(c->pump);
	api_fail(&c->op, e);
	return PUMP_DONE;
}

static pump_next look_and_wait(void *context, log_conn *conn)
{
	consume *c = context;
	err e;
	if (http_peer_is_gone(c->op.x)) {
		buf_clear(http_reply_body(c->op.x));
		return answer(c);
	}
	for (;;) {
		int64_t now_ms = clock_now_ms();
		bool is_last = now_ms >= c->deadline_ms || atomic_load(&api_of(c->op.x)->is_stopping);
		if (!api_attempt(&c->op, conn, &e)) {
			return refuse(c, &e);
		}
		if (!c->is_empty || is_last) {
			return answer(c);
		}
		if (c->is_watching) {
			int64_t next_ms = is_pure_read(c) ? c->deadline_ms : now_ms + GROUP_LOOK_MS;
			pump_kick_at(c->pump, next_ms < c->deadline_ms ? next_ms : c->deadline_ms);
			return PUMP_WAIT;
		}
		/* Register first, then look once more: what came in between is seen by one of the two. */
		int32_t partition = is_pure_read(c) && c->partition == LOG_ALL_PARTITIONS ? 0 : (int32_t)c->partition;
		if (!pump_watch(c->pump, c->op.topic->topic_id, partition)) {
			return answer(c);
		}
		c->is_watching = true;
	}
}

static pump_next refuse_to_wait(void *context, const err *e)
{
	return refuse(context, e);
}

void streaming_consume(http_exchange *x)
{
	err e;
	consume *c = api_operation_new(x, sizeof *c, NULL);
	if (c == NULL) {
		return;
	}
	if (!read_request(c, &e)) {
		api_fail(&c->op, &e);
		return;
	}
	choose_form(c);
	c->op.topic_name = http_request_param(x, 0);
	c->op.run = is_pure_read(c) ? read_partition : take_for_group;
	if (c->wait_ms == 0) {
		api_run(&c->op);
		return;
	}
	c->deadline_ms = clock_now_ms() + c->wait_ms;
	c->pump = pump_new(api_of(x), (pump_body){look_and_wait, refuse_to_wait, c}, &e);
	if (c->pump == NULL) {
		api_fail(&c->op, &e);
		return;
	}
	pump_kick(c->pump);
}
