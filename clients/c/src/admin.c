#include "call.h"
#include "error.h"
#include "topic.h"

#include <stdlib.h>
#include <string.h>

/* ---- topics ---- */

tg_status tg_topic_create(tg_client *client, const char *topic, const tg_topic_spec *spec, tg_error *error)
{
	tg_topic_spec s = TG_TOPIC_SPEC_INIT;
	buffer body = {0};
	tg_status status = tgi_client_check_name("topic", topic, error);
	if (status != TG_OK) {
		return status;
	}
	if (spec != NULL && spec->size != sizeof s) {
		return tgi_error_set(error, TG_ERR_INVALID_ARGUMENT, "begin a topic's shape with TG_TOPIC_SPEC_INIT");
	}
	s = spec != NULL ? *spec : s;
	tgi_buffer_text(&body, "{\"name\":");
	tgi_buffer_json_string(&body, topic, strlen(topic));
	tgi_buffer_text(&body, ",\"partitions\":");
	tgi_buffer_integer(&body, s.partitions);
	tgi_buffer_text(&body, ",\"replication_factor\":");
	tgi_buffer_integer(&body, s.replication_factor);
	if (s.retention_ms > 0 || s.max_bytes > 0) {
		tgi_buffer_text(&body, ",\"config\":{\"ttl_ms\":");
		tgi_buffer_integer(&body, s.retention_ms);
		tgi_buffer_text(&body, ",\"cap_bytes\":");
		tgi_buffer_integer(&body, s.max_bytes);
		tgi_buffer_text(&body, "}");
	}
	tgi_buffer_text(&body, "}");
	if (body.failed) {
		status = tgi_error_no_memory(error);
	} else {
		const call_request request = {
			.method = "POST",
			.path = "/topics",
			.content_type = "application/json",
			.body = body.ptr,
			.body_len = body.len,
			.timeout_ms = client->config.request_timeout_ms,
		};
		status = tgi_call_run(client, &request, NULL, error);
	}
	tgi_buffer_dispose(&body);
	return status;
}

static tg_status delete_path(tg_client *client, const char *topic, const char *suffix, tg_error *error)
{
	char *path = tgi_topic_path(topic, suffix);
	if (path == NULL) {
		return tgi_error_no_memory(error);
	}
	const call_request request = {.method = "DELETE", .path = path, .timeout_ms = client->config.request_timeout_ms};
	tg_status status = tgi_call_run(client, &request, NULL, error);
	free(path);
	return status;
}

tg_status tg_topic_delete(tg_client *client, const char *topic, tg_error *error)
{
	tg_status status = tgi_client_check_name("topic", topic, error);
	return status == TG_OK ? delete_path(client, topic, "", error) : status;
}

static tg_topic_info read_info(const json_t *from)
{
	const char *name = json_string_value(json_object_get(from, "name"));
	return (tg_topic_info){
		.name = name != NULL ? name : "",
		.partition_count = tgi_topic_partition_count(from),
		.replication_factor = (uint32_t)tgi_topic_integer(from, "replication_factor", 1),
		.created_ms = tgi_topic_integer(from, "created_at", 0),
	};
}

/* One page of names. *cursor: of this page, then of the next; NULL = none. */
static tg_status list_page(tg_client *client, char **cursor, tg_topic_visit visit, void *context, bool *is_over,
						   tg_error *error)
{
	buffer path = {0};
	json_t *page = NULL;
	size_t i;
	json_t *entry;
	tgi_buffer_text(&path, "/topics?page_size=1000");
	if (*cursor != NULL) {
		tgi_buffer_text(&path, "&cursor=");
		tgi_buffer_url_segment(&path, *cursor);
	}
	tgi_buffer_append(&path, "", 1);
	free(*cursor);
	*cursor = NULL;
	tg_status status = path.failed ? tgi_error_no_memory(error) : TG_OK;
	if (status == TG_OK) {
		const call_request request = {
			.method = "GET", .path = path.ptr, .timeout_ms = client->config.request_timeout_ms};
		status = tgi_call_run(client, &request, &page, error);
	}
	tgi_buffer_dispose(&path);
	*is_over = false;
	json_array_foreach(json_object_get(page, "topics"), i, entry)
	{
		const tg_topic_info info = read_info(entry);
		if (!visit(context, &info)) {
			*is_over = true;
			break;
		}
	}
	const char *next = json_string_value(json_object_get(page, "next_cursor"));
	if (status == TG_OK && next != NULL && (*cursor = strdup(next)) == NULL) {
		status = tgi_error_no_memory(error);
	}
	json_decref(page);
	return status;
}

tg_status tg_topic_list(tg_client *client, tg_topic_visit visit, void *context, tg_error *error)
{
	char *cursor = NULL;
	bool is_over = false;
	tg_status status;
	do {
		status = list_page(client, &cursor, visit, context, &is_over, error);
	} while (status == TG_OK && cursor != NULL && !is_over);
	free(cursor);
	return status;
}

tg_status tg_topic_describe(tg_client *client, const char *topic, tg_topic_visit visit, void *context, tg_error *error)
{
	json_t *description = NULL;
	size_t i;
	json_t *entry;
	tg_status status = tgi_topic_fetch(client, topic, &description, error);
	if (status != TG_OK) {
		return status;
	}
	tg_topic_info info = read_info(description);
	tg_partition_info *partitions = calloc(info.partition_count, sizeof *partitions);
	if (partitions == NULL) {
		json_decref(description);
		return tgi_error_no_memory(error);
	}
	json_array_foreach(json_object_get(description, "partition_info"), i, entry)
	{
		partitions[i] = (tg_partition_info){
			.partition = (int32_t)tgi_topic_integer(entry, "partition", (int64_t)i),
			.start_offset = tgi_topic_integer(entry, "start_offset", 0),
			.end_offset = tgi_topic_integer(entry, "end_offset", 0),
			.records = tgi_topic_integer(entry, "records", 0),
			.bytes = tgi_topic_integer(entry, "bytes", 0),
		};
	}
	info.partitions = partitions;
	visit(context, &info);
	free(partitions);
	json_decref(description);
	return TG_OK;
}

/* ---- named consumers ---- */

/* False: the visitor has enough. */
static bool visit_group(const char *topic, const json_t *group, tg_consumer_offset_visit visit, void *context)
{
	const char *id = json_string_value(json_object_get(group, "group_id"));
	size_t i;
	json_t *entry;
	json_array_foreach(json_object_get(group, "partitions"), i, entry)
	{
		int64_t next = tgi_topic_integer(entry, "committed_offset", -1);
		const tg_consumer_offset offset = {
			.consumer_id = id != NULL ? id : "",
			.topic = topic,
			.partition = (int32_t)tgi_topic_integer(entry, "partition", 0),
			.offset = next - 1,
		};
		if (next >= 0 && !visit(context, &offset)) {
			return false;
		}
	}
	return true;
}

tg_status tg_consumer_offsets(tg_client *client, const char *topic, tg_consumer_offset_visit visit, void *context,
							  tg_error *error)
{
	json_t *list = NULL;
	size_t i;
	json_t *group;
	tg_status status = tgi_topic_get(client, topic, "/groups", &list, error);
	json_array_foreach(json_object_get(list, "groups"), i, group)
	{
		if (!visit_group(topic, group, visit, context)) {
			break;
		}
	}
	json_decref(list);
	return status;
}

tg_status tg_consumer_offset_delete(tg_client *client, const char *consumer_id, const char *topic, tg_error *error)
{
	buffer suffix = {0};
	tg_status status = tgi_client_check_name("topic", topic, error);
	if (status != TG_OK || (status = tgi_client_check_name("consumer id", consumer_id, error)) != TG_OK) {
		return status;
	}
	tgi_buffer_text(&suffix, "/groups/");
	tgi_buffer_url_segment(&suffix, consumer_id);
	tgi_buffer_append(&suffix, "", 1);
	status = suffix.failed ? tgi_error_no_memory(error) : delete_path(client, topic, suffix.ptr, error);
	tgi_buffer_dispose(&suffix);
	return status;
}
