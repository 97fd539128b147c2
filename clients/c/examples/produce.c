/* Sends each line of standard input: produce TOPIC [KEY]. The server: TIDEGATE_URL, TIDEGATE_API_KEY. */
#include <tidegate.h>

#include <stdio.h>
#include <string.h>

int main(int argc, char **argv)
{
	tg_config *config = NULL;
	tg_client *client = NULL;
	tg_producer *producer = NULL;
	tg_error error;
	char line[65536];
	int is_done = 0;

	if (argc < 2) {
		fprintf(stderr, "usage: produce TOPIC [KEY]\n");
		return 2;
	}
	const char *key = argc > 2 ? argv[2] : NULL;
	if (tg_config_load(NULL, &config, &error) != TG_OK || tg_connect(config, &client, &error) != TG_OK ||
		tg_producer_open(client, argv[1], NULL, &producer, &error) != TG_OK) {
		goto out;
	}
	while (fgets(line, sizeof line, stdin) != NULL) {
		size_t len = strcspn(line, "\n");
		if (tg_send(producer, key, key != NULL ? strlen(key) : 0, line, len, NULL, &error) != TG_OK) {
			goto out;
		}
	}
	/* Nothing is sure before the flush. */
	is_done = tg_flush(producer, 30000, &error) == TG_OK;
out:
	if (!is_done) {
		fprintf(stderr, "%s: %s\n", tg_status_str(error.kind), error.message);
	}
	tg_producer_close(producer, 0, NULL);
	tg_client_close(client);
	tg_config_free(config);
	return is_done ? 0 : 1;
}
