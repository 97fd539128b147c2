#include <string.h>

#include "auth/show.h"
#include "auth/tenant.h"
#include "cli/cli.h"
#include "cli/database.h"
#include "cli/table.h"
#include "cli/when.h"

enum { OUTPUT_MAX_BYTES = 64 << 20, CELL_MAX_BYTES = 64, LIMITS_MAX_BYTES = 1024 };

typedef struct tenant_call {
	cli_call *call;
	db_conn *conn;
	auth_actor by;
	arena *arena;
	str name;
	const char *auto_create; /* as given, or NULL */
	const char *limits;      /* the same */
	bool as_json;
	buf out;
} tenant_call;

static bool parse_choice(const char *text, auth_choice *out, err *e)
{
	if (text == NULL || strcmp(text, "server") == 0) {
		*out = AUTH_CHOICE_SERVER;
	} else if (strcmp(text, "on") == 0) {
		*out = AUTH_CHOICE_ON;
	} else if (strcmp(text, "off") == 0) {
		*out = AUTH_CHOICE_OFF;
	} else {
		return err_set(e, ERR_INVALID_REQUEST, "--auto-create is on, off or server (as the server is set)");
	}
	return true;
}

static const char *choice_text(auth_choice choice)
{
	switch (choice) {
	case AUTH_CHOICE_ON:
		return "on";
	case AUTH_CHOICE_OFF:
		return "off";
	case AUTH_CHOICE_SERVER:
		break;
	}
	return "server";
}

/* ---- the actions ---- */

static bool tenant_create(tenant_call *t, err *e)
{
	auth_choice choice = AUTH_CHOICE_SERVER;
	if (!parse_choice(t->auto_create, &choice, e) || !auth_tenant_create(t->conn, &t->by, t->name, choice, e)) {
		return false;
	}
	fprintf(stderr, "created tenant %.*s; make a key for it: tidegate key create --tenant %.*s\n", STR_ARG(t->name),
			STR_ARG(t->name));
	return true;
}

static bool tenant_set(tenant_call *t, err *e)
{
	auth_tenant_change change = {.has_auto_create = t->auto_create != NULL};
	if (t->auto_create == NULL && t->limits == NULL) {
		return err_set(e, ERR_INVALID_REQUEST, "say what to set: --auto-create on, off or server, or --limits");
	}
	if (!parse_choice(t->auto_create, &change.auto_create, e) ||
		!limit_set_parse(str_from_c(t->limits != NULL ? t->limits : ""), &change.limits, e) ||
		!auth_tenant_alter(t->conn, &t->by, t->name, &change, e)) {
		return false;
	}
	if (t->auto_create != NULL) {
		fprintf(stderr, "tenant %.*s: auto-create %s\n", STR_ARG(t->name), choice_text(change.auto_create));
	}
	if (t->limits != NULL) {
		fprintf(stderr, "tenant %.*s: limits changed\n", STR_ARG(t->name));
	}
	return true;
}

static bool tenant_delete(tenant_call *t, err *e)
{
	if (!auth_tenant_delete(t->conn, &t->by, t->name, e)) {
		return false;
	}
	fprintf(stderr, "deleted tenant %.*s and its keys\n", STR_ARG(t->name));
	return true;
}

static void print_json(const auth_tenant *tenants, size_t count, buf *out)
{
	buf_append_str(out, STR("{\"tenants\":["));
	for (size_t i = 0; i < count; i++) {
		buf_append_str(out, i > 0 ? STR(",{") : STR("{"));
		auth_show_tenant(out, &tenants[i]);
		buf_append_byte(out, '}');
	}
	buf_append_str(out, STR("]}\n"));
}

static void add_number(table *t, int64_t number)
{
	char text[24];
	snprintf(text, sizeof text, "%lld", (long long)number);
	table_add(t, str_from_c(text));
}

static void print_table(const auth_tenant *tenants, size_t count, buf *out)
{
	table t;
	table_init(&t, (const char *const[]){"TENANT", "TOPICS", "KEYS", "AUTO-CREATE", "CREATED (UTC)", "LIMITS", NULL});
	for (size_t i = 0; i < count; i++) {
		buf time;
		buf limits;
		buf_init(&time, CELL_MAX_BYTES);
		buf_init(&limits, LIMITS_MAX_BYTES);
		limit_set_print(&tenants[i].limits, &limits);
		when_append_time(&time, tenants[i].created_ms);
		table_add(&t, tenants[i].name);
		add_number(&t, tenants[i].topics);
		add_number(&t, tenants[i].keys);
		table_add(&t, str_from_c(choice_text(tenants[i].auto_create)));
		table_add(&t, buf_str(&time));
		table_add(&t, limits.len > 0 ? buf_str(&limits) : STR("server"));
		buf_dispose(&limits);
		buf_dispose(&time);
	}
	table_print(&t, out);
	table_dispose(&t);
}

static bool tenant_list(tenant_call *t, err *e)
{
	auth_tenant *tenants = NULL;
	size_t count = 0;
	if (!auth_tenant_list(t->conn, t->arena, &tenants, &count, e)) {
		return false;
	}
	if (t->as_json) {
		print_json(tenants, count, &t->out);
	} else {
		print_table(tenants, count, &t->out);
	}
	return true;
}

static const struct {
	const char *name;
	bool (*act)(tenant_call *t, err *e);
	bool takes_name;
	bool takes_auto_create;
	bool takes_limits;
	bool takes_json;
} ACTIONS[] = {
	{"create", tenant_create, true, true, false, false},
	{"list", tenant_list, false, false, false, true},
	{"set", tenant_set, true, true, true, false},
	{"delete", tenant_delete, true, false, false, false},
};

enum { ACTION_COUNT = sizeof ACTIONS / sizeof ACTIONS[0] };

static bool find_action(tenant_call *t, int positional_count, size_t *action, err *e)
{
	size_t i = 0;
	while (positional_count > 0 && i < ACTION_COUNT && strcmp(t->call->argv[1], ACTIONS[i].name) != 0) {
		i++;
	}
	if (positional_count == 0 || i == ACTION_COUNT) {
		return err_set(e, ERR_INVALID_REQUEST, "say what to do: create, list, set or delete");
	}
	if (positional_count != (ACTIONS[i].takes_name ? 2 : 1)) {
		return err_set(e, ERR_INVALID_REQUEST,
					   ACTIONS[i].takes_name ? "`%s` takes one tenant's name" : "`%s` takes no name", ACTIONS[i].name);
	}
	if ((t->auto_create != NULL && !ACTIONS[i].takes_auto_create) || (t->limits != NULL && !ACTIONS[i].takes_limits) ||
		(t->as_json && !ACTIONS[i].takes_json)) {
		return err_set(e, ERR_INVALID_REQUEST, "`%s` has no such option", ACTIONS[i].name);
	}
	t->name = ACTIONS[i].takes_name ? str_from_c(t->call->argv[2]) : STR_NONE;
	*action = i;
	return true;
}

static int run(cli_call *call)
{
	int status = CLI_FAILED;
	config *settings = NULL;
	int positional_count = 0;
	size_t action = 0;
	err e;
	char actor[CLI_ACTOR_MAX];
	tenant_call t = {.call = call, .by = cli_database_actor(actor)};
	const cli_option options[] = {{.name = "auto-create", .value = &t.auto_create},
								  {.name = "limits", .value = &t.limits},
								  {.name = "json", .flag = &t.as_json}};

	buf_init(&t.out, OUTPUT_MAX_BYTES);
	if (!cli_parse(call, options, sizeof options / sizeof options[0], &settings, &positional_count, &e) ||
		!find_action(&t, positional_count, &action, &e)) {
		status = cli_fail(call, CLI_USAGE, e.message);
		goto out;
	}
	t.arena = arena_new(OUTPUT_MAX_BYTES);
	if (t.arena == NULL) {
		status = cli_fail(call, CLI_FAILED, "out of memory");
		goto out;
	}
	if (!cli_database_open(settings, &t.conn, &e) || !ACTIONS[action].act(&t, &e)) {
		status = cli_fail(call, CLI_FAILED, e.message);
		goto out;
	}
	status = cli_print(call, &t.out) ? CLI_OK : CLI_FAILED;
out:
	buf_dispose(&t.out);
	db_conn_free(t.conn);
	arena_free(t.arena);
	config_free(settings);
	return status;
}

const cli_command CLI_TENANT = {
	.name = "tenant",
	.summary = "create, list, change and delete tenants",
	.help =
		"Usage: tidegate tenant create NAME [--auto-create on|off|server]\n"
		"       tidegate tenant list [--json]\n"
		"       tidegate tenant set NAME [--auto-create on|off|server] [--limits LIMIT=MOST,…]\n"
		"       tidegate tenant delete NAME\n\n"
		"A tenant is an isolated namespace: its own topics, reached with its own keys. The tenant `default` is there\n"
		"from the start; it serves every caller while no key exists.\n\n"
		"create  a tenant without topics and keys. A name has letters, digits, '.', '_' and '-'.\n"
		"list    every tenant with its topics and valid keys.\n"
		"set     change it. Servers follow at once.\n"
		"delete  a tenant and its keys, which stop working at once. It must not have topics.\n\n"
		"--auto-create on|off|server  whether producing to an unknown topic creates it; `server`, the default,\n"
		"                             follows the setting auto_create_topics\n"
		"--limits LIMIT=MOST,…        what it may use: requests_per_second, bytes_per_second, records_per_second,\n"
		"                             requests_in_flight, streams, each also as …_per_key; stored_bytes, topics,\n"
		"                             body_bytes. 0: no limit; `server`: as the server is set. Others stay\n"
		"--database-url URL           or TIDEGATE_DATABASE_URL, or --config FILE; else the database of a\n"
		"                             `tidegate dev` that runs in this directory\n\n"
		"  tidegate tenant create acme && KEY=$(tidegate key create --tenant acme)\n",
	.run = run,
};
