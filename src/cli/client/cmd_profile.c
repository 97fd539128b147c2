/* tidegate profile: addresses with names, in the file that all our clients read. */
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "cli/client/output.h"
#include "cli/client/session.h"

static const output_column COLUMNS[] = {
	{"CURRENT", "current", OUTPUT_PLAIN}, {"PROFILE", "profile", OUTPUT_PLAIN}, {"ENDPOINT", "endpoint", OUTPUT_PLAIN},
	{"KEY", "key", OUTPUT_PLAIN},         {NULL, NULL, OUTPUT_PLAIN},
};

static int fail(const cli_call *call, const tg_error *error)
{
	return cli_fail(call, CLI_FAILED, error->message);
}

/* The arguments of a verb that has no options; false: the usage is told. */
static bool take_words(cli_call *call, int wanted, const char *usage, int *status)
{
	int count = 0;
	err e;
	if (!cli_parse(call, NULL, 0, NULL, &count, &e)) {
		*status = cli_fail(call, CLI_USAGE, e.message);
		return false;
	}
	if (count != wanted) {
		*status = cli_fail(call, CLI_USAGE, usage);
		return false;
	}
	return true;
}

/* ---- list, current ---- */

/* How a key is shown: by what finds it, not by what it is. */
static json_t *show_key(const char *key)
{
	const char *secret = key != NULL && strncmp(key, "tg_", 3) == 0 ? strchr(key + 3, '_') : NULL;
	if (key == NULL) {
		return json_string("");
	}
	return secret != NULL ? json_sprintf("%.*s_…", (int)(secret - key), key) : json_string("…");
}

static bool add_row(void *context, const tg_profile *profile)
{
	json_t *rows = context;
	json_t *row = json_pack("{s:b, s:s, s:s, s:o}", "current", profile->is_current, "profile", profile->name,
							"endpoint", profile->endpoint, "key", show_key(profile->key));
	return row != NULL && json_array_append_new(rows, row) == 0;
}

static int run_list(cli_call *call)
{
	const char *form_name = NULL;
	output_form form = OUTPUT_TABLE;
	int status;
	err e;
	tg_error error;
	const cli_option options[] = {{.name = "output", .letter = 'O', .value = &form_name}};
	if (!cli_parse(call, options, 1, NULL, NULL, &e) || !output_parse(form_name, &form, &e)) {
		return cli_fail(call, CLI_USAGE, e.message);
	}
	json_t *rows = json_array();
	if (tg_profile_list(add_row, rows, &error) != TG_OK) {
		status = fail(call, &error);
	} else {
		status = output_print_list(call, form, "profiles", COLUMNS, rows);
	}
	json_decref(rows);
	return status;
}

static bool print_current(void *context, const tg_profile *profile)
{
	bool *is_found = context;
	if (profile->is_current) {
		printf("%s\n", profile->name);
		*is_found = true;
	}
	return !*is_found;
}

static int run_current(cli_call *call)
{
	int status = CLI_FAILED;
	bool is_found = false;
	tg_error error;
	if (!take_words(call, 0, "`current` takes nothing", &status)) {
		return status;
	}
	if (tg_profile_list(print_current, &is_found, &error) != TG_OK) {
		return fail(call, &error);
	}
	return is_found ? CLI_OK
					: cli_fail(call, CLI_FAILED, "there is no current profile; `tidegate profile add` makes one");
}

/* ---- changes ---- */

static int run_add(cli_call *call)
{
	const char *key_file = NULL;
	char *key = NULL;
	int count = 0;
	int status = CLI_OK;
	err e;
	tg_error error;
	const cli_option options[] = {{.name = "key-file", .value = &key_file}};
	if (!cli_parse(call, options, 1, NULL, &count, &e)) {
		return cli_fail(call, CLI_USAGE, e.message);
	}
	if (count != 2) {
		return cli_fail(call, CLI_USAGE, "`add` takes a name and an endpoint");
	}
	if (key_file != NULL && !session_read_key(key_file, &key, &e)) {
		return cli_fail(call, CLI_FAILED, e.message);
	}
	const char *variable = cli_variable(call->environment, STR("TIDEGATE_API_KEY"));
	if (tg_profile_set(call->argv[1], call->argv[2], key != NULL ? key : variable, &error) != TG_OK) {
		status = fail(call, &error);
	} else {
		printf("profile \"%s\" added\n", call->argv[1]);
	}
	session_wipe_key(key);
	return status;
}

static int run_switch(cli_call *call)
{
	int status = CLI_OK;
	tg_error error;
	if (!take_words(call, 1, "`switch` takes the name of a profile", &status)) {
		return status;
	}
	if (tg_profile_switch(call->argv[1], &error) != TG_OK) {
		return fail(call, &error);
	}
	printf("profile \"%s\" is the current one\n", call->argv[1]);
	return CLI_OK;
}

static int run_rename(cli_call *call)
{
	int status = CLI_OK;
	tg_error error;
	if (!take_words(call, 2, "`rename` takes a profile's name and its new name", &status)) {
		return status;
	}
	if (tg_profile_rename(call->argv[1], call->argv[2], &error) != TG_OK) {
		return fail(call, &error);
	}
	printf("profile \"%s\" renamed to \"%s\"\n", call->argv[1], call->argv[2]);
	return CLI_OK;
}

static int run_delete(cli_call *call)
{
	int status = CLI_OK;
	tg_error error;
	if (!take_words(call, 1, "`delete` takes the name of a profile", &status)) {
		return status;
	}
	if (tg_profile_delete(call->argv[1], &error) != TG_OK) {
		return fail(call, &error);
	}
	printf("profile \"%s\" deleted\n", call->argv[1]);
	return CLI_OK;
}

static const cli_verb VERBS[] = {
	{"current", run_current}, {"list", run_list},     {"add", run_add}, {"switch", run_switch},
	{"rename", run_rename},   {"delete", run_delete}, {NULL, NULL}};

const cli_command CLI_PROFILE = {
	.name = "profile",
	.summary = "keep addresses and keys of servers by name",
	.verbs = VERBS,
	.help =
		"Usage: tidegate profile current\n"
		"       tidegate profile list [-O FORM]\n"
		"       tidegate profile add NAME ENDPOINT [--key-file FILE]\n"
		"       tidegate profile switch NAME\n"
		"       tidegate profile rename NAME NEW-NAME\n"
		"       tidegate profile delete NAME\n\n"
		"The current profile is what produce, consume, topic and the like talk to, and the client libraries, too,\n"
		"unless --url, --profile or TIDEGATE_URL say otherwise. The first one added is the current one.\n\n"
		"The file is the one that TIDEGATE_PROFILES names, or ~/.config/tidegate/profiles.toml; only its owner can\n"
		"read it. `add` replaces a profile of that name.\n\n"
		"  --key-file FILE         the API key, in a file, or `-` for standard input; else TIDEGATE_API_KEY\n"
		"  -O, --output FORM       table, json, yaml or toml; of a key only its id is shown\n\n"
		"  tidegate key create | tidegate profile add local http://localhost:5470 --key-file -\n",
};
