#include "cli/database.h"

#include "base/text.h"
#include "cli/postgres.h"
#include "db/migrate.h"

#include <pwd.h>
#include <unistd.h>

enum { PASSWD_BYTES_MAX = 4096 };

/* What the server said is of use to somebody who is setting things up; on one line. */
static void tell_cause(err *e)
{
	char cause[ERR_LOG_MAX];
	snprintf(cause, sizeof cause, "%s", e->log);
	size_t len = 0;
	for (const char *at = cause; *at != '\0'; at++) {
		bool is_blank = *at == '\n' || *at == '\t' || *at == ' ';
		if (!is_blank || (len > 0 && cause[len - 1] != ' ')) {
			cause[len++] = is_blank ? ' ' : *at;
		}
	}
	len = str_trim((str){cause, len}).len;
	if (len > 0) {
		err_set(e, e->code, "%s (%.*s)", e->message, (int)len, cause);
	}
}

static bool connect_to(str url, uint32_t timeout_ms, db_conn **out, err *e)
{
	bool ok = false;
	const db_conn_options options = {.url = url, .role = "cli", .timeout_ms = timeout_ms};
	db_conn *c = db_conn_new(&options);
	if (c == NULL) {
		err_set(e, ERR_NO_MEMORY, "out of memory");
		goto out;
	}
	if (!db_conn_ensure(c, e)) {
		tell_cause(e);
		goto out;
	}
	if (!db_schema_is_current(c, e)) {
		goto out;
	}
	*out = c;
	c = NULL;
	ok = true;
out:
	db_conn_free(c);
	return ok;
}

bool cli_database_open(const config *settings, db_conn **out, err *e)
{
	char embedded[POSTGRES_URL_MAX];
	str url = settings->database_url;
	if (url.len == 0) {
		if (!postgres_find_url(POSTGRES_DIRECTORY, embedded)) {
			return err_set(
				e, ERR_INVALID_REQUEST,
				"no database is known: set TIDEGATE_DATABASE_URL or --database-url, or run `tidegate dev` in "
				"this directory");
		}
		url = str_from_c(embedded);
	}
	return connect_to(url, (uint32_t)settings->database_timeout_ms, out, e);
}

auth_actor cli_database_actor(char text[CLI_ACTOR_MAX])
{
	struct passwd user;
	struct passwd *found = NULL;
	char strings[PASSWD_BYTES_MAX];
	if (getpwuid_r(getuid(), &user, strings, sizeof strings, &found) == 0 && found != NULL &&
		text_is_utf8(str_from_c(found->pw_name))) {
		snprintf(text, CLI_ACTOR_MAX, "cli:%s", found->pw_name);
	} else {
		snprintf(text, CLI_ACTOR_MAX, "cli:%u", (unsigned)getuid());
	}
	return (auth_actor){.name = str_from_c(text)};
}
