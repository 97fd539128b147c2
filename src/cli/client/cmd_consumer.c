/* tidegate consumer: where named consumers are. */
#include <stdio.h>
#include <string.h>

#include "cli/client/admin.h"
#include "cli/client/amount.h"
#include "cli/client/output.h"

static const output_column COLUMNS[] = {
	{"CONSUMER", "consumer", OUTPUT_PLAIN},   {"TOPIC", "topic", OUTPUT_PLAIN},
	{"PARTITION", "partition", OUTPUT_PLAIN}, {"OFFSET", "offset", OUTPUT_PLAIN},
	{"LAST SEEN", "last_seen", OUTPUT_TIME},  {NULL, NULL, OUTPUT_PLAIN},
};

/* Which positions are meant; NULL or -1 = all. */
typedef struct selection {
	const char *consumer;
	const char *topic;
	int64_t partition;
} selection;

static bool is_selected(const selection *which, const json_t *position)
{
	const char *consumer = json_string_value(json_object_get(position, "group_id"));
	const char *topic = json_string_value(json_object_get(position, "topic"));
	const json_t *partition = json_object_get(position, "partition");
	return consumer != NULL && topic != NULL && json_is_integer(partition) &&
		   (which->consumer == NULL || strcmp(which->consumer, consumer) == 0) &&
		   (which->topic == NULL || strcmp(which->topic, topic) == 0) &&
		   (which->partition < 0 || which->partition == json_integer_value(partition));
}

/* A row for each position that is meant. The server keeps the next offset; Fluvio's is that of the last record seen. */
static json_t *find_positions(const session *s, const selection *which)
{
	json_t *rows = json_array();
	json_t *positions = admin_list(s, "positions");
	bool ok = rows != NULL && positions != NULL;
	size_t i;
	json_t *position;
	json_array_foreach(positions, i, position)
	{
		if (ok && is_selected(which, position)) {
			json_int_t last = json_integer_value(json_object_get(position, "offset")) - 1;
			json_t *row =
				json_pack("{s:O, s:O, s:O, s:I, s:O}", "consumer", json_object_get(position, "group_id"), "topic",
						  json_object_get(position, "topic"), "partition", json_object_get(position, "partition"),
						  "offset", last, "last_seen", json_object_get(position, "committed_at"));
			ok = row != NULL && json_array_append_new(rows, row) == 0;
		}
	}
	if (positions != NULL && !ok) {
		cli_fail(s->call, CLI_FAILED, "the server's list of positions cannot be read");
	}
	json_decref(positions);
	if (!ok) {
		json_decref(rows);
		return NULL;
	}
	return rows;
}

static int run_list(cli_call *call)
{
	session s = {.call = call};
	selection which = {.partition = -1};
	const char *form_name = NULL;
	output_form form = OUTPUT_TABLE;
	int status = CLI_FAILED;
	err e;
	json_t *rows = NULL;
	const cli_option options[] = {SESSION_OPTIONS(s),
								  {.name = "output", .letter = 'O', .value = &form_name},
								  {.name = "topic", .letter = 't', .value = &which.topic}};
	if (!cli_parse(call, options, sizeof options / sizeof options[0], NULL, NULL, &e) ||
		!output_parse(form_name, &form, &e)) {
		return cli_fail(call, CLI_USAGE, e.message);
	}
	if (session_open(&s) && (rows = find_positions(&s, &which)) != NULL) {
		status = output_print_list(call, form, "consumers", COLUMNS, rows);
	}
	json_decref(rows);
	session_close(&s);
	return status;
}

/* ---- delete ---- */

static int delete_all(const session *s, const selection *which, const json_t *rows)
{
	size_t i;
	json_t *row;
	json_array_foreach(rows, i, row)
	{
		char partition[24];
		const char *topic = json_string_value(json_object_get(row, "topic"));
		const char *const segments[] = {"topics", topic, "groups", which->consumer, "partitions", partition, NULL};
		snprintf(partition, sizeof partition, "%lld", (long long)json_integer_value(json_object_get(row, "partition")));
		if (!admin_delete(s, segments, NULL)) {
			return CLI_FAILED;
		}
	}
	if (i == 0) {
		return cli_fail(s->call, CLI_FAILED,
						"nothing is stored for this consumer; `tidegate consumer list` shows what is");
	}
	printf("consumer \"%s\" deleted\n", which->consumer);
	return CLI_OK;
}

static int run_delete(cli_call *call)
{
	session s = {.call = call};
	selection which = {.partition = -1};
	const char *partition = NULL;
	int count = 0;
	int status = CLI_FAILED;
	err e;
	json_t *rows = NULL;
	const cli_option options[] = {SESSION_OPTIONS(s),
								  {.name = "topic", .letter = 't', .value = &which.topic},
								  {.name = "partition", .letter = 'p', .value = &partition}};
	if (!cli_parse(call, options, sizeof options / sizeof options[0], NULL, &count, &e) ||
		!amount_integer("partition", partition, 0, INT32_MAX, &which.partition, &e)) {
		return cli_fail(call, CLI_USAGE, e.message);
	}
	if (count != 1) {
		return cli_fail(call, CLI_USAGE, "`delete` takes the name of one consumer");
	}
	if (partition != NULL && which.topic == NULL) {
		return cli_fail(call, CLI_USAGE, "--partition needs --topic");
	}
	which.consumer = call->argv[1];
	if (session_open(&s) && (rows = find_positions(&s, &which)) != NULL) {
		status = delete_all(&s, &which, rows);
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
		"       tidegate consumer delete ID [-t TOPIC [-p N]]\n\n"
		"A consumer is a name under which `tidegate consume --consumer ID`, or a client, keeps how far it has read.\n"
		"OFFSET is that of the last record seen. (Positions of groups are listed, too: see `tidegate group "
		"--help`.)\n\n"
		"  -t, --topic TOPIC       only that one\n"
		"  -O, --output FORM       table, json, yaml or toml\n" SESSION_HELP,
};
