/* tidegate partition: what each partition holds. */
#include "cli/client/admin.h"
#include "cli/client/output.h"

static const output_column COLUMNS[] = {
	{"TOPIC", "topic", OUTPUT_PLAIN},   {"PARTITION", "partition", OUTPUT_PLAIN},
	{"LEADER", "leader", OUTPUT_PLAIN}, {"RECORDS", "records", OUTPUT_PLAIN},
	{"SIZE", "size", OUTPUT_BYTES},     {"BASE", "base", OUTPUT_PLAIN},
	{"HW", "hw", OUTPUT_PLAIN},         {"LEO", "leo", OUTPUT_PLAIN},
	{NULL, NULL, OUTPUT_PLAIN},
};

/* One row for each partition. A record is seen once it is committed, so the high watermark is the log's end. */
static json_t *make_rows(const json_t *topics)
{
	json_t *rows = json_array();
	size_t t;
	size_t p;
	json_t *topic;
	json_t *info;
	json_array_foreach(topics, t, topic)
	{
		json_array_foreach(json_object_get(topic, "partition_info"), p, info)
		{
			json_t *row = json_pack("{s:O, s:O, s:s, s:O, s:O, s:O, s:O, s:O}", "topic", json_object_get(topic, "name"),
									"partition", json_object_get(info, "partition"), "leader", "any", "records",
									json_object_get(info, "records"), "size", json_object_get(info, "bytes"), "base",
									json_object_get(info, "start_offset"), "hw", json_object_get(info, "end_offset"),
									"leo", json_object_get(info, "end_offset"));
			if (row == NULL || json_array_append_new(rows, row) != 0) {
				json_decref(rows);
				return NULL;
			}
		}
	}
	return rows;
}

static int list(const cli_call *call, const session *s, output_form form, const char *topic)
{
	int status = CLI_FAILED;
	json_t *topics = admin_describe(s, topic);
	json_t *rows = topics != NULL ? make_rows(topics) : NULL;
	if (rows != NULL) {
		status = output_print_list(call, form, "partitions", COLUMNS, rows);
	} else if (topics != NULL) {
		cli_fail(call, CLI_FAILED, "the server's description of a topic lacks its partitions");
	}
	json_decref(rows);
	json_decref(topics);
	return status;
}

static int run_list(cli_call *call)
{
	session s = {.call = call};
	const char *form_name = NULL;
	output_form form = OUTPUT_TABLE;
	int count = 0;
	err e;
	const cli_option options[] = {SESSION_OPTIONS(s), {.name = "output", .letter = 'O', .value = &form_name}};
	if (!cli_parse(call, options, sizeof options / sizeof options[0], NULL, &count, &e) ||
		!output_parse(form_name, &form, &e)) {
		return cli_fail(call, CLI_USAGE, e.message);
	}
	if (count > 1) {
		return cli_fail(call, CLI_USAGE, "`list` takes the name of one topic, or none for all");
	}
	int status = session_open(&s) ? list(call, &s, form, count == 1 ? call->argv[1] : NULL) : CLI_FAILED;
	session_close(&s);
	return status;
}

static const cli_verb VERBS[] = {{"list", run_list}, {NULL, NULL}};

const cli_command CLI_PARTITION = {
	.name = "partition",
	.summary = "list partitions with their sizes and offsets",
	.verbs = VERBS,
	.help = "Usage: tidegate partition list [TOPIC] [-O FORM]\n\n"
			"The partitions of one topic, or of all.\n\n"
			"BASE  the first offset that is kept\n"
			"HW    the offset behind the last record that readers see\n"
			"LEO   the next offset: the same as HW, for a record is seen as soon as it is stored\n"
			"LEADER is `any`: every gateway serves every partition.\n\n"
			"  -O, --output FORM       table, json, yaml or toml\n" SESSION_HELP,
};
