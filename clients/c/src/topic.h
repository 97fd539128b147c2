/*
 * topic: a topic's address and description at the server. Threads: any.
 */
#ifndef TG_TOPIC_H
#define TG_TOPIC_H

#include "buffer.h"
#include "client.h"

#include <jansson.h>

/* /topics/{topic}{suffix} with its final 0; NULL: no memory. The caller frees it. */
char *tgi_topic_path(const char *topic, const char *suffix);
/* GET of it, JSON of the server; TG_ERR_TOPIC_NOT_FOUND. */
tg_status tgi_topic_get(tg_client *client, const char *topic, const char *suffix, json_t **out, tg_error *error);
/* DELETE of it, for a name that was checked. */
tg_status tgi_topic_delete(tg_client *client, const char *topic, const char *suffix, tg_error *error);
/* The description of GET /topics/{topic}, with partition_info checked to be complete. */
tg_status tgi_topic_fetch(tg_client *client, const char *topic, json_t **out, tg_error *error);
/* Of such a description: 1 to 2^16, or 0 when there is none. */
uint32_t tgi_topic_partition_count(const json_t *description);
int64_t tgi_topic_integer(const json_t *object, const char *member, int64_t otherwise);

#endif
