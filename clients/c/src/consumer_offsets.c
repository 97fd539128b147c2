/* Where named consumers are, for whoever administers them: the positions of groups that lease nothing. The server keeps the
 * next offset of a partition; here, as at Fluvio, it is the one of the last record seen. */
#include "call.h"
#include "error.h"
#include "pages.h"
#include "topic.h"

#include <stdlib.h>
#include <string.h>

static tg_status check_names(const char *consumer_id, const char *topic, tg_error *error)
{
	tg_status status = tgi_client_check_name("consumer id", consumer_id, error);
	return status == TG_OK ? tgi_client_check_name("topic", topic, error) : status;
}

/* ---- the list ---- */

typedef struct listing {
	const char *topic; /* NULL = all */
	tg_consumer_offset_visit visit;
	void *context;
} listing;

static bool visit_entry(void *context, const json_t *entry)
{
	const listing *l = context;
	const tg_consumer_offset offset = {
		.consumer_id = json_string_value(json_object_get(entry, "group_id")),
		.topic = json_string_value(json_object_get(entry, "topic")),
		.partition = (int32_t)tgi_topic_integer(entry, "partition", -1),
		.offset = tgi_topic_integer(entry, "offset", 0) - 1,
		.modified_ms = tgi_topic_integer(entry, "committed_at", 0),
	};
	bool is_whole = offset.consumer_id != NULL && offset.topic != NULL && offset.partition >= 0;
	bool is_wanted = is_whole && (l->topic == NULL || strcmp(l->topic, offset.topic) == 0);
	return !is_wanted || l->visit(l->context, &offset);
}

tg_status tg_consumer_offsets(tg_client *client, const char *consumer_id, const char *topic,
							  tg_consumer_offset_visit visit, void *context, tg_error *error)
{
	listing l = {.topic = topic, .visit = visit, .context = context};
	buffer path = {0};
	tg_status status = consumer_id != NULL ? tgi_client_check_name("consumer id", consumer_id, error) : TG_OK;
	if (status != TG_OK) {
		return status;
	}
	tgi_buffer_text(&path, consumer_id != NULL ? "/positions?group_id=" : "/positions?");
	tgi_buffer_url_segment(&path, consumer_id != NULL ? consumer_id : "");
	tgi_buffer_append(&path, "", 1);
	status = path.failed ? tgi_error_no_memory(error)
						 : tgi_pages_visit(client, path.ptr, "positions", visit_entry, &l, error);
	tgi_buffer_dispose(&path);
	return status;
}

/* ---- one of them ---- */

typedef struct search {
	int32_t partition;
	bool is_found;
	int64_t offset;
} search;

static bool visit_searched(void *context, const tg_consumer_offset *offset)
{
	search *s = context;
	if (offset->partition != s->partition) {
		return true;
	}
	s->is_found = true;
	s->offset = offset->offset;
	return false;
}

tg_status tg_consumer_offset_get(tg_client *client, const char *consumer_id, const char *topic, int32_t partition,
								 int64_t *offset, tg_error *error)
{
	search s = {.partition = partition};
	tg_status status = check_names(consumer_id, topic, error);
	if (status == TG_OK) {
		status = tg_consumer_offsets(client, consumer_id, topic, visit_searched, &s, error);
	}
	if (status == TG_OK && !s.is_found) {
		status = tgi_error_set(error, TG_ERR_GROUP_NOT_FOUND,
							   "the consumer has no position in partition %d of the topic", partition);
	}
	if (status == TG_OK) {
		*offset = s.offset;
	}
	return status;
}

tg_status tg_consumer_offset_set(tg_client *client, const char *consumer_id, const char *topic, int32_t partition,
								 int64_t offset, bool force, int64_t *stands, tg_error *error)
{
	buffer body = {0};
	json_t *reply = NULL;
	char *path = NULL;
	tg_status status = check_names(consumer_id, topic, error);
	if (status == TG_OK && (partition < 0 || offset < -1 || offset == INT64_MAX)) {
		status = tgi_error_set(error, TG_ERR_INVALID_ARGUMENT, "a partition begins at 0, a position at -1");
	}
	if (status != TG_OK) {
		return status;
	}
	tgi_buffer_text(&body, force ? "{\"force\":true,\"group_id\":" : "{\"group_id\":");
	tgi_buffer_json_string(&body, consumer_id, strlen(consumer_id));
	tgi_buffer_text(&body, ",\"offsets\":[{\"partition\":");
	tgi_buffer_integer(&body, partition);
	tgi_buffer_text(&body, ",\"offset\":");
	tgi_buffer_integer(&body, offset + 1);
	tgi_buffer_text(&body, "}]}");
	path = tgi_topic_path(topic, "/commit");
	status = tgi_call_post(client, path, &body, &reply, error);
	if (status == TG_OK && stands != NULL) {
		const json_t *first = json_array_get(json_object_get(reply, "committed"), 0);
		*stands = tgi_topic_integer(first, "offset", offset + 1) - 1;
	}
	json_decref(reply);
	free(path);
	tgi_buffer_dispose(&body);
	return status;
}

tg_status tg_consumer_offset_delete(tg_client *client, const char *consumer_id, const char *topic, int32_t partition,
									tg_error *error)
{
	buffer suffix = {0};
	tg_status status = check_names(consumer_id, topic, error);
	if (status != TG_OK) {
		return status;
	}
	tgi_buffer_text(&suffix, "/groups/");
	tgi_buffer_url_segment(&suffix, consumer_id);
	if (partition >= 0) {
		tgi_buffer_text(&suffix, "/partitions/");
		tgi_buffer_integer(&suffix, partition);
	}
	tgi_buffer_append(&suffix, "", 1);
	status = suffix.failed ? tgi_error_no_memory(error) : tgi_topic_delete(client, topic, suffix.ptr, error);
	tgi_buffer_dispose(&suffix);
	return status;
}
