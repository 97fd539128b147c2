/* Topics, for whoever administers them. */
#include "call.h"
#include "error.h"
#include "pages.h"
#include "topic.h"

#include <stdlib.h>
#include <string.h>

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
	status = tgi_call_post(client, "/topics", &body, NULL, error);
	tgi_buffer_dispose(&body);
	return status;
}

tg_status tg_topic_delete(tg_client *client, const char *topic, tg_error *error)
{
	tg_status status = tgi_client_check_name("topic", topic, error);
	return status == TG_OK ? tgi_topic_delete(client, topic, "", error) : status;
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

typedef struct listing {
	tg_topic_visit visit;
	void *context;
} listing;

static bool visit_entry(void *context, const json_t *entry)
{
	const listing *l = context;
	const tg_topic_info info = read_info(entry);
	return l->visit(l->context, &info);
}

tg_status tg_topic_list(tg_client *client, tg_topic_visit visit, void *context, tg_error *error)
{
	listing l = {visit, context};
	return tgi_pages_visit(client, "/topics?", "topics", visit_entry, &l, error);
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
