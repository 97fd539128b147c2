/*
 * base/child: child processes, optionally as another user, without a shell.
 *
 * A child starts with an empty environment but for PATH and LC_ALL=C, in "/", in a session of its own (a Ctrl-C at the
 * terminal is for us), with default signal handling, and with no descriptor but its three.
 *
 * Owns     nothing; a started child is reaped by child_wait() or child_run().
 * Threads  any, but a child that dies_with_us is signalled when the *thread* that started it ends.
 * Units    *_ms are milliseconds; deadlines are absolute on clock_now_ms().
 * Errors   ERR_UNAVAILABLE: the program cannot be started; the message names it and the reason.
 */
#ifndef TIDEGATE_BASE_CHILD_H
#define TIDEGATE_BASE_CHILD_H

#include <sys/types.h>

#include "base/buf.h"
#include "base/err.h"

enum { CHILD_GROUPS_MAX = 64, CHILD_NAME_MAX = 64 };

/* Whom children run as. */
typedef struct child_user {
	bool is_other;             /* false: as ourselves, and the rest does not count */
	char name[CHILD_NAME_MAX]; /* for messages; the number when it has none */
	uid_t uid;
	gid_t gid;
	gid_t groups[CHILD_GROUPS_MAX];
	size_t group_count;
} child_user;

typedef struct child_command {
	char *const *argv;      /* argv[0] is the path of the program; NULL ends */
	const child_user *user; /* NULL: as ourselves */
	const char *input;      /* text for standard input, at most 4096 bytes; NULL: nothing */
	int output_fd;          /* standard output and error; -1: nowhere */
	bool dies_with_us;      /* gets SIGINT when we end, however we end */
} child_command;

/* Looks a user up by name, or by id when name is NULL. False when there is none (an id without a name is fine). */
bool child_user_find(const char *name, uid_t uid, gid_t gid, child_user *out);

bool child_start(const child_command *command, pid_t *out, err *e) MUST_CHECK;
/* Waits until the child ended. False when it is still running at the deadline. *status as from waitpid(). */
bool child_wait(pid_t pid, int64_t deadline_ms, int *status);
/* Starts, waits and kills at the deadline (*status is then that of SIGKILL). */
bool child_run(const child_command *command, int64_t deadline_ms, int *status, err *e) MUST_CHECK;
/* Runs a program as ourselves and appends its standard output and error. False as well when it fails. */
bool child_capture(char *const *argv, int64_t deadline_ms, buf *out, err *e) MUST_CHECK;
/* Calls a function in a forked child as that user (or right here when that is us). Returns what it returns, 0 … 255,
 * or -1 when there could be no child. */
int child_call(const child_user *user, int (*function)(void *context), void *context);

#endif
