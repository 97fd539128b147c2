/* tidegate produce: lines, or a whole file, as records. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/client/amount.h"
#include "cli/client/input.h"
#include "cli/client/session.h"
#include "cli/client/terminal.h"

enum { PARTITION_MAX = 1023 };

/* The arguments as they are given. */
typedef struct arguments {
	session s;
	const char *topic;
	const char *file;
	const char *key;
	const char *separator;
	const char *compression;
	const char *linger;
	const char *batch_size;
	const char *max_request_size;
	const char *isolation;
	const char *delivery;
	const char *partition;
	bool is_raw;
	bool is_verbose;
} arguments;

typedef struct production {
	const arguments *a;
	tg_producer *producer;
	bool waits_each;     /* for the answer to each record, as people and pipes expect of standard input */
	bool is_interactive; /* standard input is a person */
	bool has_colours;
	uint64_t line;
} production;

/* ---- one record ---- */

static bool send_record(production *p, str key, str value, tg_error *error)
{
	tg_output *output = NULL;
	tg_record_metadata where;
	tg_status status = tg_send(p->producer, key.ptr, key.len, value.ptr != NULL ? value.ptr : "", value.len,
							   p->waits_each ? &output : NULL, error);
	if (status == TG_OK && p->waits_each) {
		status = tg_output_wait(output, -1, &where, error);
	}
	tg_output_free(output);
	return status == TG_OK;
}

/* A line as the options have it: all of it, or key and value. */
static bool send_line(production *p, str line, tg_error *error)
{
	const arguments *a = p->a;
	size_t at = 0;
	if (a->separator == NULL) {
		return send_record(p, str_from_c(a->key), line, error);
	}
	if (!str_find(line, str_from_c(a->separator), &at)) {
		fprintf(stderr, "tidegate produce: line %llu has no separator `%s` and was skipped\n",
				(unsigned long long)p->line, a->separator);
		return true;
	}
	str key = str_take(line, at);
	str value = str_skip(line, at + strlen(a->separator));
	if (!send_record(p, key, value, error)) {
		return false;
	}
	if (a->is_verbose) {
		printf("[%.*s] %.*s\n", STR_ARG(key), STR_ARG(value));
	}
	return true;
}

/* ---- all of them ---- */

static void prompt(const production *p)
{
	if (p->is_interactive) {
		fflush(stdout);
		fputs("> ", stderr);
	}
}

static void applaud(const production *p)
{
	if (p->is_interactive) {
		fputs(p->has_colours ? "\033[1;32mOk!\033[0m\n" : "Ok!\n", stdout);
	}
}

static int send_lines(production *p, input *in)
{
	err e;
	tg_error error;
	str line;
	input_result result;
	prompt(p);
	while ((result = input_line(in, &line, &e)) == INPUT_LINE) {
		p->line++;
		if (!send_line(p, line, &error)) {
			return session_fail(&p->a->s, &error);
		}
		applaud(p);
		prompt(p);
	}
	if (p->is_interactive) {
		fputc('\n', stderr);
	}
	return result == INPUT_END ? CLI_OK : cli_fail(p->a->s.call, CLI_FAILED, e.message);
}

static int send_all(production *p, input *in)
{
	err e;
	tg_error error;
	str all;
	if (!input_all(in, &all, &e)) {
		return cli_fail(p->a->s.call, CLI_FAILED, e.message);
	}
	return send_record(p, str_from_c(p->a->key), all, &error) ? CLI_OK : session_fail(&p->a->s, &error);
}

static int produce(const arguments *a, tg_producer *producer, bool is_at_most_once)
{
	production p = {
		.a = a,
		.producer = producer,
		.waits_each = a->file == NULL && !a->is_raw && !is_at_most_once,
		.is_interactive = a->file == NULL && isatty(STDIN_FILENO),
		.has_colours = terminal_has_colours(stdout),
	};
	err e;
	tg_error error;
	input in;
	int status = CLI_FAILED;
	if (!input_open(&in, a->file, &e)) {
		return cli_fail(a->s.call, CLI_FAILED, e.message);
	}
	status = a->is_raw ? send_all(&p, &in) : send_lines(&p, &in);
	input_close(&in);
	if (tg_flush(producer, -1, &error) != TG_OK && status == CLI_OK) {
		status = session_fail(&a->s, &error);
	}
	return status;
}

/* ---- the command ---- */

static bool check_arguments(const arguments *a, err *e)
{
	if (a->separator != NULL && a->separator[0] == '\0') {
		return err_set(e, ERR_INVALID_REQUEST, "--key-separator must not be empty");
	}
	if (a->separator != NULL && (a->is_raw || a->key != NULL)) {
		return err_set(e, ERR_INVALID_REQUEST, "--key-separator excludes %s", a->is_raw ? "--raw" : "--key");
	}
	return true;
}

static bool configure(const arguments *a, tg_producer_config *setup, bool *is_at_most_once, err *e)
{
	int64_t linger_ms = 0;
	int64_t batch_bytes = -1;
	int64_t request_bytes = -1;
	int64_t partition = -1;
	tg_compression compression = TG_COMPRESSION_NONE;
	tg_isolation isolation = TG_READ_UNCOMMITTED;
	tg_delivery delivery = TG_AT_LEAST_ONCE;
	if (!check_arguments(a, e) || !amount_duration_ms("linger", a->linger, &linger_ms, e) ||
		!amount_bytes("batch-size", a->batch_size, &batch_bytes, e) ||
		!amount_bytes("max-request-size", a->max_request_size, &request_bytes, e) ||
		!amount_integer("partition", a->partition, 0, PARTITION_MAX, &partition, e) ||
		!amount_compression(a->compression, &compression, e) || !amount_isolation(a->isolation, &isolation, e) ||
		!amount_delivery(a->delivery, &delivery, e)) {
		return false;
	}
	tg_producer_config_set_linger_ms(setup, linger_ms);
	if (batch_bytes >= 0) {
		tg_producer_config_set_batch_size(setup, (size_t)batch_bytes);
	}
	if (request_bytes >= 0) {
		tg_producer_config_set_max_request_size(setup, (size_t)request_bytes);
	}
	tg_producer_config_set_partition(setup, (int32_t)partition);
	tg_producer_config_set_compression(setup, compression);
	tg_producer_config_set_isolation(setup, isolation);
	tg_producer_config_set_delivery(setup, delivery);
	*is_at_most_once = delivery == TG_AT_MOST_ONCE;
	return true;
}

static int run(cli_call *call)
{
	arguments a = {.s = {.call = call}};
	int count = 0;
	int status = CLI_FAILED;
	bool is_at_most_once = false;
	err e;
	tg_error error;
	tg_producer *producer = NULL;
	tg_producer_config *setup = tg_producer_config_new();
	const cli_option options[] = {
		SESSION_OPTIONS(a.s),
		{.name = "file", .letter = 'f', .value = &a.file},
		{.name = "raw", .flag = &a.is_raw},
		{.name = "key", .value = &a.key},
		{.name = "key-separator", .value = &a.separator},
		{.name = "verbose", .letter = 'v', .flag = &a.is_verbose},
		{.name = "compression", .value = &a.compression},
		{.name = "linger", .value = &a.linger},
		{.name = "batch-size", .value = &a.batch_size},
		{.name = "max-request-size", .value = &a.max_request_size},
		{.name = "isolation", .value = &a.isolation},
		{.name = "delivery-semantic", .value = &a.delivery},
		{.name = "partition", .letter = 'p', .value = &a.partition},
	};
	if (setup == NULL) {
		return cli_fail(call, CLI_FAILED, "there is no memory");
	}
	if (!cli_parse(call, options, sizeof options / sizeof options[0], NULL, &count, &e) ||
		!configure(&a, setup, &is_at_most_once, &e)) {
		status = cli_fail(call, CLI_USAGE, e.message);
		goto out;
	}
	if (count != 1) {
		status = cli_fail(call, CLI_USAGE, "say which topic to produce to");
		goto out;
	}
	a.topic = call->argv[1];
	if (!session_open(&a.s)) {
		goto out;
	}
	if (tg_producer_open(a.s.client, a.topic, setup, &producer, &error) != TG_OK) {
		status = session_fail(&a.s, &error);
		goto out;
	}
	status = produce(&a, producer, is_at_most_once);
	if (tg_producer_close(producer, 0, &error) != TG_OK && status == CLI_OK) {
		status = session_fail(&a.s, &error);
	}
out:
	session_close(&a.s);
	tg_producer_config_free(setup);
	return status;
}

const cli_command CLI_PRODUCE = {
	.name = "produce",
	.summary = "store lines, or files, as records of a topic",
	.run = run,
	.help =
		"Usage: tidegate produce TOPIC [OPTIONS]\n\n"
		"Each line of standard input is a record, and stored before the next one is read. On a terminal it asks for\n"
		"lines until you press Ctrl-D. The topic must exist: `tidegate topic create`.\n\n"
		"  -f, --file FILE         the lines of a file, many at a time\n"
		"  --raw                   all input is one record\n"
		"  --key KEY               of every record; equal keys go to the same partition and stay in order\n"
		"  --key-separator S       a line is a key, S, and a value; one without S is reported and skipped\n"
		"  -v, --verbose           with --key-separator: print what was stored as `[key] value`\n"
		"  -p, --partition N       always that one\n\n"
		"  --compression C         none, gzip, snappy, lz4 or zstd\n"
		"  --linger D              how long a batch waits for more records: 150ms (0)\n"
		"  --batch-size S          bytes of a batch, not records (16384)\n"
		"  --max-request-size S    the largest record or batch (1048576)\n"
		"  --delivery-semantic D   at-least-once: wait for answers and try again; at-most-once: one try\n"
		"                          (at-least-once)\n"
		"  --isolation I           read_uncommitted or read_committed; both mean: stored when it is "
		"answered\n" SESSION_HELP "\n"
		"  echo hello | tidegate produce orders\n"
		"  tidegate produce orders --key-separator : -f pairs.txt --compression zstd --linger 50ms\n",
};
