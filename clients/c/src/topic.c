#include "topic.h"

#include "call.h"
#include "error.h"

#include <stdlib.h>

enum { PARTITIONS_MAX = 65536 };

char *tgi_topic_path(const char *topic, const char *suffix)
{
	buffer path = {0};
	tgi_buffer_text(&path, "/topics/");
	tgi_buffer_url_segment(&path, topic);
	tgi_buffer_text(&path, suffix);
	tgi_buffer_append(&path, "", 1);
	if (path.failed) {
		tgi_buffer_dispose(&path);
	}
	return path.ptr;
}

tg_status tgi_topic_get(tg_client *client, const char *topic, const char *suffix, json_t **out, tg_error *error)
{
	tg_status status = tgi_client_check_name("topic", topic, error);
	if (status != TG_OK) {
		return status;
	}
	char *path = tgi_topic_path(topic, suffix);
	if (path == NULL) {
		return tgi_error_no_memory(error);
	}
	const call_request request = {.method = "GET", .path = path, .timeout_ms = client->config.request_timeout_ms};
	status = tgi_call_run(client, &request, out, error);
	free(path);
	return status;
}

tg_status tgi_topic_delete(tg_client *client, const char *topic, const char *suffix, tg_error *error)
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

int64_t tgi_topic_integer(const json_t *object, const char *member, int64_t otherwise)
{
	const json_t *value = json_object_get(object, member);
	return json_is_integer(value) ? json_integer_value(value) : otherwise;
}

uint32_t tgi_topic_partition_count(const json_t *description)
{
	int64_t count = tgi_topic_integer(description, "partitions", 0);
	return count < 1 || count > PARTITIONS_MAX ? 0 : (uint32_t)count;
}

tg_status tgi_topic_fetch(tg_client *client, const char *topic, json_t **out, tg_error *error)
{
	json_t *description = NULL;
	tg_status status = tgi_topic_get(client, topic, "", &description, error);
	if (status != TG_OK) {
		return status;
	}
	uint32_t count = tgi_topic_partition_count(description);
	if (count == 0 || json_array_size(json_object_get(description, "partition_info")) != count) {
		json_decref(description);
		return tgi_error_set(error, TG_ERR_PROTOCOL, "the description of the topic lacks its partitions");
	}
	*out = description;
	return TG_OK;
}
