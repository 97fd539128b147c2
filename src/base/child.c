#include "base/child.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"

enum { CHILD_POLL_MS = 10, CHILD_INPUT_MAX = 4096, CHILD_OUTPUT_MAX = 1 << 16, CHILD_LOOKUP_MAX = 1 << 14 };

bool child_user_find(const char *name, uid_t uid, gid_t gid, child_user *out)
{
	struct passwd entry;
	struct passwd *found = NULL;
	char space[CHILD_LOOKUP_MAX];
	int group_count = CHILD_GROUPS_MAX;
	child_user user = {.is_other = true, .uid = uid, .gid = gid};

	if (name != NULL) {
		getpwnam_r(name, &entry, space, sizeof space, &found);
		if (found == NULL) {
			return false;
		}
	} else {
		getpwuid_r(uid, &entry, space, sizeof space, &found);
	}
	snprintf(user.name, sizeof user.name, "number %u", uid);
	if (found != NULL) {
		snprintf(user.name, sizeof user.name, "%s", found->pw_name);
		user.uid = found->pw_uid;
		user.gid = found->pw_gid;
		if (getgrouplist(found->pw_name, found->pw_gid, user.groups, &group_count) < 0) {
			group_count = 0; /* more groups than we keep: none is needed */
		}
		user.group_count = (size_t)group_count;
	}
	user.is_other = user.uid != geteuid();
	*out = user;
	return true;
}

/* ---- in the child: only what is allowed between fork and exec of a program with threads ---- */

static bool become(const child_user *user)
{
	if (user == NULL || !user->is_other) {
		return true;
	}
	return setgroups(user->group_count, user->groups) == 0 && setresgid(user->gid, user->gid, user->gid) == 0 &&
		   setresuid(user->uid, user->uid, user->uid) == 0;
}

static void reset_signals(void)
{
	sigset_t none;

	for (int number = 1; number < NSIG; number++) {
		signal(number, SIG_DFL); /* those that cannot be changed answer with an error that does not matter */
	}
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

/* Ends with the program, or with the reason on report_fd. */
_Noreturn static void become_program(const child_command *command, int input_fd, pid_t parent, int report_fd)
{
	static char path[] = "PATH=/usr/local/bin:/usr/bin:/bin";
	static char locale[] = "LC_ALL=C";
	char *const environment[] = {path, locale, NULL};
	int nowhere = open("/dev/null", O_RDWR | O_CLOEXEC);
	int output_fd = command->output_fd >= 0 ? command->output_fd : nowhere;

	reset_signals();
	setsid();
	if (dup2(input_fd >= 0 ? input_fd : nowhere, 0) < 0 || dup2(output_fd, 1) < 0 || dup2(output_fd, 2) < 0 ||
		chdir("/") < 0 || !become(command->user)) {
		goto out;
	}
	/* A change of user forgets this wish, so it comes after. We may have been orphaned before it was heard. */
	if (command->dies_with_us && prctl(PR_SET_PDEATHSIG, SIGINT) < 0) {
		goto out;
	}
	if (command->dies_with_us && getppid() != parent) {
		_exit(127); /* nobody is left to report to */
	}
	close_range(3, ~0U, CLOSE_RANGE_CLOEXEC); /* an old kernel refuses; ours are all marked anyway */
	execve(command->argv[0], command->argv, environment);
out:;
	int reason = errno;
	ssize_t written = write(report_fd, &reason, sizeof reason);
	_exit(written == sizeof reason ? 126 : 127);
}

/* ---- in the parent ---- */

static void close_if_open(int fd)
{
	if (fd >= 0) {
		close(fd);
	}
}

/* Descriptors 0 to 2 may be closed in us; a pipe on one of them would be overwritten in the child. */
static bool open_pipe(int ends[2])
{
	int found[2];

	if (pipe2(found, O_CLOEXEC) < 0) {
		return false;
	}
	for (int i = 0; i < 2; i++) {
		ends[i] = fcntl(found[i], F_DUPFD_CLOEXEC, 3);
		close(found[i]);
	}
	return ends[0] >= 0 && ends[1] >= 0;
}

/* 0 when the child became the program, else the errno that it reported. */
static int read_report(int fd)
{
	int reason = 0;
	ssize_t len;

	do {
		len = read(fd, &reason, sizeof reason);
	} while (len < 0 && errno == EINTR);
	return len == (ssize_t)sizeof reason ? reason : 0;
}

bool child_start(const child_command *command, pid_t *out, err *e)
{
	bool ok = false;
	int report[2] = {-1, -1};
	int input[2] = {-1, -1};
	int reason = 0;
	pid_t parent = getpid();
	pid_t pid = -1;

	if (!open_pipe(report) || (command->input != NULL && !open_pipe(input))) {
		reason = errno;
		goto out;
	}
	if (command->input != NULL) {
		size_t len = strlen(command->input);
		if (len > CHILD_INPUT_MAX || write(input[1], command->input, len) != (ssize_t)len) {
			reason = E2BIG;
			goto out;
		}
		close(input[1]);
		input[1] = -1;
	}
	pid = fork();
	if (pid < 0) {
		reason = errno;
		goto out;
	}
	if (pid == 0) {
		become_program(command, input[0], parent, report[1]);
	}
	close(report[1]);
	report[1] = -1;
	reason = read_report(report[0]);
	if (reason != 0) {
		waitpid(pid, NULL, 0);
		goto out;
	}
	*out = pid;
	ok = true;
out:
	close_if_open(report[0]);
	close_if_open(report[1]);
	close_if_open(input[0]);
	close_if_open(input[1]);
	return ok || err_set(e, ERR_UNAVAILABLE, "cannot run %.200s: %s", command->argv[0], strerror(reason));
}

static void pause_ms(long ms)
{
	nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000}, NULL);
}

bool child_wait(pid_t pid, int64_t deadline_ms, int *status)
{
	for (;;) {
		int found = 0;
		pid_t ended = waitpid(pid, &found, WNOHANG);
		if (ended == pid || (ended < 0 && errno == ECHILD)) {
			*status = found;
			return true;
		}
		if (clock_now_ms() >= deadline_ms) {
			return false;
		}
		pause_ms(CHILD_POLL_MS);
	}
}

bool child_run(const child_command *command, int64_t deadline_ms, int *status, err *e)
{
	pid_t pid = -1;

	if (!child_start(command, &pid, e)) {
		return false;
	}
	if (!child_wait(pid, deadline_ms, status)) {
		kill(pid, SIGKILL);
		waitpid(pid, status, 0);
	}
	return true;
}

/* Reads until the end, the deadline or CHILD_OUTPUT_MAX. */
static void read_output(int fd, int64_t deadline_ms, buf *out)
{
	char chunk[4096];
	size_t total = 0;

	while (total < CHILD_OUTPUT_MAX) {
		int64_t left_ms = deadline_ms - clock_now_ms();
		struct pollfd readable = {.fd = fd, .events = POLLIN};
		if (left_ms <= 0 || poll(&readable, 1, (int)left_ms) <= 0) {
			return;
		}
		ssize_t len = read(fd, chunk, sizeof chunk);
		if (len <= 0) {
			return;
		}
		buf_append(out, chunk, (size_t)len);
		total += (size_t)len;
	}
}

bool child_capture(char *const *argv, int64_t deadline_ms, buf *out, err *e)
{
	bool ok = false;
	int output[2] = {-1, -1};
	int status = 0;
	pid_t pid = -1;

	if (!open_pipe(output)) {
		err_set(e, ERR_UNAVAILABLE, "cannot run %.200s: %s", argv[0], strerror(errno));
		goto out;
	}
	const child_command command = {.argv = argv, .output_fd = output[1]};
	if (!child_start(&command, &pid, e)) {
		goto out;
	}
	close(output[1]);
	output[1] = -1;
	read_output(output[0], deadline_ms, out);
	if (!child_wait(pid, deadline_ms, &status)) {
		kill(pid, SIGKILL);
		waitpid(pid, &status, 0);
	}
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
		err_set(e, ERR_UNAVAILABLE, "%.200s failed", argv[0]);
		goto out;
	}
	ok = true;
out:
	close_if_open(output[0]);
	close_if_open(output[1]);
	return ok;
}

int child_call(const child_user *user, int (*function)(void *context), void *context)
{
	int status = 0;

	if (user == NULL || !user->is_other) {
		return function(context);
	}
	pid_t pid = fork();
	if (pid < 0) {
		return -1;
	}
	if (pid == 0) {
		_exit(become(user) ? function(context) : 255);
	}
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
	}
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}
