#include <stdio.h>
#include <tidegate.h>

int main(void)
{
	tg_config *config = NULL;
	tg_client *client = NULL;
	tg_producer *producer = NULL;
	tg_output *output = NULL;
	tg_stream *stream = NULL;
	tg_record_metadata stored;
	const tg_record *record;
	tg_error error;
	tg_topic_spec spec = TG_TOPIC_SPEC_INIT;
	tg_consumer_config *all = tg_consumer_config_new("quickstart");

	if (all == NULL) {
		return 1;
	}
	spec.partitions = 2;
	tg_consumer_config_set_disable_continuous(all, true);
	tg_status status = tg_config_load(NULL, &config, &error);
	if (status == TG_OK && (status = tg_connect(config, &client, &error)) == TG_OK &&
		(status = tg_topic_create(client, "quickstart", &spec, &error)) == TG_OK &&
		(status = tg_producer_open(client, "quickstart", NULL, &producer, &error)) == TG_OK &&
		(status = tg_send(producer, "user-1", 6, "hello", 5, &output, &error)) == TG_OK &&
		(status = tg_flush(producer, 10000, &error)) == TG_OK &&
		(status = tg_output_wait(output, 0, &stored, &error)) == TG_OK) {
		printf("stored at %lld\n", (long long)stored.offset);
		status = tg_stream_open(client, all, &stream, &error);
		while (status == TG_OK && (status = tg_stream_next(stream, 10000, &record, &error)) == TG_OK) {
			printf("%s %s\n", (const char *)tg_record_key(record, NULL), (const char *)tg_record_value(record, NULL));
		}
	}
	if (status < 0) {
		fprintf(stderr, "%s\n", error.message);
	}
	tg_stream_close(stream, NULL);
	tg_consumer_config_free(all);
	tg_output_free(output);
	tg_producer_close(producer, 0, NULL);
	tg_client_close(client);
	tg_config_free(config);
	return status == TG_END ? 0 : 1;
}
