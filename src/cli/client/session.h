/*
 * cli/client/session: the server that a command talks to, through libtidegate.
 *
 * Where it is: --url; else --profile; else TIDEGATE_URL; else the current profile; else http://localhost:5470. The key is
 * in the file that --key-file names, in TIDEGATE_API_KEY, or in the profile; never among the arguments, which every user
 * of the machine can see. An address given by --url is not sent the key of a profile.
 *
 * Owns     the connection, until session_close().
 * Threads  main thread only. Opening ignores SIGPIPE: a broken connection or pipe is an error of a call.
 * Errors   are printed by session_open() and session_fail(); the caller ends with their exit status.
 */
#ifndef TIDEGATE_CLI_CLIENT_SESSION_H
#define TIDEGATE_CLI_CLIENT_SESSION_H

#include <tidegate.h>

#include "cli/cli.h"

typedef struct session {
	const cli_call *call;
	const char *url; /* the options, as given or NULL */
	const char *profile;
	const char *key_file;
	tg_client *client;
} session;

/* Rows of the command's option table. */
#define SESSION_OPTIONS(s)                                                                                             \
	{.name = "url", .value = &(s).url}, {.name = "profile", .value = &(s).profile},                                    \
	{                                                                                                                  \
		.name = "key-file", .value = &(s).key_file                                                                     \
	}
/* Their lines of the command's help. */
#define SESSION_HELP                                                                                                   \
	"\nWhere the server is (else TIDEGATE_URL, the current profile, or http://localhost:5470):\n"                      \
	"  --url URL               its address\n"                                                                          \
	"  --profile NAME          address and key of a profile, see `tidegate profile --help`\n"                          \
	"  --key-file FILE         the API key, in a file; else TIDEGATE_API_KEY\n"

bool session_open(session *s) MUST_CHECK; /* false: printed */
void session_close(session *s);
/* Prints what the server or the library said. Returns CLI_FAILED. */
int session_fail(const session *s, const tg_error *error);

/* The first line of a key's file; false with a message. The caller frees it with key_wipe(). */
bool session_read_key(const char *path, char **key, err *e) MUST_CHECK;
void session_wipe_key(char *key); /* accepts NULL */

#endif
