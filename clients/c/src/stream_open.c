/* Opening a stream: where each partition begins and ends. */
#include "clock.h"
#include "error.h"
#include "stream_impl.h"
#include "topic.h"

#include <stdio.h>
#include <stdlib.h>

enum { PAGE_BYTES_MAX = 16 << 20 }; /* the server's */

static tg_status check_config(const tg_consumer_config *c, tg_error *error)
{
	if (c->strategy != TG_OFFSETS_NONE && c->id == NULL) {
		return tgi_error_set(error, TG_ERR_INVALID_ARGUMENT,
							 "an offset strategy needs a consumer id to save positions for");
	}
	if (c->max_bytes < 1 || c->max_bytes > PAGE_BYTES_MAX) {
		return tgi_error_set(error, TG_ERR_INVALID_ARGUMENT, "max_bytes must be 1 to %d", PAGE_BYTES_MAX);
	}
	if (c->start.value < 0) {
		return tgi_error_set(error, TG_ERR_INVALID_ARGUMENT, "a start position must not be negative");
	}
	return c->id != NULL ? tgi_client_check_name("consumer id", c->id, error) : TG_OK;
}

/* ---- positions ---- */

/* The named consumer's next offset in each partition, -1 = none. */
static tg_status read_saved(tg_client *client, const tg_consumer_config *c, uint32_t partitions, int64_t *saved,
							tg_error *error)
{
	buffer suffix = {0};
	json_t *group = NULL;
	size_t i;
	json_t *entry;
	for (uint32_t p = 0; p < partitions; p++) {
		saved[p] = -1;
	}
	if (c->id == NULL) {
		return TG_OK;
	}
	tgi_buffer_text(&suffix, "/groups/");
	tgi_buffer_url_segment(&suffix, c->id);
	tgi_buffer_append(&suffix, "", 1);
	tg_status status =
		suffix.failed ? tgi_error_no_memory(error) : tgi_topic_get(client, c->topic, suffix.ptr, &group, error);
	tgi_buffer_dispose(&suffix);
	if (status == TG_ERR_GROUP_NOT_FOUND) {
		return TG_OK;
	}
	json_array_foreach(json_object_get(group, "partitions"), i, entry)
	{
		int64_t partition = tgi_topic_integer(entry, "partition", -1);
		if (partition >= 0 && partition < partitions) {
			saved[partition] = tgi_topic_integer(entry, "committed_offset", -1);
		}
	}
	json_decref(group);
	return status;
}

/* The first offset of a time in each partition. */
static tg_status read_times(tg_client *client, const tg_consumer_config *c, uint32_t partitions, int64_t *offsets,
							tg_error *error)
{
	char suffix[64];
	json_t *found = NULL;
	size_t i;
	json_t *entry;
	snprintf(suffix, sizeof suffix, "/offsets?timestamp=%lld", (long long)c->start.value);
	tg_status status = tgi_topic_get(client, c->topic, suffix, &found, error);
	json_array_foreach(json_object_get(found, "offsets"), i, entry)
	{
		int64_t partition = tgi_topic_integer(entry, "partition", -1);
		if (partition >= 0 && partition < partitions) {
			offsets[partition] = tgi_topic_integer(entry, "offset", 0);
		}
	}
	json_decref(found);
	return status;
}

static int64_t clamp(int64_t offset, int64_t low, int64_t high)
{
	return offset < low ? low : offset > high ? high : offset;
}

/* start, end: of the partition. saved: -1 = none. */
static int64_t resolve(tg_offset o, int64_t start, int64_t end, int64_t saved, int64_t at_time)
{
	switch ((offset_kind)o.kind) {
	case OFFSET_ABSOLUTE:
		return o.value;
	case OFFSET_BEGINNING:
		return clamp((saved >= 0 ? saved : start) + o.value, start, end);
	case OFFSET_END:
		return clamp((saved >= 0 ? saved : end) - o.value, start, end);
	case OFFSET_TIMESTAMP:
		return clamp(at_time, start, end);
	}
	return start;
}

/* Where a partition that ends at `end` now is read up to. */
static int64_t end_of(const tg_consumer_config *c, int64_t end)
{
	int64_t bound = c->disable_continuous ? end : INT64_MAX;
	return c->last_offset >= 0 && c->last_offset < bound ? c->last_offset + 1 : bound;
}

/* Fills in one reader from the topic's description. */
static tg_status open_reader(tg_stream *s, reader *r, const json_t *info, uint32_t partition, const int64_t *saved,
							 const int64_t *times, tg_error *error)
{
	int64_t start = tgi_topic_integer(info, "start_offset", 0);
	int64_t end = tgi_topic_integer(info, "end_offset", 0);
	*r = (reader){
		.partition = (int32_t)partition,
		.position = resolve(s->config.start, start, end, saved[partition], times[partition]),
		.end = end_of(&s->config, end),
		.handed = -1,
		.marked = -1,
		.saved = saved[partition],
		.retry_at_ms = CLOCK_NEVER,
	};
	if (r->position > end) {
		return tgi_error_set(error, TG_ERR_OFFSET_OUT_OF_RANGE,
							 "offset %lld is beyond the end of partition %u; the next to be written is %lld",
							 (long long)r->position, partition, (long long)end);
	}
	return TG_OK;
}

static tg_status open_readers(tg_stream *s, const json_t *description, const int64_t *saved, const int64_t *times,
							  tg_error *error)
{
	const json_t *infos = json_object_get(description, "partition_info");
	uint32_t partitions = tgi_topic_partition_count(description);
	bool is_all = s->config.partition_count == 0;
	size_t count = is_all ? partitions : s->config.partition_count;
	s->readers = calloc(count, sizeof *s->readers);
	if (s->readers == NULL) {
		return tgi_error_no_memory(error);
	}
	for (size_t i = 0; i < count; i++) {
		uint32_t partition = is_all ? (uint32_t)i : (uint32_t)s->config.partitions[i];
		if (partition >= partitions) {
			return tgi_error_set(error, TG_ERR_PARTITION_NOT_FOUND, "there is no partition %u; the topic has 0 to %u",
								 partition, partitions - 1);
		}
		tg_status status =
			open_reader(s, &s->readers[i], json_array_get(infos, partition), partition, saved, times, error);
		if (status != TG_OK) {
			return status;
		}
		s->reader_count = i + 1;
	}
	for (size_t i = 0; i < count; i++) {
		tg_status status = tgi_stream_read(s, &s->readers[i], error);
		if (status != TG_OK) {
			return status;
		}
	}
	return TG_OK;
}

/* ---- the stream ---- */

static void free_stream(tg_stream *s)
{
	tgi_stream_io_close(s);
	json_decref(s->page);
	for (size_t i = 0; i < s->reader_count; i++) {
		json_decref(s->readers[i].page);
		tgi_buffer_dispose(&s->readers[i].body);
	}
	free(s->readers);
	free(s->path);
	tgi_buffer_dispose(&s->key);
	tgi_buffer_dispose(&s->value);
	tgi_consumer_config_dispose(&s->config);
	tg_client_close(s->client);
	free(s);
}

static tg_stream *new_stream(tg_client *client, const tg_consumer_config *config)
{
	tg_stream *s = calloc(1, sizeof *s);
	if (s == NULL) {
		return NULL;
	}
	s->epoll = -1;
	s->timer = -1;
	tgi_client_ref(client);
	s->client = client;
	bool is_done = tgi_consumer_config_copy(&s->config, config) == TG_OK;
	s->path = is_done ? tgi_topic_path(config->topic, "/consume") : NULL;
	if (s->path == NULL || !tgi_stream_io_open(s)) {
		free_stream(s);
		return NULL;
	}
	return s;
}

tg_status tg_stream_open(tg_client *client, const tg_consumer_config *config, tg_stream **out, tg_error *error)
{
	json_t *description = NULL;
	int64_t *saved = NULL;
	int64_t *times = NULL;
	tg_stream *s = NULL;
	tg_status status = check_config(config, error);
	if (status != TG_OK || (status = tgi_topic_fetch(client, config->topic, &description, error)) != TG_OK) {
		goto out;
	}
	uint32_t partitions = tgi_topic_partition_count(description);
	saved = calloc(partitions, sizeof *saved);
	times = calloc(partitions, sizeof *times);
	s = new_stream(client, config);
	if (saved == NULL || times == NULL || s == NULL) {
		status = tgi_error_no_memory(error);
		goto out;
	}
	status = read_saved(client, config, partitions, saved, error);
	if (status == TG_OK && config->start.kind == OFFSET_TIMESTAMP) {
		status = read_times(client, config, partitions, times, error);
	}
	if (status == TG_OK) {
		status = open_readers(s, description, saved, times, error);
	}
	if (status == TG_OK) {
		*out = s;
		s = NULL;
	}
out:
	if (s != NULL) {
		free_stream(s);
	}
	free(times);
	free(saved);
	json_decref(description);
	return status;
}

tg_status tg_stream_close(tg_stream *s, tg_error *error)
{
	tg_status status = TG_OK;
	if (s == NULL) {
		return TG_OK;
	}
	if (s->config.strategy == TG_OFFSETS_AUTO) {
		status = tg_offset_flush(s, error);
	}
	free_stream(s);
	return status;
}
