#include "stream_impl.h"

#include <stdlib.h>
#include <string.h>

enum { PARTITIONS_MAX = 65536 };

tg_consumer_config *tg_consumer_config_new(const char *topic)
{
	tg_consumer_config *config = malloc(sizeof *config);
	if (config == NULL) {
		return NULL;
	}
	*config = (tg_consumer_config){
		.topic = strdup(topic != NULL ? topic : ""),
		.start = {OFFSET_BEGINNING, 0},
		.last_offset = -1,
		.flush_ms = 10000,
		.max_bytes = 1 << 20,
		.retry_mode = TG_TRY_UNTIL,
		.retry_tries = 100,
	};
	if (config->topic == NULL) {
		free(config);
		return NULL;
	}
	return config;
}

tg_status tg_consumer_config_add_partition(tg_consumer_config *config, int32_t partition)
{
	if (partition < 0 || config->partition_count == PARTITIONS_MAX) {
		return TG_ERR_INVALID_ARGUMENT;
	}
	for (size_t i = 0; i < config->partition_count; i++) {
		if (config->partitions[i] == partition) {
			return TG_OK;
		}
	}
	int32_t *grown = realloc(config->partitions, (config->partition_count + 1) * sizeof *grown);
	if (grown == NULL) {
		return TG_ERR_NO_MEMORY;
	}
	grown[config->partition_count++] = partition;
	config->partitions = grown;
	return TG_OK;
}

void tg_consumer_config_set_start(tg_consumer_config *config, tg_offset start)
{
	config->start = start;
}

void tg_consumer_config_set_end(tg_consumer_config *config, int64_t last_offset)
{
	config->last_offset = last_offset;
}

tg_status tg_consumer_config_set_id(tg_consumer_config *config, const char *consumer_id)
{
	char *copy = consumer_id != NULL ? strdup(consumer_id) : NULL;
	if (consumer_id != NULL && copy == NULL) {
		return TG_ERR_NO_MEMORY;
	}
	free(config->id);
	config->id = copy;
	return TG_OK;
}

void tg_consumer_config_set_strategy(tg_consumer_config *config, tg_strategy strategy)
{
	config->strategy = strategy;
}

void tg_consumer_config_set_flush_ms(tg_consumer_config *config, int64_t flush_ms)
{
	config->flush_ms = flush_ms;
}

void tg_consumer_config_set_disable_continuous(tg_consumer_config *config, bool disable)
{
	config->disable_continuous = disable;
}

void tg_consumer_config_set_max_bytes(tg_consumer_config *config, size_t bytes)
{
	config->max_bytes = bytes;
}

/* As with producers: the server shows committed records only, whichever is asked for. */
void tg_consumer_config_set_isolation(tg_consumer_config *config, tg_isolation isolation)
{
	(void)config;
	(void)isolation;
}

void tg_consumer_config_set_retry(tg_consumer_config *config, tg_retry_mode mode, uint32_t tries)
{
	config->retry_mode = mode;
	config->retry_tries = tries;
}

void tg_consumer_config_set_on_gap(tg_consumer_config *config, tg_gap_callback callback, void *context)
{
	config->on_gap = callback;
	config->gap_context = context;
}

tg_status tgi_consumer_config_copy(tg_consumer_config *to, const tg_consumer_config *from)
{
	*to = *from;
	to->topic = strdup(from->topic);
	to->id = from->id != NULL ? strdup(from->id) : NULL;
	to->partitions = NULL;
	to->partition_count = 0;
	bool is_done = to->topic != NULL && (from->id == NULL || to->id != NULL);
	for (size_t i = 0; i < from->partition_count && is_done; i++) {
		is_done = tg_consumer_config_add_partition(to, from->partitions[i]) == TG_OK;
	}
	return is_done ? TG_OK : TG_ERR_NO_MEMORY;
}

void tgi_consumer_config_dispose(tg_consumer_config *config)
{
	free(config->topic);
	free(config->id);
	free(config->partitions);
}

void tg_consumer_config_free(tg_consumer_config *config)
{
	if (config != NULL) {
		tgi_consumer_config_dispose(config);
		free(config);
	}
}

/* ---- offsets ---- */

tg_offset tg_offset_absolute(int64_t offset)
{
	return (tg_offset){OFFSET_ABSOLUTE, offset};
}

tg_offset tg_offset_beginning(void)
{
	return (tg_offset){OFFSET_BEGINNING, 0};
}

tg_offset tg_offset_from_beginning(uint32_t count)
{
	return (tg_offset){OFFSET_BEGINNING, count};
}

tg_offset tg_offset_end(void)
{
	return (tg_offset){OFFSET_END, 0};
}

tg_offset tg_offset_from_end(uint32_t count)
{
	return (tg_offset){OFFSET_END, count};
}

tg_offset tg_offset_timestamp(int64_t timestamp_ms)
{
	return (tg_offset){OFFSET_TIMESTAMP, timestamp_ms};
}
