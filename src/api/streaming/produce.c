/*
 * POST /topics/{topic}/produce. Parsed on the server's thread, committed by a lane, answered from there: no other
 * thread and no copy of the messages in between.
 */
#include "api/allowance.h"
#include "api/body.h"
#include "api/gate.h"
#include "api/operation.h"
#include "api/streaming/encode.h"
#include "api/streaming/packet.h"
#include "api/streaming/produce_body.h"
#include "api/streaming/streaming.h"
#include "base/text.h"

#include <inttypes.h>

#define PRODUCER_NUMBER_MAX ((INT64_C(1) << 53) - 1)

typedef struct produce {
	api_operation op;
	produce_batch batch;
	uint32_t keyless;
	str idempotency_key;
	log_producer producer;
	log_append append;
} produce;

/* ---- the request ---- */

static bool decode_body(const http_exchange *x, arena *a, produce_batch *out, err *e)
{
	str type = http_request_media_type(x);
	str text = http_request_body(x);
	if (type.ptr != NULL && str_equal_ignore_case(type, STR("application/x-ndjson"))) {
		return produce_decode_lines(text, a, out, e);
	}
	if (type.ptr != NULL && str_equal_ignore_case(type, STR(PACKET_MEDIA_TYPE))) {
		return produce_decode_packets(text, a, out, e);
	}
	if (type.ptr != NULL && !str_equal_ignore_case(type, STR("application/json"))) {
		return err_set(e, ERR_UNSUPPORTED_MEDIA_TYPE,
					   "send messages as Content-Type: application/json, application/x-ndjson with one message a line, "
					   "or " PACKET_MEDIA_TYPE);
	}
	return produce_decode_json(text, a, out, e);
}

static bool read_id(const http_exchange *x, const char *name, str *out, err *e)
{
	str value = http_request_header(x, str_from_c(name));
	if (value.ptr != NULL && !body_is_name(value, API_ID_BYTES_MAX)) {
		return err_set(e, ERR_INVALID_REQUEST, "%s must be 1 to %d bytes of UTF-8 without control characters", name,
					   API_ID_BYTES_MAX);
	}
	*out = value;
	return true;
}

static bool read_producer_number(const http_exchange *x, const char *name, int64_t *out, err *e)
{
	uint64_t number;
	if (!str_parse_u64(http_request_header(x, str_from_c(name)), PRODUCER_NUMBER_MAX, &number)) {
		return err_set(e, ERR_INVALID_REQUEST, "%s must be an integer from 0 to %" PRId64 " in decimal digits", name,
					   PRODUCER_NUMBER_MAX);
	}
	*out = (int64_t)number;
	return true;
}

/* Producer-Id, Producer-Epoch, Producer-Seq: all or none. */
static bool read_producer(const http_exchange *x, log_producer *out, err *e)
{
	bool has_id = http_request_header(x, STR("Producer-Id")).ptr != NULL;
	bool has_epoch = http_request_header(x, STR("Producer-Epoch")).ptr != NULL;
	bool has_seq = http_request_header(x, STR("Producer-Seq")).ptr != NULL;
	if (!has_id && !has_epoch && !has_seq) {
		return true;
	}
	if (!has_id || !has_epoch || !has_seq) {
		return err_set(e, ERR_INVALID_REQUEST,
					   "Producer-Id, Producer-Epoch and Producer-Seq belong together: send all three or none");
	}
	return read_id(x, "Producer-Id", &out->id, e) && read_producer_number(x, "Producer-Epoch", &out->epoch, e) &&
		   read_producer_number(x, "Producer-Seq", &out->sequence, e);
}

static bool read_request(produce *p, err *e)
{
	http_exchange *x = p->op.x;
	if (!read_id(x, "Idempotency-Key", &p->idempotency_key, e) || !read_producer(x, &p->producer, e)) {
		return false;
	}
	if (p->idempotency_key.ptr != NULL && p->producer.id.ptr != NULL) {
		return err_set(e, ERR_INVALID_REQUEST, "send either an Idempotency-Key or the Producer headers, not both");
	}
	return decode_body(x, http_arena(x), &p->batch, e);
}

/* ---- the reply: on the lane's thread ---- */

static void add_number_header(http_exchange *x, str name, int64_t value)
{
	char digits[24];
	buf b = {.ptr = digits, .capacity = sizeof digits, .max_bytes = sizeof digits};
	buf_append_i64(&b, value);
	http_reply_header(x, name, buf_str(&b));
}

static void fail(produce *p, const err *e)
{
	http_exchange *x = p->op.x;
	const log_producer *state = &p->append.producer_state;
	if (e->code == ERR_PRODUCER_FENCED) {
		add_number_header(x, STR("Producer-Epoch"), state->epoch);
	} else if (e->code == ERR_PRODUCER_SEQUENCE_GAP) {
		add_number_header(x, STR("Producer-Expected-Seq"), state->sequence + 1);
		add_number_header(x, STR("Producer-Received-Seq"), p->producer.sequence);
	}
	api_fail(&p->op, e);
}

/* RFC 7240: Prefer: return=minimal, among others. */
static bool wants_minimum(const http_exchange *x)
{
	str preference;
	for (str rest = http_request_header(x, STR("Prefer")); rest.ptr != NULL;) {
		str_split(rest, ',', &preference, &rest);
		if (str_equal_ignore_case(str_trim(preference), STR("return=minimal"))) {
			return true;
		}
	}
	return false;
}

static void finish(log_append *append)
{
	produce *p = append->context;
	http_exchange *x = p->op.x;
	if (append->error.code != ERR_NONE) {
		if (!api_with_topic_again(&p->op, &append->error)) {
			fail(p, &append->error);
		}
		return;
	}
	if (p->producer.id.ptr != NULL) {
		add_number_header(x, STR("Producer-Epoch"), append->producer_state.epoch);
		add_number_header(x, STR("Producer-Seq"), append->producer_state.sequence);
	}
	if (wants_minimum(x)) {
		http_reply_header(x, STR("Preference-Applied"), STR("return=minimal"));
		encode_result_ranges(http_reply_body(x), append);
	} else if (!encode_results(http_reply_body(x), append)) {
		err e;
		err_set(&e, ERR_NO_MEMORY, "the messages are stored, but the server has no memory left for the answer");
		api_fail(&p->op, &e);
		return;
	}
	api_reply(&p->op);
}

/* ---- the append ---- */

static void append(api_operation *op)
{
	produce *p = (produce *)op;
	arena *a = http_arena(op->x);
	api *all = api_of(op->x);
	log_append *append = &p->append;
	err e;
	*append = (log_append){
		.topic = op->topic,
		.columns = p->batch.columns,
		.idempotency_key = p->idempotency_key,
		.producer = p->producer,
		.arena = a,
		.done = finish,
		.context = p,
	};
	uint32_t turn = op->topic->partitions > 1 && p->keyless > 0 ? atomic_fetch_add(&all->keyless, p->keyless) : 0;
	if (!produce_place(&p->batch, (uint32_t)op->topic->partitions, turn, a, &append->partition_of, &append->partition,
					   &e)) {
		op->is_doubtful = true; /* the topic may have grown since the cache saw it */
		if (!api_with_topic_again(op, &e)) {
			api_fail(op, &e);
		}
	} else if (!allowance_append(all, gate_principal(op->x), &append->columns, &e) ||
			   !log_append_submit(all->log, append, &e)) {
		api_fail(op, &e);
	}
}

/* An unknown topic, where the tenant or the server lets it be made by its first message. */
static bool make_topic(api_operation *op, log_conn *conn, err *e)
{
	api *all = api_of(op->x);
	const auth_principal *principal = gate_principal(op->x);
	if (!auth_choice_apply(principal->auto_create, all->config->auto_create_topics)) {
		return api_set_topic_not_found(e, op->topic_name);
	}
	if (!api_topic_name_is_valid(op->topic_name)) {
		return api_set_topic_name_invalid(e);
	}
	log_topic_spec spec = {
		.tenant_id = principal->tenant_id,
		.name = op->topic_name,
		.origin = LOG_STREAMING,
		.partitions = 1,
		.replication_factor = 1,
		.config = log_topic_config_default(LOG_FSYNC),
	};
	bool created;
	return log_topic_create(all->log, conn, &spec, &op->topic, &created, e);
}

void streaming_produce(http_exchange *x)
{
	err e;
	produce *p = api_operation_new(x, sizeof *p, NULL);
	if (p == NULL) {
		return;
	}
	if (!read_request(p, &e)) {
		api_fail(&p->op, &e);
		return;
	}
	p->op.topic_name = http_request_param(x, 0);
	p->op.make_topic = make_topic;
	p->keyless = produce_count_keyless(&p->batch);
	api_with_topic(&p->op, append);
}
