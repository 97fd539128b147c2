#include <stdio.h>

#include "cli/postgres.h"
#include "cli/service.h"

/* The ports that the clients of each dialect expect; every port serves every dialect. */
#define DEV_LISTEN "127.0.0.1:5470,127.0.0.1:4000,127.0.0.1:4437,127.0.0.1:3000,127.0.0.1:3001"

typedef struct dev {
	const char *data;
	postgres *database;
} dev;

/* The port that a dialect's clients expect, if it is served, else the first. */
static unsigned port_for(unsigned usual, const uint16_t *ports, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (ports[i] == usual) {
			return usual;
		}
	}
	return ports[0];
}

static void print_welcome(void *context, const uint16_t *ports, size_t count)
{
	static const struct {
		const char *name;
		unsigned port;
		const char *path;
	} lines[] = {
		{"streaming", 5470, "/topics"},        {"topics", 4000, "/v0/topics"},
		{"durable", 4437, "/v1/stream/"},      {"httpmq admin", 3000, "/v1/admin/stream"},
		{"httpmq data", 3001, "/v1/data/..."}, {"metrics", 5470, "/metrics"},
	};
	const dev *d = context;
	unsigned port = ports[0];
	printf("\nTidegate is ready; records are kept in %s. Ctrl-C stops it. Every port serves everything.\n\n", d->data);
	for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
		printf("  %-13s http://localhost:%u%s\n", lines[i].name, port_for(lines[i].port, ports, count), lines[i].path);
	}
	printf("  %-13s psql '%s' -c 'SELECT * FROM tidegate.record'\n\n"
		   "Try:\n"
		   "  curl --json '{\"name\":\"user-events\",\"partitions\":4}' http://localhost:%u/topics\n"
		   "  curl --json '{\"messages\":[{\"key\":\"user-1\",\"value\":\"hello\"}]}' "
		   "http://localhost:%u/topics/user-events/produce\n"
		   "  curl --json '{\"group_id\":\"me\"}' http://localhost:%u/topics/user-events/consume\n"
		   "  curl -N 'http://localhost:%u/topics/user-events/stream?offset=earliest'\n\n",
		   "SQL", postgres_url(d->database), port, port, port, port);
	fflush(stdout);
}

static bool keep_database(void *context, err *e)
{
	const dev *d = context;
	return postgres_keep(d->database, e);
}

static bool choose_settings(config *settings, const char *url, err *e)
{
	bool is_usual = settings->listen.len == 0 || config_is_default(settings, STR("listen"));
	if (is_usual && !config_set(settings, STR("listen"), STR(DEV_LISTEN), e)) {
		return false;
	}
	/* What runs on this machine is called on this machine. */
	if (config_is_default(settings, STR("webhook_allow_localhost")) &&
		!config_set(settings, STR("webhook_allow_localhost"), STR("true"), e)) {
		return false;
	}
	return config_set(settings, STR("database_url"), str_from_c(url), e);
}

static int run(cli_call *call)
{
	int status = CLI_FAILED;
	config *settings = NULL;
	dev d = {.data = POSTGRES_DIRECTORY};
	err e = {0};
	const cli_option options[] = {{.name = "data", .value = &d.data}};
	if (!cli_parse(call, options, 1, &settings, NULL, &e)) {
		status = cli_fail(call, CLI_USAGE, e.message);
		goto out;
	}
	service_block_signals();
	const postgres_options embedded = {.directory = d.data, .environment = call->environment, .progress = stderr};
	if (!postgres_start(&embedded, &d.database, &e) || !choose_settings(settings, postgres_url(d.database), &e)) {
		status = cli_fail(call, CLI_FAILED, e.message);
		goto out;
	}
	const service_options service = {
		.config = settings, .on_ready = print_welcome, .keep = keep_database, .context = &d};
	status = service_run(&service, &e) ? CLI_OK : cli_fail(call, CLI_FAILED, e.message);
out:
	postgres_stop(d.database);
	config_free(settings);
	return status;
}

const cli_command CLI_DEV = {
	.name = "dev",
	.summary = "run everything on this machine, with a private Postgres",
	.help = "Usage: tidegate dev [--data DIR] [--listen ADDR:PORT[,…]] [--port-file FILE] [--SETTING VALUE …]\n\n"
			"Starts a Postgres of its own in DIR (default " POSTGRES_DIRECTORY
			"; unix socket only), brings its schema up to "
			"date, and\n"
			"serves every dialect on the ports that its clients expect, on loopback. Ctrl-C stops both. What was "
			"written is\n"
			"there again the next time. Without API keys nobody is asked for one.\n\n"
			"--data DIR         where the records are kept\n"
			"--listen ADDRESSES default 127.0.0.1 with ports 5470, 4000, 4437, 3000 and 3001\n"
			"--port-file FILE   write host:port of each listener to FILE once requests are answered\n",
	.run = run,
};
