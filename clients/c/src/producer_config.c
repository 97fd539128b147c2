#include "producer_impl.h"

#include <stdlib.h>

#define DELAY_MAX_MS (INT64_C(1) << 40)

tg_producer_config *tg_producer_config_new(void)
{
	tg_producer_config *config = malloc(sizeof *config);
	if (config != NULL) {
		*config = (tg_producer_config){
			.batch_size = 16384,
			.max_request_size = 1048576,
			.batch_queue_size = 100,
			.queue_timeout_ms = 30000,
			.linger_ms = 100,
			.compression = TG_COMPRESSION_NONE,
			.timeout_ms = 1500,
			.delivery = TG_AT_LEAST_ONCE,
			.idempotence = true,
			.retry = {sizeof(tg_retry_policy), TG_RETRY_EXPONENTIAL, 4, 20, 200000, 300000},
			.partition = -1,
		};
	}
	return config;
}

void tg_producer_config_free(tg_producer_config *config)
{
	free(config);
}

void tg_producer_config_set_batch_size(tg_producer_config *config, size_t bytes)
{
	config->batch_size = bytes;
}

void tg_producer_config_set_max_request_size(tg_producer_config *config, size_t bytes)
{
	config->max_request_size = bytes;
}

void tg_producer_config_set_batch_queue_size(tg_producer_config *config, size_t batches)
{
	config->batch_queue_size = batches;
}

void tg_producer_config_set_queue_timeout_ms(tg_producer_config *config, int64_t timeout_ms)
{
	config->queue_timeout_ms = timeout_ms;
}

void tg_producer_config_set_linger_ms(tg_producer_config *config, int64_t linger_ms)
{
	config->linger_ms = linger_ms;
}

void tg_producer_config_set_compression(tg_producer_config *config, tg_compression compression)
{
	config->compression = compression;
}

void tg_producer_config_set_timeout_ms(tg_producer_config *config, int64_t timeout_ms)
{
	config->timeout_ms = timeout_ms;
}

/* Nothing to remember: the server answers when the batch is committed, which is what both names ask at most. */
void tg_producer_config_set_isolation(tg_producer_config *config, tg_isolation isolation)
{
	(void)config;
	(void)isolation;
}

void tg_producer_config_set_delivery(tg_producer_config *config, tg_delivery delivery)
{
	config->delivery = delivery;
}

void tg_producer_config_set_idempotence(tg_producer_config *config, bool idempotence)
{
	config->idempotence = idempotence;
}

static int64_t within(int64_t ms)
{
	return ms < 0 ? 0 : ms > DELAY_MAX_MS ? DELAY_MAX_MS : ms;
}

void tg_producer_config_set_retry(tg_producer_config *config, const tg_retry_policy *policy)
{
	config->retry = *policy;
	config->retry.initial_delay_ms = within(policy->initial_delay_ms);
	config->retry.max_delay_ms = within(policy->max_delay_ms);
	config->retry.total_timeout_ms = within(policy->total_timeout_ms);
}

void tg_producer_config_set_partitioner(tg_producer_config *config, tg_partitioner partitioner, void *context)
{
	config->partitioner = partitioner;
	config->partitioner_context = context;
}

void tg_producer_config_set_partition(tg_producer_config *config, int32_t partition)
{
	config->partition = partition;
}

void tg_producer_config_set_hash_empty_key(tg_producer_config *config, bool hash)
{
	config->hash_empty_key = hash;
}

void tg_producer_config_set_callback(tg_producer_config *config, tg_batch_callback callback, void *context)
{
	config->callback = callback;
	config->callback_context = context;
}
