#include "cli/cli.h"

static int run(cli_call *call)
{
	int status = CLI_FAILED;
	int count = 0;
	config *settings = NULL;
	err e = {0};
	buf out;

	buf_init(&out, 1 << 20);
	if (!cli_parse(call, NULL, 0, &settings, &count, &e)) {
		status = cli_fail(call, CLI_USAGE, e.message);
		goto out;
	}
	str what = count == 0 ? STR("show") : str_from_c(call->argv[1]);
	if (count <= 1 && str_equal(what, STR("show"))) {
		config_write_effective(settings, &out);
	} else if (count <= 1 && str_equal(what, STR("sample"))) {
		config_write_sample(&out);
	} else {
		status = cli_fail(call, CLI_USAGE, "the argument is `show`, `sample` or nothing");
		goto out;
	}
	if (cli_print(call, &out)) {
		status = CLI_OK;
	}
out:
	buf_dispose(&out);
	config_free(settings);
	return status;
}

const cli_command CLI_CONFIG = {
	.name = "config",
	.summary = "print the settings in force, or a commented sample file",
	.help = "Usage: tidegate config [show] [--config FILE] [--SETTING VALUE …]\n"
			"       tidegate config sample\n\n"
			"show    the settings that a server with the same arguments and environment would have, and where each\n"
			"        comes from; passwords are masked. A mistake in them is reported with its place.\n"
			"sample  a configuration file with every setting, its meaning, range and default.\n\n"
			"Settings come from the file (--config, or the environment variable TIDEGATE_CONFIG), are overridden by\n"
			"environment variables TIDEGATE_<SETTING>, and these by options: `--max-streams 10`, `--no-janitor`.\n",
	.run = run,
};
