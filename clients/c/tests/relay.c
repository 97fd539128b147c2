/*
 * Carries records between this library and a text form, so that tests of the other clients can read what C wrote and the
 * other way round; by all the names of the public header only.
 *
 *   tg_relay produce URL TOPIC COMPRESSION   reads lines "KEY <tab> VALUE" in hexadecimal, "-" for no key; the partition
 *                                            goes by the key
 *   tg_relay consume URL TOPIC               prints "PARTITION <tab> OFFSET <tab> KEY <tab> VALUE", all there is
 *
 * An API key comes from TIDEGATE_API_KEY. Exit code 0, or 1 with the reason on standard error.
 */
#include "tidegate.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool fail(const tg_error *error)
{
	fprintf(stderr, "%s: %s\n", tg_status_str(error->kind), error->message);
	return false;
}

static bool complain(const char *message)
{
	fprintf(stderr, "%s\n", message);
	return false;
}

/* ---- hexadecimal ---- */

static int digit_of(char c)
{
	static const char digits[] = "0123456789abcdef";
	const char *at = c != '\0' ? strchr(digits, c) : NULL;
	return at != NULL ? (int)(at - digits) : -1;
}

/* Decodes in place; false: no hexadecimal. */
static bool decode(char *text, size_t *len)
{
	size_t digits = strlen(text);
	for (size_t i = 0; i + 1 < digits; i += 2) {
		int high = digit_of(text[i]);
		int low = digit_of(text[i + 1]);
		if (high < 0 || low < 0) {
			return false;
		}
		text[i / 2] = (char)(high << 4 | low);
	}
	*len = digits / 2;
	return digits % 2 == 0;
}

static void print_hex(const void *bytes, size_t len)
{
	const unsigned char *at = bytes;
	for (size_t i = 0; i < len; i++) {
		printf("%02x", at[i]);
	}
}

/* ---- producing ---- */

static bool send_line(tg_producer *producer, char *line)
{
	tg_error error;
	char *value = strchr(line, '\t');
	size_t key_len = 0;
	size_t value_len = 0;
	if (value == NULL) {
		return complain("a line without a tab");
	}
	*value++ = '\0';
	bool has_key = strcmp(line, "-") != 0;
	if ((has_key && !decode(line, &key_len)) || !decode(value, &value_len)) {
		return complain("a key or a value is not in hexadecimal");
	}
	return tg_send(producer, has_key ? line : NULL, key_len, value, value_len, NULL, &error) == TG_OK || fail(&error);
}

static bool send_lines(tg_producer *producer)
{
	char *line = NULL;
	size_t capacity = 0;
	bool is_done = true;
	for (ssize_t len; is_done && (len = getline(&line, &capacity, stdin)) >= 0;) {
		line[len > 0 && line[len - 1] == '\n' ? len - 1 : len] = '\0';
		is_done = send_line(producer, line);
	}
	free(line);
	return is_done;
}

static bool compression_of(const char *name, tg_compression *out)
{
	static const char *const names[] = {"none", "gzip", "snappy", "lz4", "zstd"};
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		if (strcmp(names[i], name) == 0) {
			*out = (tg_compression)i;
			return true;
		}
	}
	return complain("the compression is none, gzip, snappy, lz4 or zstd");
}

static bool produce(tg_client *client, const char *topic, const char *compression)
{
	tg_producer_config *config = tg_producer_config_new();
	tg_producer *producer;
	tg_error error;
	tg_compression codec = TG_COMPRESSION_NONE;
	if (config == NULL || !compression_of(compression, &codec)) {
		tg_producer_config_free(config);
		return false;
	}
	tg_producer_config_set_compression(config, codec);
	tg_status status = tg_producer_open(client, topic, config, &producer, &error);
	tg_producer_config_free(config);
	if (status != TG_OK) {
		return fail(&error);
	}
	bool is_done = send_lines(producer);
	return (tg_producer_close(producer, 60000, &error) == TG_OK || fail(&error)) && is_done;
}

/* ---- consuming ---- */

static void print_record(const tg_record *record)
{
	size_t key_len;
	size_t value_len;
	const void *key = tg_record_key(record, &key_len);
	const void *value = tg_record_value(record, &value_len);
	printf("%d\t%lld\t", tg_record_partition(record), (long long)tg_record_offset(record));
	if (key != NULL) {
		print_hex(key, key_len);
	} else {
		putchar('-');
	}
	putchar('\t');
	print_hex(value, value_len);
	putchar('\n');
}

static bool consume(tg_client *client, const char *topic)
{
	tg_consumer_config *config = tg_consumer_config_new(topic);
	tg_stream *stream;
	tg_error error;
	if (config == NULL) {
		return complain("there is no memory left");
	}
	tg_consumer_config_set_disable_continuous(config, true);
	tg_status status = tg_stream_open(client, config, &stream, &error);
	tg_consumer_config_free(config);
	if (status != TG_OK) {
		return fail(&error);
	}
	const tg_record *record;
	while ((status = tg_stream_next(stream, -1, &record, &error)) == TG_OK) {
		print_record(record);
	}
	tg_stream_close(stream, NULL);
	return status == TG_END || fail(&error);
}

int main(int argc, char **argv)
{
	tg_config *config;
	tg_client *client;
	tg_error error;
	bool is_producing = argc == 5 && strcmp(argv[1], "produce") == 0;
	if (!is_producing && !(argc == 4 && strcmp(argv[1], "consume") == 0)) {
		complain("tg_relay produce URL TOPIC COMPRESSION | consume URL TOPIC");
		return 2;
	}
	if (tg_config_load(NULL, &config, &error) != TG_OK) {
		fail(&error);
		return 1;
	}
	bool is_url =
		tg_config_set_endpoint(config, argv[2]) == TG_OK || complain("the URL begins with http:// or https://");
	bool is_connected = is_url && (tg_connect(config, &client, &error) == TG_OK || fail(&error));
	tg_config_free(config);
	if (!is_connected) {
		return 1;
	}
	bool is_done = is_producing ? produce(client, argv[3], argv[4]) : consume(client, argv[3]);
	tg_client_close(client);
	return is_done ? 0 : 1;
}
