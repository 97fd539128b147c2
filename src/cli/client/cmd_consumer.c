/* tidegate consumer: where named consumers are. */
#include <stdio.h>
#include <string.h>

#include "cli/client/admin.h"
#include "cli/client/output.h"

static const output_column COLUMNS[] = {
	{"CONSUMER", "consumer", OUTPUT_PLAIN},   {"TOPIC", "topic", OUTPUT_PLAIN},
	{"PARTITION", "partition", OUTPUT_PLAIN}, {"OFFSET", "offset", OUTPUT_PLAIN},
	{"LAST SEEN", "last_seen", OUTPUT_TIME},  {NULL, NULL, OUTPUT_PLAIN},
};

/* Adds a row for each partition of which the group has a position: of the last record seen, as Fluvio counts. */
static bool add_rows(json_t *rows, const char *topic, const json_t *group)
{
	size_t i;
	json_t *partition;
	json_array_foreach(json_object_get(group, "partitions"), i, partition)
	{
		const json_t *next = json_object_get(partition, "committed_offset");
		if (!json_is_integer(next)) {
			continue;
		}
		json_t *row = json_pack("{s:O, s:s, s:O, s:I, s:O?}", "consumer", json_object_get(group, "group_id"), "topic",
								topic, "partition", json_object_get(partition, "partition"), "offset",
								json_integer_value(next) - 1, "last_seen", json_object_get(partition, "committed_at"));
		if (row == NULL || json_array_append_new(rows, row) != 0) {
			return false;
		}
	}
	return true;
}

/* Adds the rows of a topic; false: printed. */
static bool add_topic(const session *s, json_t *rows, const char *topic)
{
	const char *const segments[] = {"topics", topic, "groups", NULL};
	size_t i;
	json_t *group;
	json_t *found = admin_get(s, segments);
	bool ok = true;
	json_array_foreach(json_object_get(found, "groups"), i, group)
	{
		ok = ok && add_rows(rows, topic, group);
	}
	if (!ok) {
		cli_fail(s->call, CLI_FAILED, "the server's description of a consumer cannot be read");
	}
	json_decref(found);
	return ok && found != NULL;
}

/* The positions in one topic, or with NULL in all. */
static json_t *find_positions(const session *s, const char *topic)
{
	json_t *rows = json_array();
	json_t *topics = topic != NULL ? json_pack("[{s:s}]", "name", topic) : admin_topics(s);
	bool ok = rows != NULL && topics != NULL;
	size_t i;
	json_t *entry;
	json_array_foreach(topics, i, entry)
	{
		ok = ok && add_topic(s, rows, json_string_value(json_object_get(entry, "name")));
	}
	json_decref(topics);
	if (!ok) {
		json_decref(rows);
		return NULL;
	}
	return rows;
}

static int run_list(cli_call *call)
{
	session s = {.call = call};
	const char *form_name = NULL;
	const char *topic = NULL;
	output_form form = OUTPUT_TABLE;
	int status = CLI_FAILED;
	err e;
	buf out;
	json_t *rows = NULL;
	const cli_option options[] = {SESSION_OPTIONS(s),
								  {.name = "output", .letter = 'O', .value = &form_name},
								  {.name = "topic", .letter = 't', .value = &topic}};
	if (!cli_parse(call, options, sizeof options / sizeof options[0], NULL, NULL, &e) ||
		!output_parse(form_name, &form, &e)) {
		return cli_fail(call, CLI_USAGE, e.message);
	}
	buf_init(&out, OUTPUT_BYTES_MAX);
	if (session_open(&s) && (rows = find_positions(&s, topic)) != NULL) {
		output_list(&out, form, "consumers", COLUMNS, rows);
		status = cli_print(call, &out) ? CLI_OK : CLI_FAILED;
	}
	json_decref(rows);
	buf_dispose(&out);
	session_close(&s);
	return status;
}

/* ---- delete ---- */

/* Forgets the consumer in each topic of the rows, once. */
static int delete_all(const session *s, const char *consumer, const json_t *rows)
{
	const char *last = "";
	size_t i;
	json_t *row;
	json_array_foreach(rows, i, row)
	{
		const char *topic = json_string_value(json_object_get(row, "topic"));
		const char *const segments[] = {"topics", topic, "groups", consumer, NULL};
		if (strcmp(json_string_value(json_object_get(row, "consumer")), consumer) != 0 || strcmp(topic, last) == 0) {
			continue;
		}
		if (!admin_delete(s, segments, NULL)) {
			return CLI_FAILED;
		}
		last = topic;
	}
	if (last[0] == '\0') {
		return cli_fail(s->call, CLI_FAILED, "there is no consumer of this name; `tidegate consumer list` shows them");
	}
	printf("consumer \"%s\" deleted\n", consumer);
	return CLI_OK;
}

static int run_delete(cli_call *call)
{
	session s = {.call = call};
	const char *topic = NULL;
	int count = 0;
	int status = CLI_FAILED;
	err e;
	json_t *rows = NULL;
	const cli_option options[] = {SESSION_OPTIONS(s), {.name = "topic", .letter = 't', .value = &topic}};
	if (!cli_parse(call, options, sizeof options / sizeof options[0], NULL, &count, &e)) {
		return cli_fail(call, CLI_USAGE, e.message);
	}
	if (count != 1) {
		return cli_fail(call, CLI_USAGE, "`delete` takes the name of one consumer");
	}
	if (session_open(&s) && (rows = find_positions(&s, topic)) != NULL) {
		status = delete_all(&s, call->argv[1], rows);
	}
	json_decref(rows);
	session_close(&s);
	return status;
}

static const cli_verb VERBS[] = {{"list", run_list}, {"delete", run_delete}, {NULL, NULL}};

const cli_command CLI_CONSUMER = {
	.name = "consumer",
	.summary = "list and delete the positions of named consumers",
	.verbs = VERBS,
	.help =
		"Usage: tidegate consumer list [-t TOPIC] [-O FORM]\n"
		"       tidegate consumer delete ID [-t TOPIC]\n\n"
		"A consumer is a name under which `tidegate consume --consumer ID`, or a client, keeps how far it has read.\n"
		"OFFSET is that of the last record seen. (Positions of groups are listed, too: see `tidegate group "
		"--help`.)\n\n"
		"  -t, --topic TOPIC       only that one\n"
		"  -O, --output FORM       table, json, yaml or toml\n" SESSION_HELP,
};
