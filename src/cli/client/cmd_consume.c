/* tidegate consume: the records of a topic, shown as they are wanted. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/client/amount.h"
#include "cli/client/reading.h"
#include "cli/client/terminal.h"

enum { BYTES_MAX = 16 << 20, WIDTH_WITHOUT_TERMINAL = 80 };

/* The arguments as they are given. */
typedef struct arguments {
	session s;
	const char *head;
	const char *tail;
	const char *start;
	const char *end;
	const char *format;
	const char *form;
	const char *max_bytes;
	const char *isolation;
	const char *consumer;
	cli_list partitions;
	bool from_beginning;
	bool all_partitions;
	bool is_bounded;
	bool has_keys;
	bool skips_unknown;
	bool is_cut;
	bool has_no_progress;
} arguments;

/* ---- where to start and end ---- */

static bool read_start(const arguments *a, tg_offset *start, int64_t *first, err *e)
{
	int64_t count = 0;
	int given = (a->from_beginning ? 1 : 0) + (a->head != NULL ? 1 : 0) + (a->tail != NULL ? 1 : 0) +
				(a->start != NULL ? 1 : 0);
	if (given > 1) {
		return err_set(e, ERR_INVALID_REQUEST, "--beginning, --head, --tail and --start exclude each other");
	}
	*start = a->from_beginning ? tg_offset_beginning() : tg_offset_end();
	if (a->start != NULL) {
		if (!amount_integer("start", a->start, 0, INT64_MAX, first, e)) {
			return false;
		}
		*start = tg_offset_absolute(*first);
	} else if (a->head != NULL || a->tail != NULL) {
		const char *text = a->head != NULL ? a->head : a->tail;
		if (!amount_integer(a->head != NULL ? "head" : "tail", text, 0, UINT32_MAX, &count, e)) {
			return false;
		}
		*start = a->head != NULL ? tg_offset_from_beginning((uint32_t)count) : tg_offset_from_end((uint32_t)count);
	}
	return true;
}

static bool set_range(const arguments *a, tg_consumer_config *setup, err *e)
{
	tg_offset start;
	int64_t first = 0;
	int64_t last = -1;
	if (!read_start(a, &start, &first, e) || !amount_integer("end", a->end, 0, INT64_MAX - 1, &last, e)) {
		return false;
	}
	if (a->end != NULL && last < first) {
		return err_set(e, ERR_INVALID_REQUEST, "--end %lld is before --start %lld", (long long)last, (long long)first);
	}
	tg_consumer_config_set_start(setup, start);
	tg_consumer_config_set_end(setup, last);
	tg_consumer_config_set_disable_continuous(setup, a->is_bounded);
	return true;
}

static bool set_partitions(const arguments *a, tg_consumer_config *setup, err *e)
{
	if (a->all_partitions && a->partitions.count > 0) {
		return err_set(e, ERR_INVALID_REQUEST, "--partition and --all-partitions exclude each other");
	}
	return reading_add_partitions(setup, &a->partitions, e);
}

static bool configure(const arguments *a, tg_consumer_config *setup, err *e)
{
	int64_t max_bytes = 1 << 20;
	tg_isolation isolation = TG_READ_UNCOMMITTED;
	if (!set_range(a, setup, e) || !set_partitions(a, setup, e) ||
		!amount_bytes("maxbytes", a->max_bytes, &max_bytes, e) || !amount_isolation(a->isolation, &isolation, e)) {
		return false;
	}
	if (max_bytes < 1 || max_bytes > BYTES_MAX) {
		return err_set(e, ERR_INVALID_REQUEST, "--maxbytes is at most 16MiB");
	}
	tg_consumer_config_set_max_bytes(setup, (size_t)max_bytes);
	tg_consumer_config_set_isolation(setup, isolation);
	if (a->consumer != NULL) {
		if (tg_consumer_config_set_id(setup, a->consumer) != TG_OK) {
			return err_set(e, ERR_NO_MEMORY, "there is no memory");
		}
		tg_consumer_config_set_strategy(setup, TG_OFFSETS_MANUAL); /* reading_run() marks what it has written */
	}
	tg_consumer_config_set_on_gap(setup, reading_tell_gap, (void *)(uintptr_t)a->s.call);
	return true;
}

static bool set_form(const arguments *a, show *form, err *e)
{
	if (a->format != NULL && a->form != NULL) {
		return err_set(e, ERR_INVALID_REQUEST, "--format and --output exclude each other");
	}
	form->has_keys = a->has_keys;
	form->skips_unknown = a->skips_unknown;
	if (a->is_cut) {
		unsigned width = terminal_width(stdout);
		form->cut_columns = width > 0 ? width : WIDTH_WITHOUT_TERMINAL;
	}
	return show_parse_form(a->form, &form->form, e) && (a->format == NULL || show_parse_format(form, a->format, e));
}

/* ---- the command ---- */

/* For a person who would otherwise wonder why nothing comes. */
static void tell_start(const arguments *a, const char *topic)
{
	if (!isatty(STDOUT_FILENO) || !isatty(STDERR_FILENO)) {
		return;
	}
	fprintf(stderr, "Consuming records of `%s` ", topic);
	if (a->from_beginning) {
		fputs("from the beginning", stderr);
	} else if (a->head != NULL) {
		fprintf(stderr, "from %s behind the beginning", a->head);
	} else if (a->tail != NULL) {
		fprintf(stderr, "from %s before the end", a->tail);
	} else if (a->start != NULL) {
		fprintf(stderr, "from offset %s", a->start);
	} else {
		fputs("as they come", stderr);
	}
	fputs(a->is_bounded ? "\n" : "; Ctrl-C ends it\n", stderr);
}

static int run_with(cli_call *call, arguments *a, const char *topic)
{
	show form = {0};
	err e;
	int status = CLI_FAILED;
	tg_consumer_config *setup = tg_consumer_config_new(topic);
	const reading r = {
		.s = &a->s, .show = &form, .has_positions = a->consumer != NULL, .has_progress = !a->has_no_progress};
	if (setup == NULL) {
		return cli_fail(call, CLI_FAILED, "there is no memory");
	}
	if (!configure(a, setup, &e) || !set_form(a, &form, &e)) {
		status = cli_fail(call, CLI_USAGE, e.message);
	} else if (session_open(&a->s)) {
		tell_start(a, topic);
		status = reading_run(&r, setup);
	}
	session_close(&a->s);
	tg_consumer_config_free(setup);
	show_dispose(&form);
	return status;
}

static int run(cli_call *call)
{
	arguments a = {.s = {.call = call}};
	int count = 0;
	err e;
	const cli_option options[] = {
		SESSION_OPTIONS(a.s),
		{.name = "beginning", .letter = 'B', .flag = &a.from_beginning},
		{.name = "head", .letter = 'H', .value = &a.head},
		{.name = "tail", .letter = 'T', .value = &a.tail},
		{.name = "start", .value = &a.start},
		{.name = "end", .value = &a.end},
		{.name = "disable-continuous", .letter = 'd', .flag = &a.is_bounded},
		{.name = "partition", .letter = 'p', .list = &a.partitions},
		{.name = "all-partitions", .letter = 'A', .flag = &a.all_partitions},
		{.name = "key-value", .letter = 'k', .flag = &a.has_keys},
		{.name = "format", .letter = 'F', .value = &a.format},
		{.name = "output", .letter = 'O', .value = &a.form},
		{.name = "suppress-unknown", .flag = &a.skips_unknown},
		{.name = "maxbytes", .letter = 'b', .value = &a.max_bytes},
		{.name = "isolation", .value = &a.isolation},
		{.name = "consumer", .letter = 'c', .value = &a.consumer},
		{.name = "truncate", .flag = &a.is_cut},
		{.name = "disable-progressbar", .flag = &a.has_no_progress},
	};
	if (!cli_parse(call, options, sizeof options / sizeof options[0], NULL, &count, &e)) {
		return cli_fail(call, CLI_USAGE, e.message);
	}
	if (count != 1) {
		return cli_fail(call, CLI_USAGE, "say which topic to consume");
	}
	return run_with(call, &a, call->argv[1]);
}

const cli_command CLI_CONSUME = {
	.name = "consume",
	.summary = "show the records of a topic",
	.run = run,
	.help =
		"Usage: tidegate consume TOPIC [OPTIONS]\n\n"
		"Shows records as they come, of all partitions, until Ctrl-C.\n\n"
		"Where to start (else with what comes from now on), and where to end:\n"
		"  -B, --beginning         at the first record that is kept\n"
		"  -H, --head N            N records behind that, in each partition\n"
		"  -T, --tail N            N records before the end, in each partition\n"
		"  --start N               at offset N\n"
		"  --end N                 stop behind the record with offset N, in each partition\n"
		"  -d, --disable-continuous  stop at the end of what is there now\n"
		"  -p, --partition N       only that one; may be given several times\n"
		"  -A, --all-partitions    all of them, as without it\n"
		"  -c, --consumer ID       go on where the consumer of this name was, and keep its position\n\n"
		"What to show:\n"
		"  -k, --key-value         `[key] value`; `[null]` for a record without a key\n"
		"  -F, --format TEXT       with {{key}}, {{value}}, {{offset}}, {{partition}} and {{time}}\n"
		"  -O, --output FORM       dynamic: text, and hex dumps of what is none; text; binary: hex dumps; json,\n"
		"                          indented; raw: the bytes; table: JSON objects as rows; full_table: with partition,\n"
		"                          offset, time and key (dynamic)\n"
		"  --suppress-unknown      leave out records that text, json or table cannot show\n"
		"  --truncate              cut lines at the width of the terminal\n"
		"  --disable-progressbar   do not count on the terminal what goes into a file\n\n"
		"  -b, --maxbytes S        of an answer of the server, up to 16MiB (1MiB)\n"
		"  --isolation I           read_uncommitted or read_committed; both mean: what is stored\n" SESSION_HELP "\n"
		"  tidegate consume orders -B -d\n"
		"  tidegate consume orders -T 10 -F '{{time}} {{partition}}/{{offset}} {{key}}: {{value}}'\n",
};
