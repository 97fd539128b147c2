#include "cli/bench/pgbench.h"

#include <errno.h>
#include <glob.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"

enum { OUTPUT_MAX = 65536, THREADS = 2 };

/* Where packages put pgbench when it is not in PATH. */
static const char *const PLACES[] = {"/usr/lib/postgresql/*/bin/pgbench", "/usr/pgsql-*/bin/pgbench",
									 "/usr/local/pgsql/bin/pgbench"};

static bool is_in_path(const char *name)
{
	str path = str_from_c(getenv("PATH"));
	while (path.len > 0) {
		char candidate[512];
		str directory;
		str_split(path, ':', &directory, &path);
		snprintf(candidate, sizeof candidate, "%.*s/%s", STR_ARG(directory), name);
		if (access(candidate, X_OK) == 0) {
			return true;
		}
	}
	return false;
}

static void find_program(const char *wanted, char *out, size_t out_bytes)
{
	snprintf(out, out_bytes, "%s", wanted != NULL ? wanted : "pgbench");
	if (wanted != NULL || is_in_path("pgbench")) {
		return;
	}
	for (size_t i = 0; i < sizeof PLACES / sizeof PLACES[0]; i++) {
		glob_t found;
		if (glob(PLACES[i], 0, NULL, &found) == 0) {
			/* Sorted by name: the last is the newest. */
			snprintf(out, out_bytes, "%s", found.gl_pathv[found.gl_pathc - 1]);
			globfree(&found);
			return;
		}
	}
}

static bool write_script(const pgbench_options *options, char *path, err *e)
{
	int fd = mkstemp(path);
	if (fd < 0) {
		return err_set(e, ERR_UNAVAILABLE, "no temporary file: %s", strerror(errno));
	}
	bool has_key = options->key.ptr != NULL;
	int n = dprintf(fd,
					"INSERT INTO tidegate_bench.single (key, value) VALUES "
					"(%s%.*s%s, '%.*s');\n",
					has_key ? "'" : "NULL", STR_ARG(options->key), has_key ? "'" : "", STR_ARG(options->value));
	if (close(fd) != 0 || n < 0) {
		unlink(path);
		return err_set(e, ERR_UNAVAILABLE, "the script could not be written: %s", strerror(errno));
	}
	return true;
}

/* The child: never returns. Everything it says goes into the pipe. */
static _Noreturn void become(const pgbench_options *options, const char *program, const char *script, int output)
{
	char url[2048];
	char clients[16];
	char threads[16];
	char seconds[16];
	char name[] = "pgbench";
	char *arguments[] = {
		name,    (char[]){"-n"}, (char[]){"-M"}, (char[]){"prepared"}, (char[]){"-c"}, clients, (char[]){"-j"},
		threads, (char[]){"-T"}, seconds,        (char[]){"-f"},       NULL,           url,     NULL};
	char script_copy[64];
	snprintf(script_copy, sizeof script_copy, "%s", script);
	arguments[11] = script_copy;
	snprintf(url, sizeof url, "%.*s", STR_ARG(options->database_url));
	snprintf(clients, sizeof clients, "%u", options->clients);
	snprintf(threads, sizeof threads, "%u", options->clients < THREADS ? options->clients : THREADS);
	snprintf(seconds, sizeof seconds, "%u", options->seconds);
	if (dup2(output, STDOUT_FILENO) >= 0 && dup2(output, STDERR_FILENO) >= 0) {
		execvp(program, arguments);
	}
	dprintf(output, "%s: %s\n", program, strerror(errno));
	_exit(127);
}

static void read_all(int fd, buf *out)
{
	char piece[4096];
	ssize_t n;
	while ((n = read(fd, piece, sizeof piece)) > 0 || (n < 0 && errno == EINTR)) {
		if (n > 0) {
			buf_append(out, piece, (size_t)n);
		}
	}
	buf_append_byte(out, '\0');
}

/* "tps = 26012.345678 (without initial connection time)" */
static bool parse_rate(const char *output, double *per_second)
{
	const char *at = strstr(output, "tps = ");
	char *end = NULL;
	if (at == NULL) {
		return false;
	}
	double rate = strtod(at + 6, &end);
	if (end == at + 6 || rate <= 0) {
		return false;
	}
	*per_second = rate;
	return true;
}

static bool run_child(const pgbench_options *options, const char *program, const char *script, double *per_second,
					  err *e)
{
	int ends[2];
	int status = 0;
	bool ok = false;
	buf output;
	buf_init(&output, OUTPUT_MAX);
	if (pipe(ends) != 0) {
		return err_set(e, ERR_UNAVAILABLE, "no pipe: %s", strerror(errno));
	}
	pid_t child = fork();
	if (child == 0) {
		close(ends[0]);
		become(options, program, script, ends[1]);
	}
	close(ends[1]);
	if (child < 0) {
		err_set(e, ERR_UNAVAILABLE, "no process: %s", strerror(errno));
		goto out;
	}
	read_all(ends[0], &output);
	while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
	}
	if (output.failed || !WIFEXITED(status) || WEXITSTATUS(status) != 0 || !parse_rate(output.ptr, per_second)) {
		err_set(e, ERR_UNAVAILABLE, "pgbench failed: %.200s", output.failed ? "too much output" : output.ptr);
		goto out;
	}
	ok = true;
out:
	close(ends[0]);
	buf_dispose(&output);
	return ok;
}

bool pgbench_run(const pgbench_options *options, double *per_second, err *e)
{
	char program[512];
	char script[] = "/tmp/tidegate-bench-XXXXXX";
	find_program(options->program, program, sizeof program);
	if (!write_script(options, script, e)) {
		return false;
	}
	bool ok = run_child(options, program, script, per_second, e);
	unlink(script);
	return ok;
}
