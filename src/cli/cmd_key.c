#include <string.h>

#include "auth/keyring.h"
#include "auth/show.h"
#include "auth/signing.h"
#include "auth/tenant.h"
#include "base/jwrite.h"
#include "cli/cli.h"
#include "cli/database.h"
#include "cli/grant.h"
#include "cli/table.h"
#include "cli/when.h"

enum { OUTPUT_MAX_BYTES = 64 << 20, CELL_MAX_BYTES = 128 << 10 };

static const char DEFAULT_OVERLAP[] = "24h";

typedef struct key_call {
	cli_call *call;
	db_conn *conn;
	auth_actor by;
	arena *arena;
	str id;
	/* As given, or NULL. */
	const char *tenant;
	const char *name;
	const char *scopes;
	const char *prefix;
	const char *expires;
	const char *overlap;
	bool as_json;
	buf out;
} key_call;

/* ---- showing ---- */

static void append_prefixes(buf *out, const auth_key_info *key)
{
	for (size_t i = 0; i < key->prefix_count; i++) {
		buf_append_str(out, i > 0 ? STR(",") : STR(""));
		buf_append_str(out, key->prefixes[i]);
	}
}

static void describe(const auth_key_info *key)
{
	buf text;
	buf_init(&text, CELL_MAX_BYTES);
	buf_printf(&text, "key %.*s of tenant %.*s: ", STR_ARG(key->key_id), STR_ARG(key->tenant));
	auth_scopes_print(key->scopes, &text);
	buf_append_str(&text, key->prefix_count > 0 ? STR("; names that begin with ") : STR("; any name"));
	append_prefixes(&text, key);
	buf_append_str(&text, key->expires_ms != 0 ? STR("; until ") : STR("; does not expire"));
	if (key->expires_ms != 0) {
		when_append_time(&text, key->expires_ms);
		buf_append_str(&text, STR(" UTC"));
	}
	fprintf(stderr, "%.*s\n", STR_ARG(buf_str(&text)));
	buf_dispose(&text);
}

/* The one time that the key is seen. Alone on stdout, so that KEY=$(tidegate key create) works. */
static void show_new_key(key_call *k, const auth_key *key, const auth_key_info *info)
{
	if (k->as_json) {
		buf_append_str(&k->out, STR("{\"key\":"));
		jwrite_string(&k->out, str_from_c(key->text));
		buf_append_byte(&k->out, ',');
		auth_show_key(&k->out, info);
		buf_append_str(&k->out, STR("}\n"));
	} else {
		buf_append_str(&k->out, str_from_c(key->text));
		buf_append_byte(&k->out, '\n');
	}
	describe(info);
	fputs("it is shown only now: the database keeps a hash. Send it as X-API-Key or Authorization: Bearer.\n", stderr);
}

static void add_time(table *t, int64_t time_ms)
{
	buf text;
	buf_init(&text, CELL_MAX_BYTES);
	when_append_time(&text, time_ms);
	table_add(t, buf_str(&text));
	buf_dispose(&text);
}

static void print_table(const auth_key_info *keys, size_t count, buf *out)
{
	table t;
	table_init(&t, (const char *const[]){"KEY ID", "TENANT", "NAME", "SCOPES", "PREFIXES", "STATUS", "CREATED (UTC)",
										 "EXPIRES", "LAST USED", "REPLACED BY", NULL});
	for (size_t i = 0; i < count; i++) {
		const auth_key_info *key = &keys[i];
		buf text;
		buf_init(&text, CELL_MAX_BYTES);
		table_add(&t, key->key_id);
		table_add(&t, key->tenant);
		table_add(&t, key->name);
		auth_scopes_print(key->scopes, &text);
		table_add(&t, buf_str(&text));
		buf_clear(&text);
		append_prefixes(&text, key);
		table_add(&t, buf_str(&text));
		table_add(&t, auth_show_status(key->status));
		add_time(&t, key->created_ms);
		add_time(&t, key->expires_ms);
		add_time(&t, key->last_used_ms);
		table_add(&t, key->replaced_by);
		buf_dispose(&text);
	}
	table_print(&t, out);
	table_dispose(&t);
}

static void print_json(const auth_key_info *keys, size_t count, buf *out)
{
	buf_append_str(out, STR("{\"keys\":["));
	for (size_t i = 0; i < count; i++) {
		buf_append_str(out, i > 0 ? STR(",{") : STR("{"));
		auth_show_key(out, &keys[i]);
		buf_append_byte(out, '}');
	}
	buf_append_str(out, STR("]}\n"));
}

/* ---- the actions ---- */

static bool key_create(key_call *k, err *e)
{
	str prefixes[AUTH_PREFIXES_MAX];
	auth_key key;
	auth_key_info info;
	auth_key_spec spec = {.name = str_from_c(k->name), .prefixes = prefixes};
	const char *tenant = k->tenant != NULL ? k->tenant : GRANT_DEFAULT_TENANT;
	bool has_end = k->expires != NULL && strcmp(k->expires, "never") != 0;
	bool ok = grant_parse_scopes(k->scopes, &spec.scopes, e) &&
			  grant_parse_prefixes(k->prefix, prefixes, &spec.prefix_count, e) &&
			  (!has_end || when_parse_duration(str_from_c(k->expires), &spec.lifetime_ms, e));
	if (ok && has_end && spec.lifetime_ms == 0) {
		ok = err_set(e, ERR_INVALID_REQUEST,
					 "a key that expires at once is of no use: --expires takes a duration or `never`");
	}
	ok = ok && auth_tenant_find(k->conn, str_from_c(tenant), &spec.tenant_id, e) &&
		 auth_key_create(k->conn, &k->by, &spec, k->arena, &key, &info, e);
	if (ok) {
		show_new_key(k, &key, &info);
		auth_key_wipe(&key);
	}
	return ok;
}

static bool key_list(key_call *k, err *e)
{
	auth_key_info *keys = NULL;
	size_t count = 0;
	if (!auth_key_list(k->conn, str_from_c(k->tenant), k->arena, &keys, &count, e)) {
		return false;
	}
	if (k->as_json) {
		print_json(keys, count, &k->out);
	} else if (count > 0) {
		print_table(keys, count, &k->out);
	} else {
		fputs("there are no keys; `tidegate key create` makes one\n", stderr);
	}
	return true;
}

static bool key_revoke(key_call *k, err *e)
{
	auth_key_info info;
	if (!auth_key_revoke(k->conn, &k->by, k->id, k->arena, &info, e)) {
		return false;
	}
	fprintf(stderr, "revoked key %.*s of tenant %.*s; servers refuse it from now on\n", STR_ARG(info.key_id),
			STR_ARG(info.tenant));
	return true;
}

static bool key_rotate(key_call *k, err *e)
{
	auth_key key;
	auth_key_info info;
	auth_key_info old;
	int64_t overlap_ms = 0;
	const char *overlap = k->overlap != NULL ? k->overlap : DEFAULT_OVERLAP;
	if (!when_parse_duration(str_from_c(overlap), &overlap_ms, e) ||
		!auth_key_rotate(k->conn, &k->by, k->id, overlap_ms, k->arena, &key, &info, &old, e)) {
		return false;
	}
	fputs("the old one: ", stderr);
	describe(&old);
	fputs("the new one: ", stderr);
	show_new_key(k, &key, &info);
	auth_key_wipe(&key);
	return true;
}

/* The keys with which Tidegate itself signs. */
static bool key_rotate_signing(key_call *k, err *e)
{
	int64_t overlap_ms = 0;
	const char *overlap = k->overlap != NULL ? k->overlap : DEFAULT_OVERLAP;
	if (!when_parse_duration(str_from_c(overlap), &overlap_ms, e) ||
		!auth_signing_rotate(k->conn, &k->by, overlap_ms, e)) {
		return false;
	}
	fprintf(stderr,
			"new keys sign webhooks and the tokens of subscriptions; servers follow within a minute, and what the "
			"old ones signed is good until then%s%s\n",
			overlap_ms > 0 ? ", or for " : "", overlap_ms > 0 ? overlap : "");
	return true;
}

/* ---- the command ---- */

static const struct {
	const char *name;
	bool (*act)(key_call *k, err *e);
	bool takes_id;
	const char *options; /* that it understands, each between blanks */
} ACTIONS[] = {
	{"create", key_create, false, " tenant name scopes prefix expires json "},
	{"list", key_list, false, " tenant json "},
	{"revoke", key_revoke, true, " "},
	{"rotate", key_rotate, true, " overlap json "},
	{"rotate-signing", key_rotate_signing, false, " overlap "},
};

enum { ACTION_COUNT = sizeof ACTIONS / sizeof ACTIONS[0], OPTION_COUNT = 7 };

static bool takes_option(size_t action, const char *name)
{
	char word[32];
	snprintf(word, sizeof word, " %s ", name);
	return strstr(ACTIONS[action].options, word) != NULL;
}

static bool check_options(const cli_option options[OPTION_COUNT], size_t action, err *e)
{
	for (size_t i = 0; i < OPTION_COUNT; i++) {
		bool is_given = options[i].value != NULL ? *options[i].value != NULL : *options[i].flag;
		if (is_given && !takes_option(action, options[i].name)) {
			return err_set(e, ERR_INVALID_REQUEST, "`%s` has no option --%s", ACTIONS[action].name, options[i].name);
		}
	}
	return true;
}

static bool find_action(key_call *k, int positional_count, size_t *action, err *e)
{
	size_t i = 0;
	while (positional_count > 0 && i < ACTION_COUNT && strcmp(k->call->argv[1], ACTIONS[i].name) != 0) {
		i++;
	}
	if (positional_count == 0 || i == ACTION_COUNT) {
		return err_set(e, ERR_INVALID_REQUEST, "say what to do: create, list, revoke, rotate or rotate-signing");
	}
	if (positional_count != (ACTIONS[i].takes_id ? 2 : 1)) {
		return err_set(e, ERR_INVALID_REQUEST,
					   ACTIONS[i].takes_id ? "`%s` takes one key id" : "`%s` takes options only", ACTIONS[i].name);
	}
	k->id = ACTIONS[i].takes_id ? str_from_c(k->call->argv[2]) : STR_NONE;
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
	key_call k = {.call = call, .by = cli_database_actor(actor)};
	const cli_option options[OPTION_COUNT] = {
		{.name = "tenant", .value = &k.tenant},   {.name = "name", .value = &k.name},
		{.name = "scopes", .value = &k.scopes},   {.name = "prefix", .value = &k.prefix},
		{.name = "expires", .value = &k.expires}, {.name = "overlap", .value = &k.overlap},
		{.name = "json", .flag = &k.as_json}};

	buf_init(&k.out, OUTPUT_MAX_BYTES);
	if (!cli_parse(call, options, OPTION_COUNT, &settings, &positional_count, &e) ||
		!find_action(&k, positional_count, &action, &e) || !check_options(options, action, &e)) {
		status = cli_fail(call, CLI_USAGE, e.message);
		goto out;
	}
	k.arena = arena_new(OUTPUT_MAX_BYTES);
	if (k.arena == NULL) {
		status = cli_fail(call, CLI_FAILED, "out of memory");
		goto out;
	}
	if (!cli_database_open(settings, &k.conn, &e) || !ACTIONS[action].act(&k, &e)) {
		status = cli_fail(call, CLI_FAILED, e.message);
		goto out;
	}
	status = cli_print(call, &k.out) ? CLI_OK : CLI_FAILED;
out:
	if (k.out.ptr != NULL) {
		explicit_bzero(k.out.ptr, k.out.len); /* it may hold a key */
	}
	buf_dispose(&k.out);
	db_conn_free(k.conn);
	arena_free(k.arena);
	config_free(settings);
	return status;
}

const cli_command CLI_KEY = {
	.name = "key",
	.summary = "create, list, revoke and rotate API keys",
	.help =
		"Usage: tidegate key create [--tenant T] [--name N] [--scopes S] [--prefix P] [--expires D] [--json]\n"
		"       tidegate key list [--tenant T] [--json]\n"
		"       tidegate key revoke ID\n"
		"       tidegate key rotate ID [--overlap D] [--json]\n"
		"       tidegate key rotate-signing [--overlap D]\n\n"
		"create  a key, printed alone on standard output and never again: the database keeps a hash. As soon as one\n"
		"        key exists, servers with auth=auto ask every caller for one.\n"
		"list    keys without their secrets; PREFIXES `-` means any name.\n"
		"revoke  stop a key now. ID is the part of the key after `tg_`; a whole key is understood, too.\n"
		"rotate  make a key with the same rights, name and length of life, and let the old one end after the "
		"overlap.\n"
		"rotate-signing  make new keys for what Tidegate signs itself: webhooks, and tokens of subscriptions.\n\n"
		"--tenant T    the tenant that the key works for; default `default`\n"
		"--name N      a remark for people\n"
		"--scopes S    read, write, delete, admin, comma-separated, or all; default read,write\n"
		"--prefix P    only names that begin with P; several comma-separated\n"
		"--expires D   after 90s, 15m, 24h, 30d, 8w, 1y; default never\n"
		"--overlap D   how long the old keys go on; default 24h, 0 for not at all\n"
		"--database-url URL  or TIDEGATE_DATABASE_URL, or --config FILE; else the database of a `tidegate dev` that\n"
		"                    runs in this directory\n\n"
		"  KEY=$(tidegate key create --name billing --scopes write --prefix invoices. --expires 90d)\n"
		"  curl -H \"X-API-Key: $KEY\" http://localhost:5470/topics\n",
	.run = run,
};
