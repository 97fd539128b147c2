#include "cli/client/reading.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/client/terminal.h"

enum { FLUSH_MS = 2000, RECORD_TEXT_BYTES_MAX = 256 << 20, STDOUT_BYTES = 256 << 10 };

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
	bool is_stdout_closed;
} loop;

/* What was read is written: only then does it count. False: nobody reads stdout any more. */
static bool write_out(loop *l)
{
	if (fflush(stdout) != 0) {
		l->is_stdout_closed = true;
	}
	return !l->is_stdout_closed;
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
	l->is_stdout_closed = l->is_stdout_closed || fwrite(out->ptr, 1, out->len, stdout) != out->len;
	return !l->is_stdout_closed && !out->failed;
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
			if (status != TG_OK) {
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
	if (!l->is_stdout_closed || errno == EPIPE) {
		return CLI_OK;
	}
	fprintf(stderr, "tidegate %s: cannot write to standard output: %s\n", l->r->s->call->command->name,
			strerror(errno));
	return CLI_FAILED;
}

int reading_run(const reading *r, const tg_consumer_config *setup)
{
	static char stdout_space[STDOUT_BYTES]; /* stdio's until the end of the program */
	loop l = {.r = r, .signals = -1};
	tg_error error;
	sigset_t wanted;
	int status = CLI_FAILED;

	setvbuf(stdout, stdout_space, _IOFBF, sizeof stdout_space);
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
	if (end == TG_OK && !l.is_stdout_closed) {
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
