#include "cli/postgres.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/child.h"
#include "base/clock.h"
#include "cli/postgres_find.h"
#include "cli/postgres_leftover.h"
#include "cli/postgres_place.h"

enum {
	POSTGRES_START_MS = 300000,
	POSTGRES_STOP_MS = 30000,
	POSTGRES_FORCED_STOP_MS = 5000,
	POSTGRES_INITDB_MS = 120000,
	POSTGRES_RETRY_MS = 5000, /* a server that ends at once is tried again for so long */
	POSTGRES_NEWS_MS = 5000,  /* a word to whoever waits */
	POSTGRES_POLL_MS = 10,
	POSTGRES_LOG_MAX = 16 << 20, /* a larger log is put aside at the start */
	POSTGRES_LOG_TAIL = 4096,
};

struct postgres {
	postgres_place place;
	postgres_server server;
	FILE *progress;
	uint32_t start_timeout_ms;
	uint32_t stop_timeout_ms;
	int log_fd;
	pid_t pid; /* 0: not running */
	char url[POSTGRES_URL_MAX];
};

#define PORT "5432" /* a part of the socket's name, no more */

static const char NEW_PREFIX[] = "postgres.new.";

static const char SETTINGS[] =
	"# Written by tidegate at every start. Settings of your own belong into local.conf beside this file.\n"
	"listen_addresses = ''\n"
	"port = " PORT "\n"
	"unix_socket_directories = '%s'\n"
	"unix_socket_permissions = 0700\n"
	"max_connections = 60\n"
	"shared_buffers = 128MB\n"
	"fsync = on\n"
	"synchronous_commit = on\n"
	"wal_compression = lz4\n"
	"default_toast_compression = lz4\n"
	"max_wal_size = 2GB\n"
	"timezone = 'UTC'\n"
	"log_timezone = 'UTC'\n"
	"log_line_prefix = '%%m [%%p] '\n"
	"include_if_exists = 'local.conf'\n";

/* ---- the log ---- */

static bool open_log(postgres *p, err *e)
{
	char path[PATH_MAX];
	char older[PATH_MAX];
	struct stat info;

	if (snprintf(path, sizeof path, "%s/postgres.log", p->place.directory) >= (int)sizeof path ||
		snprintf(older, sizeof older, "%s.1", path) >= (int)sizeof older) {
		return err_set(e, ERR_UNAVAILABLE, "the path %.200s is too long", p->place.directory);
	}
	if (lstat(path, &info) == 0 && info.st_size > POSTGRES_LOG_MAX) {
		rename(path, older);
	}
	p->log_fd = open(path, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	return p->log_fd >= 0 || err_set(e, ERR_UNAVAILABLE, "cannot open %.200s: %s", path, strerror(errno));
}

static off_t log_size(const postgres *p)
{
	return lseek(p->log_fd, 0, SEEK_END);
}

static bool is_complaint(str line)
{
	size_t at;
	return str_find(line, STR("FATAL"), &at) || str_find(line, STR("ERROR"), &at) || str_find(line, STR("error:"), &at);
}

/* Fails with what the log says since `from`: its last complaint, or its last line. */
static bool fail_with_log(const postgres *p, off_t from, const char *what, err *e)
{
	char text[POSTGRES_LOG_TAIL];
	off_t end = log_size(p);
	str said = STR("nothing");
	bool is_found = false;

	from = end - from > (off_t)sizeof text ? end - (off_t)sizeof text : from;
	ssize_t len = pread(p->log_fd, text, sizeof text, from);
	for (str rest = {text, len > 0 ? (size_t)len : 0}; rest.len > 0;) {
		str line;
		str_split(rest, '\n', &line, &rest);
		line = str_trim(line);
		if (line.len > 0 && (!is_found || is_complaint(line))) {
			said = line;
			is_found = is_complaint(line);
		}
	}
	return err_set(e, ERR_UNAVAILABLE, "%s; %.80s/postgres.log says: %.*s", what, p->place.directory,
				   STR_ARG(str_take(said, 160)));
}

/* ---- the data directory ---- */

static int remove_one(const char *path, const struct stat *info, int kind, struct FTW *walk)
{
	(void)info;
	(void)kind;
	(void)walk;
	return remove(path);
}

/* The directory itself cannot be removed by the user that owns only what is in it. */
static int remove_tree(void *context)
{
	nftw(context, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	return 0;
}

/* What an interrupted first start left. */
static void remove_unfinished(const postgres *p)
{
	const struct dirent *entry;
	DIR *home = opendir(p->place.home);

	if (home == NULL) {
		return;
	}
	while ((entry = readdir(home)) != NULL) {
		char path[PATH_MAX];
		if (str_starts_with(str_from_c(entry->d_name), STR(NEW_PREFIX)) &&
			snprintf(path, sizeof path, "%s/%s", p->place.home, entry->d_name) < (int)sizeof path) {
			child_call(&p->place.user, remove_tree, path);
			rmdir(path);
		}
	}
	closedir(home);
}

typedef struct settings_file {
	char path[PATH_MAX];
	char text[sizeof SETTINGS + PATH_MAX];
} settings_file;

static int write_settings_file(void *context)
{
	const settings_file *file = context;
	size_t len = strlen(file->text);
	int fd = open(file->path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	bool ok = fd >= 0 && write(fd, file->text, len) == (ssize_t)len;

	if (fd >= 0) {
		close(fd);
	}
	return ok ? 0 : 1;
}

static bool write_settings(const postgres *p, const char *data, err *e)
{
	settings_file file;

	if (snprintf(file.path, sizeof file.path, "%s/postgresql.conf", data) >= (int)sizeof file.path) {
		return err_set(e, ERR_UNAVAILABLE, "the path %.200s is too long", data);
	}
	snprintf(file.text, sizeof file.text, SETTINGS, p->place.socket);
	return child_call(&p->place.user, write_settings_file, &file) == 0 ||
		   err_set(e, ERR_UNAVAILABLE, "cannot write %.200s; is the disk full", file.path);
}

/* Runs one of the server's programs to its end. */
static bool run_program(const postgres *p, char *const *argv, const char *input, const char *what, err *e)
{
	int status = 0;
	off_t log_from = log_size(p);
	const child_command command = {
		.argv = argv, .user = &p->place.user, .input = input, .output_fd = p->log_fd, .dies_with_us = true};

	if (!child_run(&command, clock_now_ms() + POSTGRES_INITDB_MS, &status, e)) {
		return false;
	}
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
		return fail_with_log(p, log_from, what, e);
	}
	return true;
}

static bool run_initdb(const postgres *p, char *data, err *e)
{
	char program[PATH_MAX + 16];
	char *const argv[] = {program,
						  (char[]){"-D"},
						  data,
						  (char[]){"-E"},
						  (char[]){"UTF8"},
						  (char[]){"--locale=C"},
						  (char[]){"-U"},
						  (char[]){"tidegate"},
						  (char[]){"--auth-local=trust"},
						  (char[]){"--auth-host=reject"},
						  NULL};

	snprintf(program, sizeof program, "%s/initdb", p->server.bin);
	return run_program(p, argv, NULL, "initdb failed", e);
}

static bool create_database(const postgres *p, char *data, err *e)
{
	char program[PATH_MAX + 16];
	char *const argv[] = {program,        (char[]){"--single"},         (char[]){"-D"},       data,
						  (char[]){"-c"}, (char[]){"exit_on_error=on"}, (char[]){"postgres"}, NULL};

	snprintf(program, sizeof program, "%s/postgres", p->server.bin);
	return run_program(p, argv, "CREATE DATABASE tidegate;\n", "cannot create the database", e);
}

/* Made aside and renamed when it is whole, so that an interrupted start leaves no half of one. */
static bool make_data(postgres *p, err *e)
{
	char data[PATH_MAX];
	char link_path[PATH_MAX];

	postgres_say(p->progress, "making a private Postgres %d in %s", p->server.version, p->place.data);
	if (snprintf(data, sizeof data, "%s/%sXXXXXX", p->place.home, NEW_PREFIX) >= (int)sizeof data ||
		snprintf(link_path, sizeof link_path, "%s/postgres", p->place.directory) >= (int)sizeof link_path) {
		return err_set(e, ERR_UNAVAILABLE, "the path %.200s is too long", p->place.home);
	}
	remove_unfinished(p);
	if (mkdtemp(data) == NULL || (p->place.user.is_other && lchown(data, p->place.user.uid, p->place.user.gid) < 0)) {
		return err_set(e, ERR_UNAVAILABLE, "cannot make a directory in %.200s: %s", p->place.home, strerror(errno));
	}
	if (!run_initdb(p, data, e) || !write_settings(p, data, e) || !create_database(p, data, e)) {
		remove_unfinished(p);
		return false;
	}
	if (rename(data, p->place.data) < 0) {
		err_set(e, ERR_UNAVAILABLE, "cannot put the new data to %.200s: %s; is something else there", p->place.data,
				strerror(errno));
		remove_unfinished(p);
		return false;
	}
	if (strcmp(link_path, p->place.data) != 0 && symlink(p->place.data, link_path) < 0) {
		return err_set(e, ERR_UNAVAILABLE, "cannot make the link %.200s: %s", link_path, strerror(errno));
	}
	return true;
}

/* ---- the server ---- */

static void pause_ms(long ms)
{
	nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000}, NULL);
}

typedef enum start_result { START_READY, START_ENDED, START_LATE } start_result;

static start_result wait_until_ready(postgres *p, int64_t deadline_ms)
{
	int64_t news_ms = clock_now_ms() + POSTGRES_NEWS_MS;

	for (;;) {
		bool is_ready;
		int status;
		if (child_wait(p->pid, 0, &status)) {
			p->pid = 0;
			return START_ENDED;
		}
		if (postgres_leftover_read_pid(&p->place, &is_ready) == p->pid && is_ready) {
			return START_READY;
		}
		int64_t now_ms = clock_now_ms();
		if (now_ms >= deadline_ms) {
			return START_LATE;
		}
		if (now_ms >= news_ms) {
			postgres_say(p->progress, "Postgres is still starting; after a crash it repairs its data first");
			news_ms = now_ms + POSTGRES_NEWS_MS;
		}
		pause_ms(POSTGRES_POLL_MS);
	}
}

static void stop_server(postgres *p)
{
	static const int signals[] = {SIGINT, SIGQUIT, SIGKILL};
	uint32_t patience_ms = p->stop_timeout_ms;
	int status;

	for (size_t i = 0; i < sizeof signals / sizeof signals[0] && p->pid != 0; i++) {
		kill(p->pid, signals[i]);
		if (child_wait(p->pid, clock_now_ms() + patience_ms, &status)) {
			p->pid = 0;
		}
		if (patience_ms > POSTGRES_FORCED_STOP_MS) {
			patience_ms = POSTGRES_FORCED_STOP_MS;
		}
	}
}

static bool launch(postgres *p, err *e)
{
	char program[PATH_MAX + 16];
	char *const argv[] = {program, (char[]){"-D"}, p->place.data, NULL};
	const child_command command = {.argv = argv, .user = &p->place.user, .output_fd = p->log_fd, .dies_with_us = true};

	snprintf(program, sizeof program, "%s/postgres", p->server.bin);
	return child_start(&command, &p->pid, e);
}

/* A server that ended at once may have met the last traces of an earlier one (its shared memory), so it gets more
 * tries. */
static bool run_server(postgres *p, err *e)
{
	int64_t deadline_ms = clock_now_ms() + p->start_timeout_ms;
	int64_t retry_until_ms = clock_now_ms() + POSTGRES_RETRY_MS;

	if (!write_settings(p, p->place.data, e)) {
		return false;
	}
	for (;;) {
		off_t log_from = log_size(p);
		if (!postgres_leftover_stop(&p->place, p->stop_timeout_ms, p->progress, e) || !launch(p, e)) {
			return false;
		}
		switch (wait_until_ready(p, deadline_ms)) {
		case START_READY:
			return true;
		case START_ENDED:
			if (clock_now_ms() >= retry_until_ms) {
				return fail_with_log(p, log_from, "Postgres did not start", e);
			}
			pause_ms(POSTGRES_RETRY_MS / 10);
			break;
		case START_LATE:
			stop_server(p);
			return fail_with_log(p, log_from, "Postgres was not ready in time", e);
		}
	}
}

static bool write_url(char url[POSTGRES_URL_MAX], const char *socket)
{
	return snprintf(url, POSTGRES_URL_MAX, "host=%s port=" PORT " user=tidegate dbname=tidegate", socket) <
		   POSTGRES_URL_MAX;
}

static bool start(postgres *p, const postgres_options *options, err *e)
{
	if (!postgres_place_open(options->directory, options->environment, p->progress, &p->place, e) || !open_log(p, e) ||
		!postgres_find(options->environment, p->place.version, &p->server, e)) {
		return false;
	}
	if (p->place.user.is_other) {
		postgres_say(p->progress, "Postgres refuses to run as root, so it runs as the user %s", p->place.user.name);
	}
	if (p->place.version == 0 && !make_data(p, e)) {
		return false;
	}
	postgres_say(p->progress, "starting Postgres %d", p->server.version);
	if (!run_server(p, e)) {
		return false;
	}
	return write_url(p->url, p->place.socket) ||
		   err_set(e, ERR_UNAVAILABLE, "the path %.200s is too long", p->place.socket);
}

bool postgres_start(const postgres_options *options, postgres **out, err *e)
{
	postgres *p = calloc(1, sizeof *p);

	if (p == NULL) {
		return err_set(e, ERR_NO_MEMORY, "no memory to start Postgres");
	}
	p->progress = options->progress;
	p->start_timeout_ms = options->start_timeout_ms != 0 ? options->start_timeout_ms : POSTGRES_START_MS;
	p->stop_timeout_ms = options->stop_timeout_ms != 0 ? options->stop_timeout_ms : POSTGRES_STOP_MS;
	p->log_fd = -1;
	if (!start(p, options, e)) {
		postgres_stop(p);
		return false;
	}
	*out = p;
	return true;
}

const char *postgres_url(const postgres *p)
{
	return p->url;
}

bool postgres_find_url(const char *directory, char url[POSTGRES_URL_MAX])
{
	char link_path[PATH_MAX];
	char directory_path[PATH_MAX];
	char socket[PATH_MAX + 32];

	if (snprintf(link_path, sizeof link_path, "%s/socket", directory) >= (int)sizeof link_path ||
		realpath(link_path, directory_path) == NULL) {
		return false;
	}
	snprintf(socket, sizeof socket, "%s/.s.PGSQL." PORT, directory_path);
	return access(socket, F_OK) == 0 && write_url(url, directory_path);
}

bool postgres_keep(postgres *p, err *e)
{
	int status = 0;

	if (p->pid != 0) {
		if (!child_wait(p->pid, 0, &status)) {
			return true;
		}
		p->pid = 0;
		postgres_say(p->progress, "Postgres ended (%s %d); starting it again",
					 WIFSIGNALED(status) ? "signal" : "status",
					 WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
	}
	return run_server(p, e);
}

void postgres_stop(postgres *p)
{
	if (p == NULL) {
		return;
	}
	stop_server(p);
	postgres_place_close(&p->place);
	if (p->log_fd >= 0) {
		close(p->log_fd);
	}
	free(p);
}
