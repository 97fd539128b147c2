/* tidegate group: consumer groups, whose members share the partitions of a topic. */
#include <stdio.h>
#include <string.h>

#include "cli/client/admin.h"
#include "cli/client/output.h"

static const output_column COLUMNS[] = {
	{"GROUP", "group", OUTPUT_PLAIN},
	{"PARTITION", "partition", OUTPUT_PLAIN},
	{"COMMITTED", "committed_offset", OUTPUT_PLAIN},
	{"END", "end_offset", OUTPUT_PLAIN},
	{"LAG", "lag", OUTPUT_PLAIN},
	{"HOLDER", "holder", OUTPUT_PLAIN},
	{"LEASE ENDS", "lease_deadline", OUTPUT_TIME},
	{NULL, NULL, OUTPUT_PLAIN},
};

/* Adds a row for each partition of a group, as the server describes it. */
static bool add_rows(json_t *rows, const json_t *group)
{
	size_t i;
	json_t *partition;
	json_array_foreach(json_object_get(group, "partitions"), i, partition)
	{
		json_t *row = json_pack("{s:O}", "group", json_object_get(group, "group_id"));
		if (row == NULL || json_object_update(row, partition) != 0 || json_array_append_new(rows, row) != 0) {
			return false;
		}
	}
	return true;
}

/* The rows of one group, or with NULL of all groups of the topic. */
static json_t *make_rows(const session *s, const char *topic, const char *group)
{
	const char *const segments[] = {"topics", topic, "groups", group, NULL};
	json_t *found = admin_get(s, segments);
	json_t *rows = found != NULL ? json_array() : NULL;
	size_t i;
	json_t *entry;
	bool ok = rows != NULL && (group == NULL || add_rows(rows, found));
	json_array_foreach(json_object_get(found, "groups"), i, entry)
	{
		ok = ok && add_rows(rows, entry);
	}
	if (found != NULL && !ok) {
		cli_fail(s->call, CLI_FAILED, "the server's description of a group cannot be read");
		json_decref(rows);
		rows = NULL;
	}
	json_decref(found);
	return rows;
}

static int show(cli_call *call, bool takes_group)
{
	session s = {.call = call};
	const char *form_name = NULL;
	output_form form = OUTPUT_TABLE;
	int count = 0;
	int status = CLI_FAILED;
	err e;
	json_t *rows = NULL;
	const cli_option options[] = {SESSION_OPTIONS(s), {.name = "output", .letter = 'O', .value = &form_name}};
	if (!cli_parse(call, options, sizeof options / sizeof options[0], NULL, &count, &e) ||
		!output_parse(form_name, &form, &e)) {
		return cli_fail(call, CLI_USAGE, e.message);
	}
	if (count != (takes_group ? 2 : 1)) {
		return cli_fail(call, CLI_USAGE,
						takes_group ? "`describe` takes a topic and a group" : "`list` takes the name of a topic");
	}
	if (session_open(&s) && (rows = make_rows(&s, call->argv[1], takes_group ? call->argv[2] : NULL)) != NULL) {
		status = output_print_list(call, form, "groups", COLUMNS, rows);
	}
	json_decref(rows);
	session_close(&s);
	return status;
}

static int run_list(cli_call *call)
{
	return show(call, false);
}

static int run_describe(cli_call *call)
{
	return show(call, true);
}

/* ---- changes ---- */

static json_t *make_reset(const char *to, const char *partition, err *e)
{
	int64_t number = 0;
	json_t *body = NULL;
	if (to == NULL) {
		err_set(e, ERR_INVALID_REQUEST,
				"say where to with --to: earliest, latest, an offset, or a time as @1705334401234");
	} else if (strcmp(to, "earliest") == 0 || strcmp(to, "latest") == 0) {
		body = json_pack("{s:s}", "to", to);
	} else if (str_parse_i64(str_from_c(to + (to[0] == '@' ? 1 : 0)), 0, INT64_MAX, &number)) {
		const char *what = to[0] == '@' ? "timestamp" : "offset";
		body = json_pack("{s:s, s:I}", "to", what, what, (json_int_t)number);
	} else {
		err_set(e, ERR_INVALID_REQUEST,
				"--to is earliest, latest, an offset, or a time in ms since 1970 as @1705334401234");
	}
	if (body != NULL && partition != NULL) {
		if (!str_parse_i64(str_from_c(partition), 0, INT32_MAX, &number)) {
			json_decref(body);
			err_set(e, ERR_INVALID_REQUEST, "--partition is the number of a partition");
			return NULL;
		}
		json_object_set_new(body, "partition", json_integer(number));
	}
	return body;
}

static int run_reset(cli_call *call)
{
	session s = {.call = call};
	const char *to = NULL;
	const char *partition = NULL;
	int count = 0;
	int status = CLI_FAILED;
	err e;
	buf path;
	json_t *done = NULL;
	const cli_option options[] = {
		SESSION_OPTIONS(s), {.name = "to", .value = &to}, {.name = "partition", .letter = 'p', .value = &partition}};
	if (!cli_parse(call, options, sizeof options / sizeof options[0], NULL, &count, &e)) {
		return cli_fail(call, CLI_USAGE, e.message);
	}
	if (count != 2) {
		return cli_fail(call, CLI_USAGE, "`reset` takes a topic and a group");
	}
	json_t *body = make_reset(to, partition, &e);
	if (body == NULL) {
		return cli_fail(call, CLI_USAGE, e.message);
	}
	const char *const segments[] = {"topics", call->argv[1], "groups", call->argv[2], "reset", NULL};
	admin_path(&path, segments);
	if (session_open(&s) && (done = admin_call(&s, "POST", &path, body, NULL, NULL)) != NULL) {
		printf("group \"%s\" reset\n", call->argv[2]);
		status = CLI_OK;
	}
	buf_dispose(&path);
	json_decref(done);
	json_decref(body);
	session_close(&s);
	return status;
}

static int run_delete(cli_call *call)
{
	session s = {.call = call};
	int count = 0;
	int status = CLI_FAILED;
	err e;
	const cli_option options[] = {SESSION_OPTIONS(s)};
	if (!cli_parse(call, options, sizeof options / sizeof options[0], NULL, &count, &e)) {
		return cli_fail(call, CLI_USAGE, e.message);
	}
	if (count != 2) {
		return cli_fail(call, CLI_USAGE, "`delete` takes a topic and a group");
	}
	const char *const segments[] = {"topics", call->argv[1], "groups", call->argv[2], NULL};
	if (session_open(&s) && admin_delete(&s, segments, NULL)) {
		printf("group \"%s\" deleted\n", call->argv[2]);
		status = CLI_OK;
	}
	session_close(&s);
	return status;
}

static const cli_verb VERBS[] = {
	{"list", run_list}, {"describe", run_describe}, {"reset", run_reset}, {"delete", run_delete}, {NULL, NULL}};

const cli_command CLI_GROUP = {
	.name = "group",
	.summary = "show, reset and delete consumer groups",
	.verbs = VERBS,
	.help =
		"Usage: tidegate group list TOPIC [-O FORM]\n"
		"       tidegate group describe TOPIC GROUP [-O FORM]\n"
		"       tidegate group reset TOPIC GROUP --to WHERE [-p N]\n"
		"       tidegate group delete TOPIC GROUP\n\n"
		"The members of a group share the partitions of a topic. COMMITTED is the next offset that the group wants,\n"
		"LAG how many records it is behind, HOLDER who reads the partition until LEASE ENDS.\n\n"
		"  -O, --output FORM       table, json, yaml or toml\n"
		"  --to WHERE              earliest, latest, an offset, or @MS: the first record of that time or later\n"
		"  -p, --partition N       only that one\n" SESSION_HELP "\n"
		"  tidegate group reset orders billing --to earliest\n",
};
