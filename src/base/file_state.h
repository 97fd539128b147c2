/*
 * base/file_state: what tells one version of a file from the next, for files that are read again when they change.
 *
 * Threads  any; one at a time for one state.
 */
#ifndef TIDEGATE_BASE_FILE_STATE_H
#define TIDEGATE_BASE_FILE_STATE_H

#include <stdbool.h>
#include <sys/stat.h>
#include <time.h>

typedef struct file_state {
	struct timespec modified;
	off_t bytes; /* -1: there is none, or it cannot be looked at */
	ino_t inode;
} file_state;

/* Looks at the file, through symbolic links. True when it is not what *state says, which then is brought up to date. */
bool file_state_note(file_state *state, const char *path);

#endif
