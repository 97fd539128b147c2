#include "api/streaming/produce_body.h"

#include "api/api.h"
#include "api/streaming/header_text.h"
#include "base/jscan.h"
#include "base/siphash.h"
#include "base/text.h"

#include <string.h>

enum { FIRST_CAPACITY = 64 };

typedef struct decoder {
	arena *arena;
	err *error;
	jscan scan;
	uint32_t line; /* of application/x-ndjson, from 1; 0 = not lines */
	uint32_t count;
	uint32_t capacity;
	str *values;
	/* NULL until a message has one */
	str *keys;
	str *headers;
	int64_t *timestamps_ms;
	int32_t *partitions;
} decoder;

/* One message as found: nothing decoded yet, since `encoding` may come last. */
typedef struct message {
	jscan_string key;
	jscan_string value; /* a string's inside, or any other value's own text */
	str headers;
	int64_t timestamp_ms;
	int32_t partition;
	bool has_key;
	bool has_value;
	bool value_is_string;
	bool is_base64;
} message;

/* ---- errors ---- */

/* member NULL: the message itself. */
static bool refuse(decoder *d, const char *member, const char *rule)
{
	if (d->line > 0) {
		return err_set(d->error, ERR_INVALID_REQUEST, "line %u: %s must be %s", d->line,
					   member != NULL ? member : "the message", rule);
	}
	return err_set(d->error, ERR_INVALID_REQUEST, "messages[%u]%s%s must be %s", d->count, member != NULL ? "." : "",
				   member != NULL ? member : "", rule);
}

/* A member of the wrong type; or, when the JSON itself is broken, that. */
static bool refuse_type(decoder *d, const char *member, const char *rule)
{
	jscan_skip(&d->scan);
	if (!jscan_failed(&d->scan)) {
		return refuse(d, member, rule);
	}
	jscan_err(&d->scan, d->error);
	if (d->line > 0) {
		err_set(d->error, ERR_INVALID_REQUEST, "line %u: %s", d->line, d->error->message);
	}
	return false;
}

static bool refuse_broken(decoder *d)
{
	return refuse_type(d, NULL, "valid JSON");
}

static bool refuse_memory(decoder *d)
{
	return err_set(d->error, ERR_PAYLOAD_TOO_LARGE,
				   "the request needs more memory than one request may use; send it in several");
}

/* ---- columns ---- */

/* The array with room for `capacity` elements; new bytes are `fill`. NULL: refused. */
static void *grown(decoder *d, const void *array, size_t element, uint32_t capacity, int fill)
{
	char *bytes = arena_alloc_array(d->arena, capacity, element);
	if (bytes == NULL) {
		refuse_memory(d);
		return NULL;
	}
	size_t used = array != NULL ? d->count * element : 0;
	if (used > 0) {
		memcpy(bytes, array, used);
	}
	memset(bytes + used, fill, capacity * element - used);
	return bytes;
}

#define GROW(d, array, capacity, fill)                                                                                 \
	(((d)->array = grown((d), (d)->array, sizeof *(d)->array, (capacity), (fill))) != NULL)
/* An optional column: grows only if a message has made it. */
#define GROW_MADE(d, array, capacity, fill) ((d)->array == NULL || GROW(d, array, capacity, fill))
#define MAKE(d, array, fill)                ((d)->array != NULL || GROW(d, array, (d)->capacity, fill))

/* Room for one message more. */
static bool reserve(decoder *d)
{
	if (d->count == LOG_RECORDS_PER_APPEND_MAX) {
		return err_set(d->error, ERR_BATCH_TOO_LARGE, "a request may hold at most %d messages; send it in several",
					   LOG_RECORDS_PER_APPEND_MAX);
	}
	if (d->count < d->capacity) {
		return true;
	}
	uint32_t capacity = d->capacity == 0 ? FIRST_CAPACITY : d->capacity * 4;
	capacity = capacity < LOG_RECORDS_PER_APPEND_MAX ? capacity : LOG_RECORDS_PER_APPEND_MAX;
	if (!GROW(d, values, capacity, 0) || !GROW_MADE(d, keys, capacity, 0) || !GROW_MADE(d, headers, capacity, 0) ||
		!GROW_MADE(d, timestamps_ms, capacity, 0) || !GROW_MADE(d, partitions, capacity, 0xff)) {
		return false;
	}
	d->capacity = capacity;
	return true;
}

/* ---- members ---- */

/* JSON text without insignificant white space: itself when it has none. */
static bool compact(decoder *d, str raw, str *out)
{
	return jscan_compact_view(d->arena, raw, out) || refuse_memory(d);
}

static bool read_key(decoder *d, message *m)
{
	if (jscan_peek(&d->scan) == JSCAN_STRING) {
		m->has_key = true;
		return jscan_string_raw(&d->scan, &m->key) || refuse_broken(d);
	}
	m->has_key = false;
	return jscan_null(&d->scan) || refuse_type(d, "key", "a string or null");
}

static bool read_value(decoder *d, message *m)
{
	m->has_value = true;
	m->value_is_string = jscan_peek(&d->scan) == JSCAN_STRING;
	if (m->value_is_string) {
		return jscan_string_raw(&d->scan, &m->value) || refuse_broken(d);
	}
	m->value.has_escapes = false;
	return jscan_raw(&d->scan, &m->value.raw) || refuse_broken(d);
}

static bool read_headers(decoder *d, message *m)
{
	switch (header_text_read(&d->scan, d->arena, &m->headers)) {
	case HEADER_TEXT_OK:
		return true;
	case HEADER_TEXT_WRONG:
		return refuse(d, "headers", HEADER_TEXT_RULE);
	case HEADER_TEXT_NO_MEMORY:
		return refuse_memory(d);
	case HEADER_TEXT_BROKEN:
		break;
	}
	return refuse_broken(d);
}

static bool read_integer(decoder *d, const char *member, const char *rule, int64_t least, int64_t most, int64_t *out)
{
	str digits;
	if (jscan_peek(&d->scan) != JSCAN_NUMBER) {
		return jscan_null(&d->scan) || refuse_type(d, member, rule);
	}
	if (!jscan_raw(&d->scan, &digits)) {
		return refuse_broken(d);
	}
	return str_parse_i64(digits, least, most, out) || refuse(d, member, rule);
}

static bool read_partition(decoder *d, message *m)
{
	int64_t partition = PRODUCE_ANY_PARTITION;
	if (!read_integer(d, "partition", "an integer from 0 to 1023", 0, LOG_PARTITIONS_MAX - 1, &partition)) {
		return false;
	}
	m->partition = (int32_t)partition;
	return true;
}

static bool read_encoding(decoder *d, message *m)
{
	static const char rule[] = "\"base64\" or left out";
	str encoding = STR_NONE;
	m->is_base64 = false;
	if (jscan_null(&d->scan)) {
		return true;
	}
	if (jscan_peek(&d->scan) != JSCAN_STRING || !jscan_text(&d->scan, d->arena, &encoding)) {
		return refuse_type(d, "encoding", rule);
	}
	m->is_base64 = str_equal(encoding, STR("base64"));
	return m->is_base64 || refuse(d, "encoding", rule);
}

#define IS(key, literal) ((key).len == sizeof(literal) - 1 && memcmp((key).ptr, literal, sizeof(literal) - 1) == 0)

static bool read_member(decoder *d, str key, message *m)
{
	if (IS(key, "value")) {
		return read_value(d, m);
	}
	if (IS(key, "key")) {
		return read_key(d, m);
	}
	if (IS(key, "headers")) {
		return read_headers(d, m);
	}
	if (IS(key, "partition")) {
		return read_partition(d, m);
	}
	if (IS(key, "timestamp")) {
		m->timestamp_ms = 0;
		return read_integer(d, "timestamp", "milliseconds since 1970, a positive integer", 1, PRODUCE_TIMESTAMP_MS_MAX,
							&m->timestamp_ms);
	}
	if (IS(key, "encoding")) {
		return read_encoding(d, m);
	}
	return jscan_skip(&d->scan) || refuse_broken(d);
}

/* ---- one message ---- */

/* A string's bytes. */
static bool decode_bytes(decoder *d, const message *m, jscan_string in, const char *member, str *out)
{
	str text = in.raw;
	if (in.has_escapes && !jscan_string_decode(d->arena, in, &text)) {
		return refuse_memory(d);
	}
	if (m->is_base64) {
		if (!text_base64_decode(d->arena, text, &text)) {
			return refuse(d, member, "base64 with padding, as \"encoding\":\"base64\" says");
		}
		text = text.ptr != NULL ? text : STR("");
	}
	*out = text;
	return true;
}

static bool decode_value(decoder *d, const message *m, str *out)
{
	if (m->value_is_string) {
		return decode_bytes(d, m, m->value, "value", out);
	}
	if (m->is_base64) {
		return refuse(d, "value", "a string of base64, as \"encoding\":\"base64\" says");
	}
	return compact(d, m->value.raw, out);
}

static bool add_message(decoder *d, const message *m)
{
	str key = STR_NONE;
	str value = STR_NONE;
	if (!m->has_value) {
		return refuse(d, "value", "there");
	}
	if (!reserve(d) || !decode_value(d, m, &value) || (m->has_key && !decode_bytes(d, m, m->key, "key", &key))) {
		return false;
	}
	if (key.len + value.len + m->headers.len > LOG_RECORD_BYTES_MAX) {
		return err_set(d->error, ERR_RECORD_TOO_LARGE,
					   "message %u has %zu bytes of key, value and headers; at most %d are allowed", d->count,
					   key.len + value.len + m->headers.len, LOG_RECORD_BYTES_MAX);
	}
	if ((m->has_key && !MAKE(d, keys, 0)) || (m->headers.ptr != NULL && !MAKE(d, headers, 0)) ||
		(m->timestamp_ms != 0 && !MAKE(d, timestamps_ms, 0)) ||
		(m->partition != PRODUCE_ANY_PARTITION && !MAKE(d, partitions, 0xff))) {
		return false;
	}
	uint32_t i = d->count++;
	d->values[i] = value;
	if (d->keys != NULL) {
		d->keys[i] = key;
	}
	if (d->headers != NULL) {
		d->headers[i] = m->headers;
	}
	if (d->timestamps_ms != NULL) {
		d->timestamps_ms[i] = m->timestamp_ms;
	}
	if (d->partitions != NULL) {
		d->partitions[i] = m->partition;
	}
	return true;
}

/* The object that comes next. */
static bool read_message(decoder *d)
{
	message m = {.partition = PRODUCE_ANY_PARTITION};
	str key;
	if (jscan_peek(&d->scan) != JSCAN_OBJECT) {
		return refuse_type(d, NULL, "an object with a \"value\"");
	}
	if (!jscan_begin_object(&d->scan)) {
		return refuse_broken(d);
	}
	while (jscan_next_member(&d->scan, &key)) {
		if (!read_member(d, key, &m)) {
			return false;
		}
	}
	return jscan_failed(&d->scan) ? refuse_broken(d) : add_message(d, &m);
}

/* ---- the whole body ---- */

static bool finish(decoder *d, produce_batch *out)
{
	if (d->count == 0) {
		return err_set(d->error, ERR_INVALID_REQUEST, "there are no messages; send at least one");
	}
	*out = (produce_batch){
		.columns =
			{
				.count = d->count,
				.keys = d->keys,
				.values = d->values,
				.headers = d->headers,
				.timestamps_ms = d->timestamps_ms,
			},
		.partitions = d->partitions,
	};
	return true;
}

static bool read_messages(decoder *d)
{
	if (jscan_peek(&d->scan) != JSCAN_ARRAY) {
		jscan_skip(&d->scan);
		return jscan_failed(&d->scan) ? refuse_broken(d)
									  : err_set(d->error, ERR_INVALID_REQUEST, "messages must be an array of objects");
	}
	d->count = 0; /* a repeated member: the last one counts */
	if (!jscan_begin_array(&d->scan)) {
		return refuse_broken(d);
	}
	while (jscan_next_element(&d->scan)) {
		if (!read_message(d)) {
			return false;
		}
	}
	return !jscan_failed(&d->scan) || refuse_broken(d);
}

bool produce_decode_json(str body, arena *a, produce_batch *out, err *e)
{
	decoder d = {.arena = a, .error = e};
	bool has_messages = false;
	str key;
	if (body.len == 0) {
		return err_set(e, ERR_INVALID_REQUEST, "the body is empty; send {\"messages\":[{\"value\":\"…\"}]}");
	}
	jscan_init(&d.scan, body, API_JSON_DEPTH);
	jscan_type type = jscan_peek(&d.scan);
	if (type != JSCAN_OBJECT && type != JSCAN_NONE) {
		return err_set(e, ERR_INVALID_REQUEST, "the body must be an object: {\"messages\":[{\"value\":\"…\"}]}");
	}
	jscan_begin_object(&d.scan);
	while (jscan_next_member(&d.scan, &key)) {
		if (IS(key, "messages")) {
			has_messages = true;
			if (!read_messages(&d)) {
				return false;
			}
		} else {
			jscan_skip(&d.scan);
		}
	}
	if (!jscan_end(&d.scan)) {
		return refuse_broken(&d);
	}
	if (!has_messages) {
		return err_set(e, ERR_INVALID_REQUEST, "messages is missing; send {\"messages\":[{\"value\":\"…\"}]}");
	}
	return finish(&d, out);
}

bool produce_decode_lines(str body, arena *a, produce_batch *out, err *e)
{
	decoder d = {.arena = a, .error = e};
	for (str rest = body; rest.ptr != NULL;) {
		str line;
		str_split(rest, '\n', &line, &rest);
		d.line++;
		line = str_trim(str_ends_with(line, STR("\r")) ? str_take(line, line.len - 1) : line);
		if (line.len == 0) {
			continue;
		}
		jscan_init(&d.scan, line, API_JSON_DEPTH);
		if (!read_message(&d) || (!jscan_end(&d.scan) && !refuse_broken(&d))) {
			return false;
		}
	}
	return finish(&d, out);
}

/* ---- partitions ---- */

/* Without a key in the sense of placing: an empty one is none. */
static bool is_keyless(const produce_batch *batch, uint32_t i)
{
	return batch->columns.keys == NULL || batch->columns.keys[i].len == 0;
}

static bool has_wish(const produce_batch *batch, uint32_t i)
{
	return batch->partitions != NULL && batch->partitions[i] != PRODUCE_ANY_PARTITION;
}

uint32_t produce_count_keyless(const produce_batch *batch)
{
	uint32_t count = 0;
	for (uint32_t i = 0; i < batch->columns.count; i++) {
		count += !has_wish(batch, i) && is_keyless(batch, i) ? 1 : 0;
	}
	return count;
}

static bool check_wishes(const produce_batch *batch, uint32_t partition_count, err *e)
{
	for (uint32_t i = 0; i < batch->columns.count; i++) {
		if (has_wish(batch, i) && (uint32_t)batch->partitions[i] >= partition_count) {
			return err_set(e, ERR_INVALID_REQUEST,
						   "messages[%u].partition is %d, but the topic has the partitions 0 to %u", i,
						   batch->partitions[i], partition_count - 1);
		}
	}
	return true;
}

bool produce_place(const produce_batch *batch, uint32_t partition_count, uint32_t first_keyless, arena *a,
				   const uint32_t **partition_of, int32_t *one, err *e)
{
	uint32_t count = batch->columns.count;
	if (batch->partitions != NULL && !check_wishes(batch, partition_count, e)) {
		return false;
	}
	if (partition_count == 1) {
		*partition_of = NULL;
		*one = 0;
		return true;
	}
	uint32_t *places = arena_alloc_array(a, count, sizeof *places);
	if (places == NULL) {
		return err_set(e, ERR_PAYLOAD_TOO_LARGE,
					   "the request needs more memory than one request may use; send it in several");
	}
	uint32_t differing = 0;
	for (uint32_t i = 0; i < count; i++) {
		if (has_wish(batch, i)) {
			places[i] = (uint32_t)batch->partitions[i];
		} else if (is_keyless(batch, i)) {
			places[i] = first_keyless++ % partition_count;
		} else {
			places[i] = siphash_partition(batch->columns.keys[i], partition_count);
		}
		differing |= places[i] ^ places[0];
	}
	*partition_of = differing != 0 ? places : NULL;
	if (differing == 0) {
		*one = (int32_t)places[0];
	}
	return true;
}
