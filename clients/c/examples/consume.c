/* Prints the records of a topic from its beginning: consume TOPIC [CONSUMER_ID]. With an id it goes on where that id was,
 * and its position is saved after each record was printed: at least once. Ends after 2 s without a record. */
#include <tidegate.h>

#include <stdio.h>

int main(int argc, char **argv)
{
	tg_config *config = NULL;
	tg_client *client = NULL;
	tg_consumer_config *consumer = NULL;
	tg_stream *stream = NULL;
	const tg_record *record;
	tg_error error = {TG_ERR_NO_MEMORY, 0, 0, false, "no memory"};
	tg_status status = TG_ERR_NO_MEMORY;

	if (argc < 2) {
		fprintf(stderr, "usage: consume TOPIC [CONSUMER_ID]\n");
		return 2;
	}
	if ((status = tg_config_load(NULL, &config, &error)) != TG_OK ||
		(status = tg_connect(config, &client, &error)) != TG_OK) {
		goto out;
	}
	consumer = tg_consumer_config_new(argv[1]);
	if (consumer == NULL) {
		status = TG_ERR_NO_MEMORY;
		goto out;
	}
	if (argc > 2) {
		tg_consumer_config_set_id(consumer, argv[2]);
		tg_consumer_config_set_strategy(consumer, TG_OFFSETS_MANUAL);
	}
	status = tg_stream_open(client, consumer, &stream, &error);
	while (status == TG_OK && (status = tg_stream_next(stream, 2000, &record, &error)) == TG_OK) {
		size_t len;
		const char *value = tg_record_value(record, &len);
		printf("%d:%lld %.*s\n", tg_record_partition(record), (long long)tg_record_offset(record), (int)len, value);
		if (argc > 2) {
			status = tg_offset_commit(stream, &error);
		}
	}
	if (argc > 2 && status == TG_TIMEOUT && tg_offset_flush(stream, &error) != TG_OK) {
		status = error.kind;
	}
out:
	if (status < 0) {
		fprintf(stderr, "%s: %s\n", tg_status_str(error.kind), error.message);
	}
	tg_stream_close(stream, NULL);
	tg_consumer_config_free(consumer);
	tg_client_close(client);
	tg_config_free(config);
	return status < 0 ? 1 : 0;
}
