#include "cli/client/reading.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/client/amount.h"
#include "cli/client/terminal.h"

enum { PARTITION_MAX = 1023, FLUSH_MS = 2000, RECORD_TEXT_BYTES_MAX = 256 << 20 };

bool reading_add_partitions(tg_consumer_config *setup, const cli_list *partitions, err *e)
{
	for (size_t i = 0; i < partitions->count; i++) {
		int64_t partition = 0;
		if (!amount_integer("partition", partitions->values[i], 0, PARTITION_MAX, &partition, e)) {
			return false;
		}
		if (tg_consumer_config_add_partition(setup, (int32_t)partition) != TG_OK) {
			return err_set(e, ERR_NO_MEMORY, "there is no memory");
		}
	}
	return true;
}

void reading_tell_gap(void *context, int32_t partition, int64_t from_offset, int64_t to_offset)
{
	const cli_call *call = context;
	fprintf(stderr, "tidegate %s: records %lld to %lld of partition %d were lost to retention\n", call->command->name,
			(long long)from_offset, (long long)to_offset - 1, partition);
}

typedef struct loop {
	const reading *r;
	tg_stream *stream;
	progress progress;
	uint64_t records;
	uint64_t bytes;
	int signals; /* a signalfd */
	int64_t saved_ms;
	int stdout_error; /* an errno; 0 = stdout takes what is written */
} loop;

/* What was read is written: only then does it count. False: nobody reads stdout any more. */
static bool write_out(loop *l)
{
	if (l->stdout_error == 0 && fflush(stdout) != 0) {
		l->stdout_error = errno;
	}
	return l->stdout_error == 0;
}

static tg_status save_positions(loop *l, bool is_last, tg_error *error)
{
	int64_t now_ms = clock_now_ms();
	if (!l->r->has_positions || !write_out(l) || (!is_last && now_ms - l->saved_ms < FLUSH_MS)) {
		return TG_OK;
	}
	l->saved_ms = now_ms;
	tg_status status = tg_offset_commit(l->stream, error);
	return status == TG_OK ? tg_offset_flush(l->stream, error) : status;
}

static bool show_one(loop *l, buf *out, const tg_record *record)
{
	size_t bytes;
	tg_record_value(record, &bytes);
	l->records++;
	l->bytes += bytes;
	buf_clear(out);
	if (l->r->begin != NULL) {
		l->r->begin(out, record);
	}
	show_record(l->r->show, out, record);
	progress_show(&l->progress, l->records, l->bytes);
	if (out->len > 0 && fwrite(out->ptr, 1, out->len, stdout) != out->len) {
		l->stdout_error = errno;
	}
	return l->stdout_error == 0 && !out->failed;
}

/* Waits for records, for the time to save, or for a signal; true: for the end. */
static bool wait_for_more(const loop *l)
{
	struct pollfd both[] = {{.fd = tg_stream_fd(l->stream), .events = POLLIN}, {.fd = l->signals, .events = POLLIN}};
	poll(both, 2, FLUSH_MS / 4);
	return both[1].revents != 0;
}

static bool is_interrupted(const loop *l)
{
	struct pollfd one = {.fd = l->signals, .events = POLLIN};
	return poll(&one, 1, 0) > 0;
}

static tg_status read_all(loop *l, tg_error *error)
{
	const tg_record *record;
	tg_status status;
	buf out;
	buf_init(&out, RECORD_TEXT_BYTES_MAX);
	for (;;) {
		status = tg_stream_next(l->stream, 0, &record, error);
		if (status == TG_OK) {
			/* A signal has to be seen while there is always something to read, too. */
			if (!show_one(l, &out, record) || (l->records % 256 == 0 && is_interrupted(l))) {
				break;
			}
		} else if (status != TG_TIMEOUT) {
			break;
		} else if (!write_out(l) || wait_for_more(l)) {
			status = TG_OK;
			break;
		}
		if (status == TG_TIMEOUT || l->records % 256 == 0) {
			status = save_positions(l, false, error);
			if (status != TG_OK && !error->retryable) { /* else the next round saves them, too */
				break;
			}
		}
	}
	if (out.failed) {
		snprintf(error->message, sizeof error->message, "a record is too large to be shown");
		status = TG_ERR_NO_MEMORY;
	}
	buf_dispose(&out);
	return status == TG_END ? TG_OK : status;
}

/* stdout was closed: `| head` has enough, which is no failure; a full disk is one. */
static int judge_stdout(const loop *l)
{
	if (l->stdout_error == 0 || l->stdout_error == EPIPE) {
		return CLI_OK;
	}
	fprintf(stderr, "tidegate %s: cannot write to standard output: %s\n", l->r->s->call->command->name,
			strerror(l->stdout_error));
	return CLI_FAILED;
}

int reading_run(const reading *r, const tg_consumer_config *setup)
{
	loop l = {.r = r, .signals = -1};
	tg_error error;
	sigset_t wanted;
	int status = CLI_FAILED;

	sigemptyset(&wanted);
	sigaddset(&wanted, SIGINT);
	sigaddset(&wanted, SIGTERM);
	sigprocmask(SIG_BLOCK, &wanted, NULL);
	l.signals = signalfd(-1, &wanted, SFD_CLOEXEC);
	if (tg_stream_open(r->s->client, setup, &l.stream, &error) != TG_OK) {
		status = session_fail(r->s, &error);
		goto out;
	}
	progress_start(&l.progress, r->has_progress && !isatty(STDOUT_FILENO));
	tg_status end = read_all(&l, &error);
	progress_end(&l.progress);
	write_out(&l);
	status = judge_stdout(&l);
	if (end == TG_OK && l.stdout_error == 0) {
		end = save_positions(&l, true, &error);
	}
	if (end != TG_OK) {
		status = session_fail(r->s, &error);
	}
out:
	tg_stream_close(l.stream, NULL);
	if (l.signals >= 0) {
		close(l.signals);
	}
	return status;
}
