#include "cli/database.h"

#include "db/migrate.h"

/* What the server said is of use to somebody who is setting things up. */
static bool tell_cause(err *e)
{
	char cause[ERR_LOG_MAX];
	size_t len = 0;
	snprintf(cause, sizeof cause, "%s", e->log);
	len = str_trim(str_from_c(cause)).len;
	while (len > 0 && (cause[len - 1] == '\n' || cause[len - 1] == ' ')) {
		len--;
	}
	return len == 0 ? false : err_set(e, e->code, "%s (%.*s)", e->message, (int)len, cause);
}

bool cli_database_open(const config *settings, db_conn **out, err *e)
{
	bool ok = false;
	db_conn *c = NULL;
	if (settings->database_url.len == 0) {
		return err_set(
			e, ERR_INVALID_REQUEST,
			"no database is known: set TIDEGATE_DATABASE_URL or --database-url, or run `tidegate dev` in this "
			"directory");
	}
	const db_conn_options options = {
		.url = settings->database_url, .role = "cli", .timeout_ms = (uint32_t)settings->database_timeout_ms};
	c = db_conn_new(&options);
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
