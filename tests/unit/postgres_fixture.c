#include "postgres_fixture.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/*
 * The keeper is forked from the test program and talks with it over a socket pair:
 *   test → keeper   STOP, START, or the end of file when the last holder of the other end is gone
 *   keeper → test   DONE or FAILED, once after its start and once per command
 */
enum { COMMAND_STOP = 'x', COMMAND_START = 's', ANSWER_DONE = 'd', ANSWER_FAILED = 'f' };
enum { PATH_BYTES = 256, NAME_BYTES = 64, START_TIMEOUT_MS = 60000 };

typedef struct fixture {
	bool is_ready;
	bool is_external;
	pid_t owner;
	pid_t keeper;
	int control;
	int databases;                      /* created by this process */
	char url[POSTGRES_FIXTURE_URL_MAX]; /* of the first database */
	char name[NAME_BYTES];              /* its name */
	char bin[PATH_BYTES];
	char dir[PATH_BYTES];      /* private: data, log, socket */
	char template[PATH_BYTES]; /* kept between runs */
} fixture;

static fixture the_fixture;

static void die(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

static void die(const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	fputs("postgres_fixture: ", stderr);
	vfprintf(stderr, format, arguments);
	fputs("\n", stderr);
	va_end(arguments);
	exit(2);
}

static void print_to(char *out, size_t size, const char *format, ...) __attribute__((format(printf, 3, 4)));

static void print_to(char *out, size_t size, const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	int n = vsnprintf(out, size, format, arguments);
	va_end(arguments);
	if (n < 0 || (size_t)n >= size) {
		die("a path or URL is too long: %s", out);
	}
}

static void sleep_ms(long ms)
{
	nanosleep(&(struct timespec){ms / 1000, ms % 1000 * 1000000}, NULL);
}

/* ---- processes ---- */

/* The server refuses to run as root. In a child, between fork and exec. */
static void become_server_user(void)
{
	if (geteuid() == 0) {
		const struct passwd *user = getpwnam("postgres");
		if (user == NULL || initgroups(user->pw_name, user->pw_gid) != 0 || setgid(user->pw_gid) != 0 ||
			setuid(user->pw_uid) != 0) {
			_exit(126);
		}
	}
}

/* output: a file that takes what the program prints, or NULL to leave it. */
static pid_t spawn(bool as_server_user, const char *output, const char *const arguments[])
{
	pid_t pid = fork();
	if (pid == 0) {
		/* execv() takes pointers to char that it does not write through. */
		char *copy[16];
		size_t n = 0;
		for (; arguments[n] != NULL && n < 15; n++) {
			copy[n] = strdup(arguments[n]);
		}
		copy[n] = NULL;
		if (as_server_user) {
			become_server_user();
		}
		if (output != NULL) {
			int out = open(output, O_WRONLY | O_CREAT | O_APPEND, 0600);
			int in = open("/dev/null", O_RDONLY);
			if (out < 0 || in < 0 || dup2(in, 0) < 0 || dup2(out, 1) < 0 || dup2(out, 2) < 0) {
				_exit(127);
			}
		}
		if (chdir("/") == 0) {
			execv(copy[0], copy);
		}
		_exit(127);
	}
	return pid;
}

static bool wait_success(pid_t pid)
{
	int status = 0;
	while (pid > 0 && waitpid(pid, &status, 0) < 0) {
		if (errno != EINTR) {
			return false;
		}
	}
	return pid > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static bool run(bool as_server_user, const char *output, const char *const arguments[])
{
	return wait_success(spawn(as_server_user, output, arguments));
}

static bool remove_tree(const char *path)
{
	return run(false, NULL, (const char *const[]){"/bin/rm", "-rf", path, NULL});
}

/* ---- the keeper ---- */

static bool is_directory(const char *path)
{
	struct stat info;
	return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

/* initdb, or a copy of what an earlier one made. */
static bool make_data(const fixture *f, const char *data, const char *log)
{
	char program[PATH_BYTES + 16];
	char fresh[PATH_BYTES + 32];
	if (is_directory(f->template)) {
		return run(false, NULL, (const char *const[]){"/bin/cp", "-a", f->template, data, NULL});
	}
	print_to(program, sizeof program, "%s/initdb", f->bin);
	if (!run(true, log,
			 (const char *const[]){program, "-D", data, "-E", "UTF8", "--locale=C", "-A", "trust", "-U", "tidegate",
								   "--no-sync", NULL})) {
		return false;
	}
	/* Kept for the next time. Of several programs at once one wins; it does not matter which. */
	print_to(fresh, sizeof fresh, "%s.%ld", f->template, (long)getpid());
	if (!run(false, "/dev/null", (const char *const[]){"/bin/cp", "-a", data, fresh, NULL}) ||
		rename(fresh, f->template) != 0) {
		remove_tree(fresh);
	}
	return true;
}

/* The last line of postmaster.pid says "ready" when connections are taken. */
static bool is_accepting(const char *data)
{
	char path[PATH_BYTES + 32];
	char line[256];
	bool is_ready = false;
	print_to(path, sizeof path, "%s/postmaster.pid", data);
	FILE *file = fopen(path, "re");
	if (file == NULL) {
		return false;
	}
	while (fgets(line, (int)sizeof line, file) != NULL) {
		is_ready = strncmp(line, "ready", 5) == 0;
	}
	fclose(file);
	return is_ready;
}

static bool start_server(const fixture *f, const char *data, const char *log, pid_t *server)
{
	char program[PATH_BYTES + 16];
	char pid_file[PATH_BYTES + 32];
	char directories[PATH_BYTES + 32];
	print_to(program, sizeof program, "%s/postgres", f->bin);
	print_to(pid_file, sizeof pid_file, "%s/postmaster.pid", data);
	print_to(directories, sizeof directories, "unix_socket_directories=%s", f->dir);
	unlink(pid_file); /* of a killed server; its number may belong to another process by now */
	*server = spawn(true, log,
					(const char *const[]){program, "-D", data, "-c", directories, "-c", "listen_addresses=", "-c",
										  "fsync=off", "-c", "dynamic_shared_memory_type=mmap", "-c",
										  "max_connections=200", NULL});
	for (int waited_ms = 0; waited_ms < START_TIMEOUT_MS; waited_ms += 5) {
		if (*server <= 0 || waitpid(*server, NULL, WNOHANG) != 0) {
			*server = -1;
			return false;
		}
		if (is_accepting(data)) {
			return true;
		}
		sleep_ms(5);
	}
	return false;
}

/* SIGQUIT is Postgres's immediate shutdown: as a crash, but its children go with it. */
static void stop_server(pid_t *server)
{
	if (*server > 0) {
		kill(*server, SIGQUIT);
		waitpid(*server, NULL, 0);
		*server = -1;
	}
}

static void show_log(const char *log)
{
	run(false, NULL, (const char *const[]){"/bin/sh", "-c", "tail -n 20 \"$0\" >&2", log, NULL});
}

static void keeper_main(const fixture *f, int control) __attribute__((noreturn));

static void keeper_main(const fixture *f, int control)
{
	char data[PATH_BYTES + 16];
	char log[PATH_BYTES + 16];
	char command = 0;
	char answer = ANSWER_FAILED;
	pid_t server = -1;
	print_to(data, sizeof data, "%s/data", f->dir);
	print_to(log, sizeof log, "%s/log", f->dir);
	setsid(); /* Check ends the process group of a test */
	signal(SIGPIPE, SIG_IGN);
	signal(SIGINT, SIG_IGN);
	signal(SIGTERM, SIG_IGN);
	bool ok = make_data(f, data, log) && start_server(f, data, log, &server);
	for (;;) {
		if (!ok) {
			show_log(log);
		}
		answer = ok ? ANSWER_DONE : ANSWER_FAILED;
		if (write(control, &answer, 1) != 1 || read(control, &command, 1) != 1) {
			break;
		}
		stop_server(&server);
		ok = command == COMMAND_STOP || start_server(f, data, log, &server);
	}
	stop_server(&server);
	remove_tree(f->dir);
	_exit(0);
}

static bool wait_answer(const fixture *f)
{
	char answer = ANSWER_FAILED;
	ssize_t n;
	while ((n = read(f->control, &answer, 1)) < 0 && errno == EINTR) {
	}
	return n == 1 && answer == ANSWER_DONE;
}

/* ---- set-up ---- */

static void find_programs(fixture *f)
{
	const char *given = getenv("TIDEGATE_POSTGRES_BIN");
	long best = 0;
	if (given != NULL && given[0] != '\0') {
		print_to(f->bin, sizeof f->bin, "%s", given);
		return;
	}
	DIR *versions = opendir("/usr/lib/postgresql");
	const struct dirent *entry;
	while (versions != NULL && (entry = readdir(versions)) != NULL) {
		char path[PATH_BYTES];
		long version = strtol(entry->d_name, NULL, 10);
		print_to(path, sizeof path, "/usr/lib/postgresql/%.16s/bin/postgres", entry->d_name);
		if (version > best && access(path, X_OK) == 0) {
			best = version;
			print_to(f->bin, sizeof f->bin, "/usr/lib/postgresql/%ld/bin", version);
		}
	}
	if (versions != NULL) {
		closedir(versions);
	}
	if (best == 0) {
		die("no Postgres in /usr/lib/postgresql; install it (./dev setup) or set TIDEGATE_POSTGRES_BIN");
	}
}

/* Beside the test programs, one for each version of Postgres. */
static void name_template(fixture *f)
{
	char self[PATH_BYTES];
	char version[PATH_BYTES];
	ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
	if (n <= 0) {
		die("cannot read /proc/self/exe");
	}
	self[n] = '\0';
	*strrchr(self, '/') = '\0';
	print_to(version, sizeof version, "%s", f->bin);
	for (char *c = version; *c != '\0'; c++) {
		*c = *c == '/' ? '-' : *c;
	}
	print_to(f->template, sizeof f->template, "%s/postgres-template%s", self, version);
}

static void make_directory(fixture *f)
{
	const char *parent = getenv("TMPDIR");
	print_to(f->dir, sizeof f->dir, "%s/tidegate-test-XXXXXX", parent != NULL && parent[0] != '\0' ? parent : "/tmp");
	if (mkdtemp(f->dir) == NULL) {
		die("cannot make %s: %s", f->dir, strerror(errno));
	}
	if (geteuid() == 0) {
		const struct passwd *user = getpwnam("postgres");
		if (user == NULL || chown(f->dir, user->pw_uid, user->pw_gid) != 0) {
			die("cannot give %s to the user postgres", f->dir);
		}
	}
}

static void end_keeper(void)
{
	fixture *f = &the_fixture;
	if (f->owner == getpid() && f->keeper > 0) {
		close(f->control);
		waitpid(f->keeper, NULL, 0);
		f->keeper = -1;
	}
}

static void start_keeper(fixture *f)
{
	int ends[2];
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) {
		die("socketpair: %s", strerror(errno));
	}
	fflush(NULL);
	f->owner = getpid();
	f->keeper = fork();
	if (f->keeper < 0) {
		die("fork: %s", strerror(errno));
	}
	if (f->keeper == 0) {
		/* Nothing of the test program may stay open because of the server. */
		int control = dup2(ends[1], 3);
		close_range(4, ~0U, 0);
		fcntl(control, F_SETFD, FD_CLOEXEC);
		keeper_main(f, control);
	}
	close(ends[1]);
	f->control = ends[0];
	atexit(end_keeper);
	if (!wait_answer(f)) {
		die("the server did not start; its log is above");
	}
}

static void make_name(fixture *f, char name[NAME_BYTES])
{
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	print_to(name, NAME_BYTES, "tidegate_test_%ld_%lld_%ld_%d", (long)getpid(), (long long)now.tv_sec, now.tv_nsec,
			 f->databases++);
}

/* A later dbname wins over an earlier one, in a URI as in a keyword string. */
static void print_url(char url[POSTGRES_FIXTURE_URL_MAX], const char *base, const char *name)
{
	if (strstr(base, "://") == NULL) {
		print_to(url, POSTGRES_FIXTURE_URL_MAX, "%s dbname=%s", base, name);
	} else {
		print_to(url, POSTGRES_FIXTURE_URL_MAX, "%s%cdbname=%s", base, strchr(base, '?') != NULL ? '&' : '?', name);
	}
}

static void create(const char *server, const char *name, const char *original)
{
	char sql[256];
	print_to(sql, sizeof sql, "CREATE DATABASE %s TEMPLATE %s", name, original);
	postgres_fixture_sql(server, sql);
}

const char *postgres_fixture_url(void)
{
	fixture *f = &the_fixture;
	const char *external = getenv("TIDEGATE_TEST_DATABASE_URL");
	char server[POSTGRES_FIXTURE_URL_MAX];
	if (f->is_ready) {
		return f->url;
	}
	find_programs(f);
	f->is_ready = true;
	f->is_external = external != NULL && external[0] != '\0';
	if (f->is_external) {
		print_to(server, sizeof server, "%s", external);
	} else {
		make_directory(f);
		name_template(f);
		start_keeper(f);
		/* A server that is there may take its time. */
		print_to(server, sizeof server, "postgresql:///postgres?host=%s&user=tidegate&connect_timeout=60", f->dir);
	}
	make_name(f, f->name);
	create(server, f->name, "template1");
	print_url(f->url, server, f->name);
	return f->url;
}

void postgres_fixture_sql(const char *url, const char *sql)
{
	char program[PATH_BYTES + 16];
	print_to(program, sizeof program, "%s/psql", the_fixture.bin);
	if (!run(false, NULL,
			 (const char *const[]){program, "-X", "-q", "-o", "/dev/null", "-d", url, "-v", "ON_ERROR_STOP=1", "-c",
								   sql, NULL})) {
		die("psql failed: %s", sql);
	}
}

static void create_another(char url[POSTGRES_FIXTURE_URL_MAX], const char *original)
{
	fixture *f = &the_fixture;
	char name[NAME_BYTES];
	make_name(f, name);
	create(f->url, name, original);
	print_url(url, f->url, name);
}

void postgres_fixture_create_database(char url[POSTGRES_FIXTURE_URL_MAX])
{
	postgres_fixture_url();
	create_another(url, "template1");
}

void postgres_fixture_copy_database(char url[POSTGRES_FIXTURE_URL_MAX])
{
	postgres_fixture_url();
	create_another(url, the_fixture.name);
}

bool postgres_fixture_can_stop(void)
{
	postgres_fixture_url();
	return !the_fixture.is_external;
}

static void command(char what)
{
	const fixture *f = &the_fixture;
	if (!postgres_fixture_can_stop()) {
		die("a server that is not ours cannot be stopped");
	}
	if (write(f->control, &what, 1) != 1 || !wait_answer(f)) {
		die("the server did not %s", what == COMMAND_STOP ? "stop" : "start");
	}
}

void postgres_fixture_stop(void)
{
	command(COMMAND_STOP);
}

void postgres_fixture_start(void)
{
	command(COMMAND_START);
}
