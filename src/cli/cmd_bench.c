#include <stdio.h>
#include <stdlib.h>

#include "cli/bench/bench.h"
#include "cli/cli.h"

enum { REPORT_BYTES_MAX = 1 << 20 };

/* The arguments as they are given. */
typedef struct arguments {
	const char *url;
	const char *api_key;
	const char *peer_url;
	const char *database_url;
	const char *server_pid;
	const char *only;
	const char *seconds;
	const char *value_bytes;
	const char *key_bytes;
	const char *batch_connections;
	const char *batch_records;
	const char *readers;
	const char *watchers;
	const char *long_millions;
	const char *long_minutes;
	const char *pgbench;
	bool random_values;
	bool keeps_topics;
	bool is_strict;
	bool as_json;
	bool as_markdown;
} arguments;

static bool take_number(const char *option, const char *text, uint32_t least, uint32_t most, uint32_t *out, err *e)
{
	uint64_t value = 0;
	if (text == NULL) {
		return true;
	}
	if (!str_parse_u64(str_from_c(text), most, &value) || value < least) {
		return err_set(e, ERR_INVALID_REQUEST, "--%s is a number from %u to %u", option, least, most);
	}
	*out = (uint32_t)value;
	return true;
}

static const char *given_or_environment(const char *given, const char *variable)
{
	const char *value = given != NULL ? given : getenv(variable);
	return value != NULL && value[0] != '\0' ? value : NULL;
}

static bool take_arguments(const arguments *a, bench_options *o, err *e)
{
	uint32_t pid = 0;
	const char *url = given_or_environment(a->url, "TIDEGATE_URL");
	if (url != NULL) {
		o->url = str_from_c(url);
	}
	o->api_key = str_from_c(given_or_environment(a->api_key, "TIDEGATE_API_KEY"));
	o->database_url = str_from_c(given_or_environment(a->database_url, "TIDEGATE_DATABASE_URL"));
	o->peer_url = str_from_c(a->peer_url);
	o->only = str_from_c(a->only);
	o->pgbench = a->pgbench;
	o->random_values = a->random_values;
	o->keeps_topics = a->keeps_topics;
	o->is_strict = a->is_strict;
	o->format = a->as_json ? BENCH_JSON : a->as_markdown ? BENCH_MARKDOWN : BENCH_TEXT;
	if (!take_number("server-pid", a->server_pid, 1, INT32_MAX, &pid, e) ||
		!take_number("seconds", a->seconds, 1, 3600, &o->seconds, e) ||
		!take_number("value-bytes", a->value_bytes, 1, 32768, &o->value_bytes, e) ||
		!take_number("key-bytes", a->key_bytes, 0, 1024, &o->key_bytes, e) ||
		!take_number("batch-connections", a->batch_connections, 1, 64, &o->batch_connections, e) ||
		!take_number("batch-records", a->batch_records, 1, 10000, &o->batch_records, e) ||
		!take_number("readers", a->readers, 1, 64, &o->readers, e) ||
		!take_number("watchers", a->watchers, 4, 1000000, &o->idle_watchers, e) ||
		!take_number("long", a->long_millions, 1, 100000, &o->long_millions, e) ||
		!take_number("long-minutes", a->long_minutes, 0, 100000, &o->long_minutes, e)) {
		return false;
	}
	o->server_pid = (int32_t)pid;
	return true;
}

static int run(cli_call *call)
{
	int status = CLI_FAILED;
	bool all_well = false;
	err e = {0};
	buf out;
	arguments a = {0};
	bench_options o = bench_options_default();
	const cli_option options[] = {{.name = "url", .value = &a.url},
								  {.name = "api-key", .value = &a.api_key},
								  {.name = "peer-url", .value = &a.peer_url},
								  {.name = "database-url", .value = &a.database_url},
								  {.name = "server-pid", .value = &a.server_pid},
								  {.name = "only", .value = &a.only},
								  {.name = "seconds", .value = &a.seconds},
								  {.name = "value-bytes", .value = &a.value_bytes},
								  {.name = "key-bytes", .value = &a.key_bytes},
								  {.name = "batch-connections", .value = &a.batch_connections},
								  {.name = "batch-records", .value = &a.batch_records},
								  {.name = "readers", .value = &a.readers},
								  {.name = "watchers", .value = &a.watchers},
								  {.name = "long", .value = &a.long_millions},
								  {.name = "long-minutes", .value = &a.long_minutes},
								  {.name = "pgbench", .value = &a.pgbench},
								  {.name = "random-values", .flag = &a.random_values},
								  {.name = "keep-topics", .flag = &a.keeps_topics},
								  {.name = "strict", .flag = &a.is_strict},
								  {.name = "json", .flag = &a.as_json},
								  {.name = "markdown", .flag = &a.as_markdown}};

	buf_init(&out, REPORT_BYTES_MAX);
	if (!cli_parse(call, options, sizeof options / sizeof options[0], NULL, NULL, &e) || !take_arguments(&a, &o, &e)) {
		status = cli_fail(call, CLI_USAGE, e.message);
		goto out;
	}
	if (!bench_run(&o, &out, &all_well, &e)) {
		if (e.log[0] != '\0') {
			fprintf(stderr, "%s\n", e.log);
		}
		status = cli_fail(call, e.code == ERR_INVALID_REQUEST ? CLI_USAGE : CLI_FAILED, e.message);
		goto out;
	}
	if (cli_print(call, &out) && all_well) {
		status = CLI_OK;
	}
out:
	buf_dispose(&out);
	return status;
}

const cli_command CLI_BENCH = {
	.name = "bench",
	.summary = "measure a running server next to what Postgres alone does",
	.help =
		"Usage: tidegate bench [--url URL] [--database-url URL] [--server-pid PID] [OPTIONS]\n\n"
		"Loads a running server over HTTP and compares it, in the same run, with the same appends issued straight\n"
		"through libpq and with pgbench. Whatever a case produces is read back: a figure counts only when every\n"
		"acknowledged offset is there once, in order, with the value that was sent. `./dev bench` starts a server and\n"
		"a Postgres of its own for it. Topics and tables that it makes are removed at the end.\n\n"
		"Cases, in this order:\n"
		"  latency  produce, 1 record, 1 connection: p50, against the same append through libpq\n"
		"  rate     produce, 1 record per request, 64 connections, against pgbench's INSERT at 32 clients\n"
		"  http2    the same over 64 streams of one HTTP/2 connection, against 64 connections over HTTP/1.1\n"
		"  batch    produce, 1000 records per request, one partition, against appends of 1000 through libpq\n"
		"  consume  read from the start, 1000 a page, with one reader and with several\n"
		"  watch    from produce to SSE event, with 1, 100 and 1000 watchers\n"
		"  topics   write 1 and 100 records a request, read 1, 256 and 1000 of them, and watch, over /v0\n"
		"  queue    claim and acknowledge jobs, 50 workers, one and ten at a time\n"
		"  idle     memory of a server with many idle SSE watchers\n"
		"  durable  durable streams: append, read, event streams; against the server at --peer-url\n"
		"  httpmq   httpmq: publish over both protocols, deliver, acknowledge\n"
		"  workers  from produce on one worker to SSE events on others; starts its own (as does keys)\n"
		"  keys     produce with an API key, among ten thousand, against the same without\n"
		"  long     produce and consume before and after a long mixed load (only with --long)\n\n"
		"Where:\n"
		"  --url URL              the server (TIDEGATE_URL, http://127.0.0.1:5470)\n"
		"  --api-key KEY          an API key that may write and read (TIDEGATE_API_KEY)\n"
		"  --peer-url URL         another server of the durable streams protocol, for the baselines of the case "
		"durable\n"
		"  --database-url URL     its Postgres (TIDEGATE_DATABASE_URL), for the baselines; without it there are none\n"
		"  --server-pid PID       the server's process, for its processor time and memory\n"
		"  --pgbench FILE         the pgbench to use; else the installed one\n\n"
		"How much:\n"
		"  --only CASE[,CASE…]    just these\n"
		"  --seconds N            each measurement, after one second of warm-up (8)\n"
		"  --value-bytes N        a record's value (100)\n"
		"  --key-bytes N          a record's key (0: none)\n"
		"  --random-values        values that do not compress, instead of words and numbers\n"
		"  --batch-connections N  connections of the case batch (4)\n"
		"  --batch-records N      records a request of the case batch (1000); the target is for 1000\n"
		"  --readers N            readers of the second measurement of consume (2)\n"
		"  --watchers N           watchers of the case idle (10000)\n"
		"  --long MILLIONS        run the case long with that many million records\n"
		"  --long-minutes N       and for at least that long (60)\n\n"
		"Output, on stdout; progress goes to stderr:\n"
		"  --json                 one JSON document\n"
		"  --markdown             tables for docs/benchmarks.md\n"
		"  --strict               a missed target is a failure\n"
		"  --keep-topics          leave the topics on the server\n\n"
		"Exit status: 0 all measured and verified, 1 a case failed (with --strict, or missed its target), 2 usage.\n\n"
		"Example:\n"
		"  tidegate bench --database-url \"$TIDEGATE_DATABASE_URL\" --server-pid \"$(pidof tidegate)\" --only "
		"latency,rate\n",
	.run = run,
};
