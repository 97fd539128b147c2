#include <string.h>
#include <time.h>

#include "auth/jwt_sign.h"
#include "cli/cli.h"
#include "cli/grant.h"
#include "cli/when.h"

enum { OUTPUT_MAX_BYTES = 256 << 10, SECOND_MS = 1000 };

static const char DEFAULT_LIFETIME[] = "1h";

/* As given, or NULL. */
typedef struct token_call {
	const char *tenant;
	const char *subject;
	const char *scopes;
	const char *prefix;
	const char *expires;
} token_call;

static bool read_grant(const token_call *t, str prefixes[AUTH_PREFIXES_MAX], jwt_grant *out, err *e)
{
	int64_t lifetime_ms = 0;
	*out = (jwt_grant){.tenant = str_from_c(t->tenant != NULL ? t->tenant : GRANT_DEFAULT_TENANT),
					   .subject = t->subject != NULL ? str_from_c(t->subject) : STR_NONE,
					   .prefixes = prefixes};
	if (!grant_parse_scopes(t->scopes, &out->scopes, e) ||
		!grant_parse_prefixes(t->prefix, prefixes, &out->prefix_count, e) ||
		!when_parse_duration(str_from_c(t->expires != NULL ? t->expires : DEFAULT_LIFETIME), &lifetime_ms, e)) {
		return false;
	}
	out->lifetime_s = lifetime_ms / SECOND_MS;
	if (out->lifetime_s == 0) {
		return err_set(e, ERR_INVALID_REQUEST, "a token that expires at once is of no use: --expires takes a duration");
	}
	if (out->tenant.len == 0) {
		return err_set(e, ERR_INVALID_REQUEST, "a tenant's name is not empty");
	}
	for (size_t i = 0; i < out->prefix_count; i++) {
		if (prefixes[i].len == 0) {
			return err_set(e, ERR_INVALID_REQUEST, "a prefix is not empty; without --prefix any name is reached");
		}
	}
	return true;
}

static void describe(const jwt_grant *g)
{
	buf text;
	buf_init(&text, OUTPUT_MAX_BYTES);
	buf_printf(&text, "token for tenant %.*s: ", STR_ARG(g->tenant));
	auth_scopes_print(g->scopes, &text);
	buf_append_str(&text, g->prefix_count > 0 ? STR("; names that begin with ") : STR("; any name"));
	for (size_t i = 0; i < g->prefix_count; i++) {
		buf_append_str(&text, i > 0 ? STR(",") : STR(""));
		buf_append_str(&text, g->prefixes[i]);
	}
	buf_append_str(&text, STR("; until "));
	when_append_time(&text, ((int64_t)time(NULL) + g->lifetime_s) * SECOND_MS);
	fprintf(stderr, "%.*s UTC\nsend it as Authorization: Bearer; it cannot be revoked, only its key be taken away\n",
			STR_ARG(buf_str(&text)));
	buf_dispose(&text);
}

static bool check_action(const cli_call *call, int positional_count, const config *settings, err *e)
{
	if (positional_count != 1 || strcmp(call->argv[1], "create") != 0) {
		return err_set(e, ERR_INVALID_REQUEST, "say what to do: create");
	}
	return settings->jwt_keys.len > 0 ||
		   err_set(e, ERR_INVALID_REQUEST, "no key is known: give TIDEGATE_JWT_KEYS or --jwt-keys FILE.secret");
}

static int run(cli_call *call)
{
	int status = CLI_FAILED;
	config *settings = NULL;
	int positional_count = 0;
	err e;
	token_call t = {0};
	jwt_grant grant;
	str prefixes[AUTH_PREFIXES_MAX];
	buf out;
	const cli_option options[] = {{.name = "tenant", .value = &t.tenant},
								  {.name = "subject", .value = &t.subject},
								  {.name = "scopes", .value = &t.scopes},
								  {.name = "prefix", .value = &t.prefix},
								  {.name = "expires", .value = &t.expires}};

	buf_init(&out, OUTPUT_MAX_BYTES);
	if (!cli_parse(call, options, sizeof options / sizeof options[0], &settings, &positional_count, &e) ||
		!check_action(call, positional_count, settings, &e) || !read_grant(&t, prefixes, &grant, &e)) {
		status = cli_fail(call, CLI_USAGE, e.message);
		goto out;
	}
	const auth_jwt_options jwt = {.key_files = settings->jwt_keys,
								  .issuer = settings->jwt_issuer,
								  .audience = settings->jwt_audience,
								  .tenant_claim = settings->jwt_tenant_claim,
								  .scopes_claim = settings->jwt_scopes_claim,
								  .prefixes_claim = settings->jwt_prefixes_claim};
	if (!jwt_sign(&jwt, &grant, &out, &e)) {
		status = cli_fail(call, CLI_FAILED, e.message);
		goto out;
	}
	buf_append_byte(&out, '\n');
	describe(&grant);
	status = cli_print(call, &out) ? CLI_OK : CLI_FAILED;
out:
	if (out.ptr != NULL) {
		explicit_bzero(out.ptr, out.len);
	}
	buf_dispose(&out);
	config_free(settings);
	return status;
}

const cli_command CLI_TOKEN = {
	.name = "token",
	.summary = "sign JSON Web Tokens with a shared secret",
	.help =
		"Usage: tidegate token create [--tenant T] [--subject S] [--scopes S] [--prefix P] [--expires D]\n"
		"                             [--jwt-keys FILE]\n\n"
		"Signs a token (HS256) that servers with the same settings take, and prints it alone on standard output. It\n"
		"needs no database: whether the tenant exists is seen when the token is used.\n\n"
		"--tenant T      the tenant that it works for; default `default`\n"
		"--subject S     who bears it, for logs\n"
		"--scopes S      read, write, delete, admin, comma-separated, or all; default read,write\n"
		"--prefix P      only names that begin with P; several comma-separated\n"
		"--expires D     after 90s, 15m, 24h, 30d, 8w, 1y; default 1h\n"
		"--jwt-keys FILE or TIDEGATE_JWT_KEYS, or --config FILE: the first shared secret in it signs; *.secret, or an\n"
		"                oct key of a JWK set. The other jwt_ settings name issuer, audience and claims.\n\n"
		"  TOKEN=$(tidegate token create --jwt-keys jwt.secret --tenant acme --scopes read --expires 15m)\n"
		"  curl -H \"Authorization: Bearer $TOKEN\" http://localhost:5470/topics\n",
	.run = run,
};
