#include "cli/postgres_leftover.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"

enum { PID_FILE_MAX = 1 << 13, PID_FILE_STATUS_LINE = 8, COUNT_MAX = 200, FORCED_STOP_MS = 5000, POLL_MS = 50 };

/* One look through /proc. It is done as the user that runs Postgres: root in a container may not look at others'. */
typedef struct look {
	const char *data;
	pid_t leader; /* sends the signal to this one only, if it is a server process here; 0: to all */
	int signal;   /* 0: only counts */
} look;

static bool link_is(const char *pid, const char *name, str expected, bool is_suffix)
{
	static const str deleted = {" (deleted)", sizeof " (deleted)" - 1};
	char path[64];
	char target[PATH_MAX];

	snprintf(path, sizeof path, "/proc/%.20s/%s", pid, name);
	ssize_t len = readlink(path, target, sizeof target);
	if (len <= 0) {
		return false;
	}
	str found = {target, (size_t)len};
	if (is_suffix && str_ends_with(found, deleted)) { /* the package was upgraded meanwhile */
		found.len -= deleted.len;
	}
	return is_suffix ? str_ends_with(found, expected) : str_equal(found, expected);
}

/* Returns how many server processes there are, at most COUNT_MAX; for the leader, whether it is one. */
static int look_around(void *context)
{
	const look *l = context;
	int count = 0;
	const struct dirent *entry;
	DIR *processes = opendir("/proc");

	if (processes == NULL) {
		return 0;
	}
	while ((entry = readdir(processes)) != NULL) {
		int64_t pid;
		if (!str_parse_i64(str_from_c(entry->d_name), 1, INT32_MAX, &pid) || (l->leader != 0 && pid != l->leader)) {
			continue;
		}
		if (link_is(entry->d_name, "cwd", str_from_c(l->data), false) &&
			link_is(entry->d_name, "exe", STR("/postgres"), true)) {
			count += count < COUNT_MAX ? 1 : 0;
			if (l->signal != 0) {
				kill((pid_t)pid, l->signal);
			}
		}
	}
	closedir(processes);
	return count;
}

static int count_servers(const postgres_place *place, pid_t leader, int signal)
{
	look l = {.data = place->data, .leader = leader, .signal = signal};
	int count = child_call(&place->user, look_around, &l);

	return count > COUNT_MAX ? -1 : count;
}

/* Signals, then waits until none is left. */
static bool stop_by(const postgres_place *place, pid_t leader, int signal, uint32_t timeout_ms)
{
	int64_t deadline_ms = clock_now_ms() + timeout_ms;

	count_servers(place, leader, signal);
	while (count_servers(place, 0, 0) != 0) {
		if (clock_now_ms() >= deadline_ms) {
			return false;
		}
		nanosleep(&(struct timespec){.tv_nsec = POLL_MS * 1000000L}, NULL);
	}
	return true;
}

pid_t postgres_leftover_read_pid(const postgres_place *place, bool *is_ready)
{
	char path[PATH_MAX];
	char text[PID_FILE_MAX];
	int64_t pid = 0;

	*is_ready = false;
	if (snprintf(path, sizeof path, "%s/postmaster.pid", place->data) >= (int)sizeof path) {
		return 0;
	}
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0) {
		return 0;
	}
	ssize_t len = read(fd, text, sizeof text);
	close(fd);
	str rest = {text, len > 0 ? (size_t)len : 0};
	for (int line = 1; rest.len > 0; line++) {
		str found;
		str_split(rest, '\n', &found, &rest);
		found = str_trim(found);
		if (line == 1 && !str_parse_i64(found, 1, INT32_MAX, &pid)) {
			return 0;
		}
		if (line == PID_FILE_STATUS_LINE) {
			*is_ready = str_equal(found, STR("ready"));
		}
	}
	return (pid_t)pid;
}

static int remove_pid_file(void *context)
{
	return unlink(context) == 0 || errno == ENOENT ? 0 : 1;
}

bool postgres_leftover_stop(const postgres_place *place, uint32_t stop_timeout_ms, FILE *progress, err *e)
{
	char path[PATH_MAX];
	bool is_ready;
	bool is_stopped = count_servers(place, 0, 0) == 0;

	if (!is_stopped) {
		pid_t leader = postgres_leftover_read_pid(place, &is_ready);
		postgres_say(progress, "stopping the Postgres that an earlier run left behind");
		if (leader != 0 && count_servers(place, leader, 0) > 0) {
			is_stopped = stop_by(place, leader, SIGINT, stop_timeout_ms);
		}
		/* Without their leader the others must not live on: a new server would not know of them. */
		is_stopped =
			is_stopped || stop_by(place, 0, SIGQUIT, FORCED_STOP_MS) || stop_by(place, 0, SIGKILL, FORCED_STOP_MS);
	}
	if (!is_stopped) {
		return err_set(
			e, ERR_UNAVAILABLE,
			"processes of an earlier Postgres still use %.200s and cannot be stopped; end them, then try again",
			place->data);
	}
	/* Safe, as none is running, and needed when the number in it belongs to another process by now. */
	if (snprintf(path, sizeof path, "%s/postmaster.pid", place->data) < (int)sizeof path &&
		child_call(&place->user, remove_pid_file, path) != 0) {
		return err_set(e, ERR_UNAVAILABLE, "cannot remove %.200s", path);
	}
	return true;
}
