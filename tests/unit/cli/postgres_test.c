/* The private Postgres, with real servers: a first start, a second, and after everything that can be killed was killed.
 */
#include "cli/postgres.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/postgres_find.h"
#include "suite.h"

enum { PATIENCE_MS = 60000, TEXT_MAX = 4096, ROOM_BYTES = 512 << 20 };

static char root[64];         /* everything of this run, removed at its end */
static char template[128];    /* what a first start and a stop left */
static char directory[128];   /* of this test, removed at its end */
static char data[TEXT_MAX];   /* what is given to postgres_start() */
static char answer[TEXT_MAX]; /* what the last program wrote */

static void pause_ms(long ms)
{
	nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000}, NULL);
}

/* Runs a shell text and keeps its output without the last line end. Returns its exit status, -1 without one. */
__attribute__((format(printf, 1, 2))) static int shell(const char *format, ...)
{
	char command[2 * TEXT_MAX];
	va_list args;
	va_start(args, format);
	int needed = vsnprintf(command, sizeof command, format, args);
	va_end(args);
	FILE *pipe = needed < (int)sizeof command ? popen(command, "r") : NULL;
	if (pipe == NULL) {
		return -1;
	}
	size_t len = fread(answer, 1, sizeof answer - 1, pipe);
	while (len > 0 && answer[len - 1] == '\n') {
		len--;
	}
	answer[len] = '\0';
	int status = pclose(pipe);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void make_directory(void)
{
	snprintf(directory, sizeof directory, "%s/XXXXXX", root);
	ck_assert_ptr_nonnull(mkdtemp(directory));
	ck_assert_int_eq(chmod(directory, 0755), 0);
	snprintf(data, sizeof data, "%s/dev", directory);
}

/* A first start takes seconds, so most tests begin with a copy of what one made. */
static void make_directory_with_data(void)
{
	make_directory();
	ck_assert_int_eq(shell("cp -a '%s/dev' '%s/dev'", template, directory), 0);
}

static void remove_directory(void)
{
	shell("rm -rf '%s'", directory);
}

static postgres_options options(void)
{
	return (postgres_options){.directory = data, .environment = environ};
}

static postgres *start(void)
{
	postgres_options o = options();
	postgres *p = NULL;
	err e = {0};
	ck_assert_msg(postgres_start(&o, &p, &e), "%s", e.message);
	return p;
}

/* With a message that has both parts in it. */
static void assert_refused(const char *part, const char *more)
{
	postgres_options o = options();
	postgres *p = NULL;
	err e = {0};
	ck_assert(!postgres_start(&o, &p, &e));
	ck_assert_int_eq(e.code, ERR_UNAVAILABLE);
	ck_assert_msg(strstr(e.message, part) != NULL && strstr(e.message, more) != NULL, "%s", e.message);
	ck_assert_ptr_null(p);
}

static const char *bin(void)
{
	static postgres_server server;
	err e = {0};
	ck_assert(postgres_find(environ, 0, &server, &e));
	return server.bin;
}

/* One SQL text; its rows are in `answer`. */
static int sql(const postgres *p, const char *text)
{
	return shell("'%s/psql' -X -At -v ON_ERROR_STOP=1 -c \"%s\" '%s' 2>&1", bin(), text, postgres_url(p));
}

static void assert_sql(const postgres *p, const char *text, const char *expected)
{
	ck_assert_msg(sql(p, text) == 0, "%s: %s", text, answer);
	ck_assert_str_eq(answer, expected);
}

/* The postmaster by its pid file, or 0. */
static pid_t postmaster(void)
{
	if (shell("head -n 1 '%s/postgres/postmaster.pid' 2>/dev/null", data) != 0 || answer[0] == '\0') {
		return 0;
	}
	return (pid_t)strtol(answer, NULL, 10);
}

static bool is_alive(pid_t pid)
{
	char state[64];
	snprintf(state, sizeof state, "/proc/%ld/stat", (long)pid);
	/* A zombie that nobody reaps is gone. */
	return shell("cut -d' ' -f3 %s 2>/dev/null", state) == 0 && answer[0] != '\0' && answer[0] != 'Z';
}

static void assert_ends(pid_t pid)
{
	int64_t deadline_ms = clock_now_ms() + PATIENCE_MS;
	while (is_alive(pid)) {
		ck_assert_msg(clock_now_ms() < deadline_ms, "process %ld lives on", (long)pid);
		pause_ms(20);
	}
}

/* A process that starts the server, makes a table with one row, and sleeps. Returns its number and the postmaster's. */
static pid_t start_elsewhere(pid_t *server)
{
	int ready[2];
	char byte = 0;
	ck_assert_int_eq(pipe(ready), 0);
	pid_t pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		postgres *p = start();
		assert_sql(p, "CREATE TABLE kept AS SELECT 42 AS x", "SELECT 1");
		ck_assert_int_eq(write(ready[1], "+", 1), 1);
		for (;;) {
			pause();
		}
	}
	close(ready[1]);
	ck_assert_int_eq(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	*server = postmaster();
	ck_assert_int_gt(*server, 0);
	return pid;
}

static void kill_and_reap(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

/* ---- tests ---- */

START_TEST(a_first_start_makes_a_database_and_a_stop_ends_it)
{
	make_directory();
	postgres *p = start();
	pid_t server = postmaster();

	assert_sql(p, "SELECT current_database() || ' ' || current_user", "tidegate tidegate");
	assert_sql(p, "SHOW listen_addresses", "");
	assert_sql(p, "SHOW fsync", "on");
	assert_sql(p, "SHOW synchronous_commit", "on");
	assert_sql(p, "SHOW wal_compression", "lz4");
	assert_sql(p, "SHOW default_toast_compression", "lz4");
	assert_sql(p, "SHOW server_encoding", "UTF8");
	assert_sql(p, "SELECT datcollate FROM pg_database WHERE datname = 'tidegate'", "C");
	ck_assert_int_eq(shell("stat -c %%a '%s/postgres/.' '%s/socket/.' | sort -u", data, data), 0);
	ck_assert_str_eq(answer, "700");
	ck_assert(is_alive(server));
	postgres_stop(p);
	ck_assert(!is_alive(server));
	ck_assert_int_eq(postmaster(), 0);
	ck_assert_int_eq(shell("'%s/pg_controldata' '%s/postgres' | grep -q 'state: *shut down$'", bin(), data), 0);
	remove_directory();
}
END_TEST

START_TEST(a_second_start_finds_what_the_first_wrote)
{
	make_directory_with_data();
	postgres *p = start();
	assert_sql(p, "CREATE TABLE kept AS SELECT 42 AS x", "SELECT 1");
	postgres_stop(p);
	p = start();
	assert_sql(p, "SELECT x FROM kept", "42");
	postgres_stop(p);
	remove_directory();
}
END_TEST

START_TEST(others_find_the_url_of_a_server_while_it_runs)
{
	char url[POSTGRES_URL_MAX];
	make_directory_with_data();
	ck_assert(!postgres_find_url(data, url));
	postgres *p = start();
	ck_assert(postgres_find_url(data, url));
	ck_assert_str_eq(url, postgres_url(p));
	postgres_stop(p);
	ck_assert(!postgres_find_url(data, url));
	remove_directory();
}
END_TEST

START_TEST(settings_of_local_conf_win)
{
	make_directory_with_data();
	shell("echo \"work_mem = '17MB'\" >> '%s/postgres/local.conf'; chmod 644 '%s/postgres/local.conf'", data, data);
	postgres *p = start();
	assert_sql(p, "SHOW work_mem", "17MB");
	postgres_stop(p);
	remove_directory();
}
END_TEST

START_TEST(a_second_program_on_the_directory_is_refused_and_the_first_goes_on)
{
	char expected[64];
	make_directory_with_data();
	postgres *p = start();
	snprintf(expected, sizeof expected, "another `tidegate dev` (process %ld) runs on", (long)getpid());
	assert_refused(expected, "choose another directory with --data");
	assert_sql(p, "SELECT 1", "1");
	postgres_stop(p);
	remove_directory();
}
END_TEST

START_TEST(a_killed_program_takes_its_server_along_and_the_next_start_keeps_the_data)
{
	pid_t server;
	make_directory_with_data();
	kill_and_reap(start_elsewhere(&server));
	assert_ends(server);
	postgres *p = start();
	assert_sql(p, "SELECT x FROM kept", "42");
	postgres_stop(p);
	remove_directory();
}
END_TEST

START_TEST(a_start_right_after_the_kill_does_not_meet_the_old_server)
{
	pid_t server;
	make_directory_with_data();
	kill_and_reap(start_elsewhere(&server));
	postgres *p = start();
	ck_assert(!is_alive(server));
	assert_sql(p, "SELECT x FROM kept", "42");
	postgres_stop(p);
	remove_directory();
}
END_TEST

START_TEST(program_and_server_killed_together_lose_nothing)
{
	pid_t server;
	make_directory_with_data();
	pid_t program = start_elsewhere(&server);
	kill(server, SIGKILL);
	kill_and_reap(program);
	postgres *p = start();
	assert_sql(p, "SELECT x FROM kept", "42");
	postgres_stop(p);
	remove_directory();
}
END_TEST

/* As root the server runs as the user of the data; pg_ctl has to as well. */
static const char *as_owner(void)
{
	return geteuid() == 0 ? "runuser -u postgres --" : "";
}

START_TEST(a_server_that_somebody_else_started_on_the_data_is_stopped)
{
	make_directory_with_data();
	ck_assert_int_eq(shell("cd / && %s '%s/pg_ctl' -D '%s/postgres' -s -w -l /dev/null start", as_owner(), bin(), data),
					 0);
	pid_t foreign = postmaster();
	ck_assert(is_alive(foreign));
	postgres *p = start();
	ck_assert_int_ne(postmaster(), foreign);
	ck_assert(!is_alive(foreign));
	assert_sql(p, "SELECT 1", "1");
	postgres_stop(p);
	remove_directory();
}
END_TEST

START_TEST(a_pid_file_with_the_number_of_another_process_is_no_obstacle)
{
	make_directory_with_data();
	pid_t other = fork();
	if (other == 0) {
		/* The server would respect a process of its own user. */
		if (geteuid() == 0 && setuid(getpwnam("postgres")->pw_uid) != 0) {
			_exit(1);
		}
		for (;;) {
			pause();
		}
	}
	shell("printf '%%s\\n%%s\\n1\\n5432\\n%%s\\n\\n  1  2\\nready\\n' %ld '%s/postgres' '%s/socket' > "
		  "'%s/postgres/postmaster.pid'",
		  (long)other, data, data, data);
	ck_assert_int_eq(postmaster(), other);
	postgres *p = start();
	ck_assert_int_ne(postmaster(), other);
	ck_assert(is_alive(other));
	assert_sql(p, "SELECT 1", "1");
	postgres_stop(p);
	kill_and_reap(other);
	remove_directory();
}
END_TEST

START_TEST(a_killed_server_is_started_again)
{
	err e = {0};
	make_directory_with_data();
	postgres *p = start();
	assert_sql(p, "CREATE TABLE kept AS SELECT 42 AS x", "SELECT 1");
	pid_t first = postmaster();
	ck_assert(postgres_keep(p, &e));
	ck_assert_int_eq(postmaster(), first);
	kill(first, SIGKILL);
	while (is_alive(first)) {
		pause_ms(10);
	}
	ck_assert_msg(postgres_keep(p, &e), "%s", e.message);
	ck_assert_int_ne(postmaster(), first);
	assert_sql(p, "SELECT x FROM kept", "42");
	postgres_stop(p);
	remove_directory();
}
END_TEST

/* A backend that computes does not notice that its postmaster died. A new server must not run beside it. */
START_TEST(a_backend_without_its_server_is_ended_before_the_next_start)
{
	char text[512];
	make_directory_with_data();
	postgres *p = start();
	pid_t first = postmaster();
	/* Without a limit it would outlive a test that fails. */
	shell("PGOPTIONS='-c statement_timeout=%d' '%s/psql' -X -c \"DO 'BEGIN LOOP END LOOP; END'\" '%s' "
		  ">/dev/null 2>&1 &",
		  2 * PATIENCE_MS, bin(), postgres_url(p));
	snprintf(text, sizeof text, "SELECT pid FROM pg_stat_activity WHERE query LIKE 'DO%%' AND state = 'active'");
	int64_t deadline_ms = clock_now_ms() + PATIENCE_MS;
	do {
		ck_assert_int_eq(sql(p, text), 0);
		ck_assert_int_lt(clock_now_ms(), deadline_ms);
	} while (answer[0] == '\0');
	pid_t backend = (pid_t)strtol(answer, NULL, 10);
	kill(first, SIGKILL);
	while (is_alive(first)) {
		pause_ms(10);
	}
	ck_assert(is_alive(backend));
	err e = {0};
	ck_assert_msg(postgres_keep(p, &e), "%s", e.message);
	ck_assert(!is_alive(backend));
	assert_sql(p, "SELECT 1", "1");
	postgres_stop(p);
	remove_directory();
}
END_TEST

START_TEST(a_server_that_does_not_stop_in_time_is_killed)
{
	make_directory_with_data();
	postgres_options o = options();
	o.stop_timeout_ms = 200;
	postgres *p = NULL;
	err e = {0};
	ck_assert_msg(postgres_start(&o, &p, &e), "%s", e.message);
	pid_t server = postmaster();
	kill(server, SIGSTOP);
	postgres_stop(p);
	ck_assert(!is_alive(server));
	p = start();
	assert_sql(p, "SELECT 1", "1");
	postgres_stop(p);
	remove_directory();
}
END_TEST

START_TEST(half_a_first_start_is_thrown_away)
{
	make_directory();
	ck_assert_int_eq(
		shell("mkdir -p '%s/postgres.new.abcdef/base' && touch '%s/postgres.new.abcdef/PG_VERSION'", data, data), 0);
	if (geteuid() == 0) {
		shell("chmod 711 '%s'; chown -R postgres '%s/postgres.new.abcdef'", data, data);
	}
	postgres *p = start();
	assert_sql(p, "SELECT 1", "1");
	ck_assert_int_ne(shell("ls -d '%s'/postgres.new.* 2>/dev/null", data), 0);
	postgres_stop(p);
	remove_directory();
}
END_TEST

START_TEST(in_a_directory_that_is_too_deep_for_a_socket_it_is_put_elsewhere)
{
	struct stat info;
	char path[TEXT_MAX + 32];
	char target[TEXT_MAX];
	make_directory();
	snprintf(data, sizeof data, "%s/%0100d/with blank, comma and 'quote'/dev", directory, 7);
	postgres_options o = options();
	postgres *p = NULL;
	err e = {0};
	ck_assert_msg(postgres_start(&o, &p, &e), "%s", e.message);
	assert_sql(p, "SELECT 1", "1");
	snprintf(path, sizeof path, "%s/socket", data);
	ssize_t len = readlink(path, target, sizeof target - 1);
	ck_assert_int_gt(len, 0);
	target[len] = '\0';
	ck_assert_int_eq(stat(path, &info), 0);
	ck_assert_int_eq(info.st_mode & 07777, 0700);
	postgres_stop(p);
	ck_assert_int_ne(stat(target, &info), 0);
	ck_assert_int_ne(lstat(path, &info), 0);
	remove_directory();
}
END_TEST

START_TEST(a_socket_directory_that_others_may_enter_is_not_used)
{
	struct stat info;
	char path[TEXT_MAX + 8];
	char link_path[TEXT_MAX + 16];
	char target[TEXT_MAX];
	make_directory_with_data();
	snprintf(path, sizeof path, "%s/open", directory);
	snprintf(link_path, sizeof link_path, "%s/socket", data);
	ck_assert_int_eq(mkdir(path, 0777), 0);
	ck_assert_int_eq(chmod(path, 0777), 0);
	if (geteuid() == 0) {
		ck_assert_int_eq(chown(path, getpwnam("postgres")->pw_uid, getpwnam("postgres")->pw_gid), 0);
	}
	ck_assert_int_eq(rmdir(link_path), 0);
	ck_assert_int_eq(symlink(path, link_path), 0);
	postgres *p = start();
	ck_assert_int_eq(lstat(link_path, &info), 0);
	ssize_t len = readlink(link_path, target, sizeof target);
	ck_assert(len < 0 || strncmp(target, path, (size_t)len) != 0);
	assert_sql(p, "SELECT 1", "1");
	postgres_stop(p);
	remove_directory();
}
END_TEST

START_TEST(without_a_server_it_says_what_to_install)
{
	char variable[] = "TIDEGATE_POSTGRES_BIN=/nonexistent/bin";
	char *environment[] = {variable, NULL};
	make_directory();
	postgres_options o = options();
	o.environment = environment;
	postgres *p = NULL;
	err e = {0};
	ck_assert(!postgres_start(&o, &p, &e));
	ck_assert_str_eq(e.message, "TIDEGATE_POSTGRES_BIN is /nonexistent/bin, but there are no working `postgres` and "
								"`initdb` in it");
	remove_directory();
}
END_TEST

START_TEST(data_of_a_version_that_is_not_installed_is_left_alone)
{
	make_directory_with_data();
	ck_assert_int_eq(shell("echo 9 > '%s/postgres/PG_VERSION'", data), 0);
	assert_refused("the data was made by Postgres 9, which is not installed", "");
	ck_assert_int_eq(shell("cat '%s/postgres/PG_VERSION'", data), 0);
	ck_assert_str_eq(answer, "9");
	remove_directory();
}
END_TEST

START_TEST(a_link_to_data_that_is_gone_is_not_replaced_by_an_empty_database)
{
	make_directory();
	ck_assert_int_eq(shell("mkdir '%s' && ln -s /nonexistent/data '%s/postgres'", data, data), 0);
	assert_refused("is a link to data that is gone", "");
	remove_directory();
}
END_TEST

START_TEST(a_server_that_cannot_start_is_quoted)
{
	make_directory_with_data();
	ck_assert_int_eq(shell("chmod 755 '%s/postgres'", data), 0); /* a complaint, then a line of advice */
	assert_refused("Postgres did not start; ", "FATAL:");
	remove_directory();
}
END_TEST

START_TEST(a_directory_that_cannot_be_made_is_named)
{
	make_directory();
	snprintf(data, sizeof data, "/proc/nothing/dev");
	assert_refused("cannot make the directory /proc/nothing/dev: No such file or directory", "");
	remove_directory();
}
END_TEST

START_TEST(as_root_data_goes_elsewhere_when_postgres_may_not_enter)
{
	struct stat info;
	char place[TEXT_MAX] = "";
	if (geteuid() != 0) {
		return;
	}
	make_directory();
	ck_assert_int_eq(chmod(directory, 0700), 0);
	postgres *p = start();
	assert_sql(p, "CREATE TABLE kept AS SELECT 42 AS x", "SELECT 1");
	postgres_stop(p);
	p = start();
	assert_sql(p, "SELECT x FROM kept", "42");
	postgres_stop(p);
	ck_assert_int_eq(shell("readlink '%s/postgres'", data), 0);
	ck_assert_int_eq(strncmp(answer, "/var/lib/tidegate/dev-", 22), 0);
	snprintf(place, sizeof place, "%s", answer);
	ck_assert_int_eq(stat(place, &info), 0);
	ck_assert_int_eq(info.st_uid, getpwnam("postgres")->pw_uid);
	ck_assert_int_eq(info.st_mode & 07777, 0700);
	*strrchr(place, '/') = '\0';
	shell("rm -rf '%s'; rmdir /var/lib/tidegate 2>/dev/null", place);
	remove_directory();
}
END_TEST

/* Root becomes `nobody` for a while; whoever else runs the tests is an ordinary user already. */
START_TEST(an_ordinary_user_runs_it_as_that_user)
{
	int status = 0;
	if (geteuid() != 0) {
		return;
	}
	make_directory();
	const struct passwd *nobody = getpwnam("nobody");
	ck_assert_ptr_nonnull(nobody);
	ck_assert_int_eq(chown(directory, nobody->pw_uid, nobody->pw_gid), 0);
	pid_t pid = fork();
	if (pid == 0) {
		err e = {0};
		postgres *p = NULL;
		postgres_options o = options();
		if (setgroups(0, NULL) != 0 || setgid(nobody->pw_gid) != 0 || setuid(nobody->pw_uid) != 0) {
			_exit(2);
		}
		for (int i = 0; i < 2; i++) {
			if (!postgres_start(&o, &p, &e)) {
				fprintf(stderr, "%s\n", e.message);
				_exit(3);
			}
			if (sql(p, "SELECT 1") != 0) {
				_exit(4);
			}
			if (shell("stat -c %%U '%s/postgres/PG_VERSION'", data) != 0 || strcmp(answer, "nobody") != 0) {
				_exit(5);
			}
			postgres_stop(p);
		}
		_exit(0);
	}
	waitpid(pid, &status, 0);
	ck_assert(WIFEXITED(status));
	ck_assert_int_eq(WEXITSTATUS(status), 0);

	/* Root goes on with that user's data as that user; the other way round it is refused. */
	postgres *p = start();
	ck_assert_int_eq(shell("stat -c %%U /proc/%ld", (long)postmaster()), 0);
	ck_assert_str_eq(answer, "nobody");
	postgres_stop(p);
	remove_directory();
}
END_TEST

START_TEST(data_of_another_user_is_refused)
{
	int status = 0;
	if (geteuid() != 0) {
		return;
	}
	make_directory_with_data();
	const struct passwd *nobody = getpwnam("nobody");
	shell("chmod 755 '%s'; chmod 711 '%s/postgres'; chmod 666 '%s/lock'", data, data, data);
	pid_t pid = fork();
	if (pid == 0) {
		err e = {0};
		postgres *p = NULL;
		postgres_options o = options();
		if (setgroups(0, NULL) != 0 || setgid(nobody->pw_gid) != 0 || setuid(nobody->pw_uid) != 0) {
			_exit(2);
		}
		_exit(postgres_start(&o, &p, &e) ? 3 : strstr(e.message, "cannot read") == NULL ? 4 : 0);
	}
	waitpid(pid, &status, 0);
	ck_assert(WIFEXITED(status));
	ck_assert_int_eq(WEXITSTATUS(status), 0);
	remove_directory();
}
END_TEST

/* Copies of a data directory, a thousand files each, are quick in memory. */
static const char *scratch(void)
{
	struct statvfs info;
	bool has_room = statvfs("/dev/shm", &info) == 0 && info.f_bavail * info.f_frsize >= ROOM_BYTES;
	return has_room && access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
}

/* Outside of a test Check's assertions are not to be had. */
static bool make_template(void)
{
	postgres *p = NULL;
	err e = {0};
	snprintf(root, sizeof root, "%s/tidegate-postgres-XXXXXX", scratch());
	if (mkdtemp(root) == NULL || chmod(root, 0755) != 0) {
		return false;
	}
	snprintf(template, sizeof template, "%s/template", root);
	snprintf(data, sizeof data, "%s/dev", template);
	postgres_options o = options();
	if (mkdir(template, 0755) != 0 || !postgres_start(&o, &p, &e)) {
		fprintf(stderr, "%s\n", e.message);
		return false;
	}
	postgres_stop(p);
	/* The copies need not wait for the disk: none of these tests takes the machine's power away. Killed servers leave
	 * their shared memory in the data, not in /dev/shm. */
	return shell("printf 'fsync = off\\ndynamic_shared_memory_type = mmap\\n' > '%s/postgres/local.conf' && "
				 "chmod 644 '%s/postgres/local.conf'",
				 data, data) == 0;
}

/* Tests that failed leave servers, or backends without one; their working directory is the data. In a container root
 * may not look at others' processes. */
static bool remove_all(void)
{
	return shell("%s sh -c 'cd / && for p in /proc/[0-9]*; do case $(readlink $p/cwd) in $0/*) kill -9 ${p#/proc/};; "
				 "esac; done' '%s'; rm -rf '%s'",
				 as_owner(), root, root) == 0;
}

int main(void)
{
	const TTest *const tests[] = {
		a_first_start_makes_a_database_and_a_stop_ends_it,
		a_second_start_finds_what_the_first_wrote,
		others_find_the_url_of_a_server_while_it_runs,
		settings_of_local_conf_win,
		a_second_program_on_the_directory_is_refused_and_the_first_goes_on,
		a_killed_program_takes_its_server_along_and_the_next_start_keeps_the_data,
		a_start_right_after_the_kill_does_not_meet_the_old_server,
		program_and_server_killed_together_lose_nothing,
		a_server_that_somebody_else_started_on_the_data_is_stopped,
		a_pid_file_with_the_number_of_another_process_is_no_obstacle,
		a_killed_server_is_started_again,
		a_backend_without_its_server_is_ended_before_the_next_start,
		a_server_that_does_not_stop_in_time_is_killed,
		half_a_first_start_is_thrown_away,
		in_a_directory_that_is_too_deep_for_a_socket_it_is_put_elsewhere,
		a_socket_directory_that_others_may_enter_is_not_used,
		without_a_server_it_says_what_to_install,
		data_of_a_version_that_is_not_installed_is_left_alone,
		a_link_to_data_that_is_gone_is_not_replaced_by_an_empty_database,
		a_server_that_cannot_start_is_quoted,
		a_directory_that_cannot_be_made_is_named,
		as_root_data_goes_elsewhere_when_postgres_may_not_enter,
		an_ordinary_user_runs_it_as_that_user,
		data_of_another_user_is_refused,
	};
	int status = make_template() ? SUITE_RUN("cli/postgres", tests) : EXIT_FAILURE;
	return remove_all() ? status : EXIT_FAILURE;
}
