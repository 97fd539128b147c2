/* tidegate tail: the newest records with where and when they were stored, and what follows. */
#include <stdio.h>

#include "cli/client/amount.h"
#include "cli/client/reading.h"
#include "cli/client/terminal.h"
#include "cli/when.h"

enum { RECORDS_DEFAULT = 10 };

static void append_place(buf *out, const tg_record *record)
{
	when_append_timestamp(out, tg_record_timestamp(record));
	buf_printf(out, " %d/%lld ", tg_record_partition(record), (long long)tg_record_offset(record));
}

/* Grey, so that the records stand out. */
static void append_place_in_grey(buf *out, const tg_record *record)
{
	buf_append_str(out, STR("\033[90m"));
	append_place(out, record);
	buf_append_str(out, STR("\033[0m"));
}

static bool configure(tg_consumer_config *setup, const cli_call *call, const char *records, const cli_list *partitions,
					  bool is_bounded, err *e)
{
	int64_t count = RECORDS_DEFAULT;
	if (!amount_integer("records", records, 0, UINT32_MAX, &count, e) ||
		!reading_add_partitions(setup, partitions, e)) {
		return false;
	}
	tg_consumer_config_set_start(setup, tg_offset_from_end((uint32_t)count));
	tg_consumer_config_set_disable_continuous(setup, is_bounded);
	tg_consumer_config_set_on_gap(setup, reading_tell_gap, (void *)(uintptr_t)call);
	return true;
}

static int run(cli_call *call)
{
	session s = {.call = call};
	show form = {.form = SHOW_DYNAMIC, .has_keys = true};
	cli_list partitions = {0};
	const char *records = NULL;
	bool is_bounded = false;
	int count = 0;
	int status = CLI_FAILED;
	err e;
	tg_consumer_config *setup = NULL;
	const reading r = {
		.s = &s, .show = &form, .begin = terminal_has_colours(stdout) ? append_place_in_grey : append_place};
	const cli_option options[] = {
		SESSION_OPTIONS(s),
		{.name = "records", .letter = 'n', .value = &records},
		{.name = "partition", .letter = 'p', .list = &partitions},
		{.name = "disable-continuous", .letter = 'd', .flag = &is_bounded},
	};
	if (!cli_parse(call, options, sizeof options / sizeof options[0], NULL, &count, &e)) {
		return cli_fail(call, CLI_USAGE, e.message);
	}
	if (count != 1) {
		return cli_fail(call, CLI_USAGE, "say which topic to look at");
	}
	setup = tg_consumer_config_new(call->argv[1]);
	if (setup == NULL) {
		return cli_fail(call, CLI_FAILED, "there is no memory");
	}
	if (!configure(setup, call, records, &partitions, is_bounded, &e)) {
		status = cli_fail(call, CLI_USAGE, e.message);
	} else if (session_open(&s)) {
		status = reading_run(&r, setup);
	}
	session_close(&s);
	tg_consumer_config_free(setup);
	return status;
}

const cli_command CLI_TAIL = {
	.name = "tail",
	.summary = "watch a topic: its newest records, and what follows",
	.run = run,
	.help = "Usage: tidegate tail TOPIC [-n N] [-p N]… [-d]\n\n"
			"Shows the newest records of each partition and then what comes, until Ctrl-C, a line each:\n\n"
			"  2026-05-01T12:30:59.999Z 0/41 [user-1] hello\n\n"
			"which is time, partition and offset, key, value. `tidegate consume` has more forms.\n\n"
			"  -n, --records N         so many of each partition (10)\n"
			"  -p, --partition N       only that one; may be given several times\n"
			"  -d, --disable-continuous  stop at the end of what is there now\n" SESSION_HELP,
};
