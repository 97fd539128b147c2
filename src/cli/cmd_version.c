#include "cli/cli.h"

static int run(cli_call *call)
{
	int status = CLI_FAILED;
	err e = {0};
	buf out;

	buf_init(&out, 256);
	if (!cli_parse(call, NULL, 0, NULL, NULL, &e)) {
		status = cli_fail(call, CLI_USAGE, e.message);
		goto out;
	}
	buf_append_str(&out, STR("tidegate " TIDEGATE_VERSION "\n"));
	if (cli_print(call, &out)) {
		status = CLI_OK;
	}
out:
	buf_dispose(&out);
	return status;
}

const cli_command CLI_VERSION = {
	.name = "version",
	.summary = "print the version of this binary",
	.help = "Usage: tidegate version\n\n"
			"Prints the version of this binary.\n",
	.run = run,
};
