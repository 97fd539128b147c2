#include "cli/service.h"

static int run(cli_call *call)
{
	int status = CLI_FAILED;
	config *settings = NULL;
	err e = {0};
	if (!cli_parse(call, NULL, 0, &settings, NULL, &e)) {
		status = cli_fail(call, CLI_USAGE, e.message);
		goto out;
	}
	service_block_signals();
	const service_options service = {.config = settings};
	status = service_run(&service, &e) ? CLI_OK : cli_fail(call, CLI_FAILED, e.message);
out:
	config_free(settings);
	return status;
}

const cli_command CLI_SERVE = {
	.name = "serve",
	.summary = "run one worker on a Postgres of yours",
	.help = "Usage: tidegate serve [--config FILE] [--port-file FILE] [--SETTING VALUE …]\n\n"
			"Serves the log in the Postgres of database_url (TIDEGATE_DATABASE_URL) until SIGINT or SIGTERM. Any "
			"number of\n"
			"workers may share one database. `tidegate config sample` shows every setting.\n\n"
			"--port-file FILE  write host:port of each listener to FILE once requests are answered\n\n"
			"Example:\n"
			"  TIDEGATE_DATABASE_URL=postgresql://localhost/events tidegate serve --listen 127.0.0.1:5470\n",
	.run = run,
};
