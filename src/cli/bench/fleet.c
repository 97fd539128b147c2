#include "cli/bench/fleet.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/child.h"
#include "base/clock.h"
#include "db/url.h"

enum {
	URL_MAX = 4096,
	PATH_BYTES = 96,
	PROGRAM_BYTES = 1024,
	WORDS_MAX = 16,
	LAST_WORDS_BYTES = 400,
	STATEMENT_TIMEOUT_MS = 60000,
	START_MS = 30000,
	STOP_MS = 20000,
	COMMAND_MS = 30000,
	POLL_MS = 20
};

static const char DATABASE[] = "tidegate_bench_fleet";
static const char CREATE_DATABASE[] = "CREATE DATABASE tidegate_bench_fleet";
static const char DROP_DATABASE[] = "DROP DATABASE IF EXISTS tidegate_bench_fleet WITH (FORCE)";

typedef struct fleet_worker {
	pid_t pid;
	gateway *gateway;
} fleet_worker;

struct fleet {
	char directory[PATH_BYTES]; /* "" = not made yet */
	char program[PROGRAM_BYTES];
	db_conn *server; /* to the database under test, to make and drop the other */
	db_conn *scratch;
	buf url;
	fleet_worker workers[FLEET_WORKERS_MAX];
	size_t count;
};

/* ---- files ---- */

static void path_of(const fleet *f, const char *what, size_t worker, char out[PATH_BYTES + 32])
{
	snprintf(out, PATH_BYTES + 32, "%s/%s-%zu", f->directory, what, worker);
}

static bool write_settings(const fleet *f, const char *path, const char *settings, err *e)
{
	FILE *file = fopen(path, "we");
	bool ok = file != NULL &&
			  fprintf(file, "database_url = %.*s\nlisten = 127.0.0.1:0\n%s", STR_ARG(buf_str(&f->url)), settings) > 0;
	if (file != NULL && fclose(file) != 0) {
		ok = false;
	}
	return ok || err_set(e, ERR_UNAVAILABLE, "cannot write %s: %s", path, strerror(errno));
}

/* The end of a worker's log, for a message. */
static void quote_log(const char *path, char out[LAST_WORDS_BYTES + 1])
{
	FILE *file = fopen(path, "re");
	size_t n = 0;
	if (file != NULL) {
		if (fseek(file, -LAST_WORDS_BYTES, SEEK_END) != 0) {
			rewind(file);
		}
		n = fread(out, 1, LAST_WORDS_BYTES, file);
		fclose(file);
	}
	out[n] = '\0';
}

static void remove_files(const fleet *f)
{
	static const char *const KINDS[] = {"settings", "port", "log"};
	char path[PATH_BYTES + 32];
	for (size_t i = 0; i <= f->count && i < FLEET_WORKERS_MAX; i++) {
		for (size_t k = 0; k < sizeof KINDS / sizeof KINDS[0]; k++) {
			path_of(f, KINDS[k], i, path);
			unlink(path);
		}
	}
	rmdir(f->directory);
}

/* ---- the database ---- */

static db_conn *connection(str url)
{
	return db_conn_new(&(db_conn_options){.url = url, .role = "bench", .timeout_ms = STATEMENT_TIMEOUT_MS});
}

static bool make_database(fleet *f, str database_url, err *e)
{
	f->server = connection(database_url);
	if (f->server == NULL) {
		return err_set(e, ERR_NO_MEMORY, "out of memory");
	}
	if (!db_run_script(f->server, DROP_DATABASE, e) || !db_run_script(f->server, CREATE_DATABASE, e)) {
		return err_frame(e, "making a database for more workers");
	}
	if (!db_url_with_database(database_url, str_from_c(DATABASE), &f->url, e)) {
		return false;
	}
	f->scratch = connection(buf_str(&f->url));
	return f->scratch != NULL || err_set(e, ERR_NO_MEMORY, "out of memory");
}

static bool make_directory(fleet *f, err *e)
{
	char path[] = "/tmp/tidegate-fleet-XXXXXX";
	ssize_t n = readlink("/proc/self/exe", f->program, sizeof f->program - 1);
	if (n <= 0 || mkdtemp(path) == NULL) {
		return err_set(e, ERR_UNAVAILABLE, "no directory or no program for more workers: %s", strerror(errno));
	}
	f->program[n] = '\0';
	snprintf(f->directory, sizeof f->directory, "%s", path);
	return true;
}

bool fleet_open(str database_url, fleet **out, err *e)
{
	bool ok = false;
	fleet *f = calloc(1, sizeof *f);
	if (f == NULL) {
		return err_set(e, ERR_NO_MEMORY, "out of memory");
	}
	buf_init(&f->url, URL_MAX);
	if (!make_directory(f, e) || !make_database(f, database_url, e)) {
		goto out;
	}
	*out = f;
	f = NULL;
	ok = true;
out:
	fleet_close(f);
	return ok;
}

/* ---- workers ---- */

static bool start(fleet *f, size_t index, pid_t *out, err *e)
{
	char settings[PATH_BYTES + 32];
	char port[PATH_BYTES + 32];
	char log[PATH_BYTES + 32];
	path_of(f, "settings", index, settings);
	path_of(f, "port", index, port);
	path_of(f, "log", index, log);
	int fd = open(log, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0) {
		return err_set(e, ERR_UNAVAILABLE, "cannot write %s: %s", log, strerror(errno));
	}
	char *const argv[] = {f->program, (char[]){"serve"}, (char[]){"--config"}, settings, (char[]){"--port-file"}, port,
						  NULL};
	bool ok = child_start(&(child_command){.argv = argv, .output_fd = fd, .dies_with_us = true}, out, e);
	close(fd);
	return ok;
}

/* Until it wrote its address. *pid becomes 0 when it ended instead. */
static bool await_address(const fleet *f, size_t index, pid_t *pid, char url[PATH_BYTES], err *e)
{
	char path[PATH_BYTES + 32];
	char words[LAST_WORDS_BYTES + 1];
	char line[PATH_BYTES - 8] = "";
	int status = 0;
	int64_t deadline_ms = clock_now_ms() + START_MS;
	path_of(f, "port", index, path);
	while (clock_now_ms() < deadline_ms) {
		if (child_wait(*pid, clock_now_ms() + POLL_MS, &status)) {
			*pid = 0;
			break;
		}
		FILE *file = fopen(path, "re");
		bool is_there = file != NULL && fgets(line, sizeof line, file) != NULL;
		if (file != NULL) {
			fclose(file);
		}
		if (is_there) {
			line[strcspn(line, "\n")] = '\0';
			snprintf(url, PATH_BYTES, "http://%s", line);
			return true;
		}
	}
	path_of(f, "log", index, path);
	quote_log(path, words);
	return err_set(e, ERR_UNAVAILABLE, "a worker did not start: %s", words);
}

bool fleet_add(fleet *f, const char *settings, str api_key, err *e)
{
	char path[PATH_BYTES + 32];
	char url[PATH_BYTES];
	if (f->count == FLEET_WORKERS_MAX) {
		return err_set(e, ERR_NO_MEMORY, "a fleet has at most %d workers", FLEET_WORKERS_MAX);
	}
	fleet_worker *w = &f->workers[f->count];
	path_of(f, "settings", f->count, path);
	if (!write_settings(f, path, settings, e) || !start(f, f->count, &w->pid, e)) {
		return false;
	}
	f->count++;
	return await_address(f, f->count - 1, &w->pid, url, e) && gateway_open(str_from_c(url), api_key, &w->gateway, e);
}

gateway *fleet_gateway(const fleet *f, size_t worker)
{
	return f->workers[worker].gateway;
}

pid_t fleet_process(const fleet *f, size_t worker)
{
	return f->workers[worker].pid;
}

db_conn *fleet_database(const fleet *f)
{
	return f->scratch;
}

bool fleet_run(fleet *f, char *const *words, buf *out, err *e)
{
	char settings[PATH_BYTES + 32];
	char *argv[WORDS_MAX + 4] = {f->program};
	size_t count = 1;
	path_of(f, "settings", 0, settings);
	for (; *words != NULL && count <= WORDS_MAX; words++) {
		argv[count++] = *words;
	}
	argv[count++] = (char[]){"--config"};
	argv[count] = settings;
	return child_capture(argv, clock_now_ms() + COMMAND_MS, out, e);
}

/* ---- the end ---- */

static void stop(fleet_worker *w)
{
	int status = 0;
	gateway_close(w->gateway);
	if (w->pid > 0) {
		kill(w->pid, SIGTERM);
		if (!child_wait(w->pid, clock_now_ms() + STOP_MS, &status)) {
			kill(w->pid, SIGKILL);
			child_wait(w->pid, clock_now_ms() + STOP_MS, &status);
		}
	}
}

void fleet_close(fleet *f)
{
	err e = {0};
	if (f == NULL) {
		return;
	}
	for (size_t i = 0; i < f->count; i++) {
		stop(&f->workers[i]);
	}
	db_conn_free(f->scratch);
	if (f->server != NULL && db_conn_is_open(f->server) && !db_run_script(f->server, DROP_DATABASE, &e)) {
		fprintf(stderr, "bench: the database %s could not be dropped: %s\n", DATABASE, e.message);
	}
	db_conn_free(f->server);
	if (f->directory[0] != '\0') {
		remove_files(f);
	}
	buf_dispose(&f->url);
	free(f);
}
