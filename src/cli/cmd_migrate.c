#include "cli/service.h"

static int run(cli_call *call)
{
	int status = CLI_FAILED;
	int applied = 0;
	config *settings = NULL;
	slog *log = NULL;
	err e = {0};
	buf out;
	buf_init(&out, 4096);
	if (!cli_parse(call, NULL, 0, &settings, NULL, &e)) {
		status = cli_fail(call, CLI_USAGE, e.message);
		goto out;
	}
	if (settings->database_url.len == 0) {
		status = cli_fail(call, CLI_USAGE, "database_url is not set: give TIDEGATE_DATABASE_URL or --database-url");
		goto out;
	}
	log = service_log(settings);
	if (!service_migrate(settings, log, &applied, &e)) {
		slog_err(log, SLOG_ERROR, "migrate", "the schema was not brought up to date", &e);
		status = cli_fail(call, CLI_FAILED, e.message);
		goto out;
	}
	if (applied > 0) {
		buf_printf(&out, "applied %d migration(s)\n", applied);
	}
	buf_append_str(&out, STR("the schema is up to date\n"));
	status = cli_print(call, &out) ? CLI_OK : CLI_FAILED;
out:
	buf_dispose(&out);
	slog_free(log);
	config_free(settings);
	return status;
}

const cli_command CLI_MIGRATE = {
	.name = "migrate",
	.summary = "bring the schema of a database up to date",
	.help =
		"Usage: tidegate migrate [--config FILE] [--database-url URL]\n\n"
		"Applies what is missing, forward only, each step in a transaction. Safe to run by any number of processes at\n"
		"once; `serve` does it by itself unless migrate_on_start is off.\n",
	.run = run,
};
