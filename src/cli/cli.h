/*
 * cli/cli: the subcommands of the program and what they share: dispatch, options, exit status, messages.
 *
 * A command is one file, cmd_<name>.c, that defines one cli_command; cli.c lists them. A command reads its arguments
 * with cli_parse(), writes its result to stdout with cli_print() and everything else to stderr.
 *
 * Threads  main thread only.
 */
#ifndef TIDEGATE_CLI_CLI_H
#define TIDEGATE_CLI_CLI_H

#include "base/buf.h"
#include "base/err.h"
#include "config/config.h"

/* Exit statuses. */
enum { CLI_OK = 0, CLI_FAILED = 1, CLI_USAGE = 2 };

typedef struct cli_command cli_command;

/* One call of a command. */
typedef struct cli_call {
	const cli_command *command;
	int argc;
	char **argv; /* argv[0] is the command's name; cli_parse() reorders the rest */
	char *const *environment;
} cli_call;

/* One of the things that a command can do, named by its first argument: the `create` of `topic create`. */
typedef struct cli_verb {
	const char *name;
	int (*run)(cli_call *call); /* argv[0] is the verb; returns the exit status */
} cli_verb;

struct cli_command {
	const char *name;
	const char *summary;        /* for the list: lower case, no full stop */
	const char *help;           /* what --help prints: synopsis, options, an example */
	int (*run)(cli_call *call); /* returns the exit status; NULL = the command is a choice of verbs */
	const cli_verb *verbs;      /* up to one without a name */
};

extern const cli_command CLI_BENCH;
extern const cli_command CLI_BENCHMARK;
extern const cli_command CLI_COMPLETIONS;
extern const cli_command CLI_CONFIG;
extern const cli_command CLI_CONSUME;
extern const cli_command CLI_CONSUMER;
extern const cli_command CLI_DEV;
extern const cli_command CLI_GROUP;
extern const cli_command CLI_KEY;
extern const cli_command CLI_MIGRATE;
extern const cli_command CLI_PARTITION;
extern const cli_command CLI_PRODUCE;
extern const cli_command CLI_PROFILE;
extern const cli_command CLI_SERVE;
extern const cli_command CLI_TAIL;
extern const cli_command CLI_TENANT;
extern const cli_command CLI_TOKEN;
extern const cli_command CLI_TOPIC;
extern const cli_command CLI_VERSION;

extern const cli_command *const CLI_COMMANDS[]; /* all of them, then NULL */

/* The whole program: argv as from main(). Returns the exit status. */
int cli_main(int argc, char **argv, char *const *environment);

enum { CLI_LIST_MAX = 1024 };

/* The values of an option that may be given several times. */
typedef struct cli_list {
	size_t count;
	const char *values[CLI_LIST_MAX];
} cli_list;

/* An option of a command: `--name VALUE` or `--name=VALUE` sets *value, or adds to *list; `--name` alone sets *flag.
 * One of the three is not NULL. With a letter, `-x VALUE`, `-xVALUE` and `-x` are the same; flags may share a dash. */
typedef struct cli_option {
	const char *name; /* without dashes: "data" */
	char letter;      /* 0 = none */
	const char **value;
	cli_list *list;
	bool *flag;
} cli_option;

/*
 * Splits the arguments into the command's options, settings and the rest, in any order; "--" ends the options.
 *
 * settings: where to put the configuration, the caller's to free; or NULL for a command without. With it `--config
 * FILE` (or TIDEGATE_CONFIG) names the file, and every key of config/keys.h is an option, dashes for underscores:
 *           `--max-streams 10`, `--janitor`, `--no-janitor`, `--janitor=false`.
 * positional_count: the other arguments are then argv[1] … argv[count]; NULL for a command that takes none.
 * Errors    ERR_INVALID_REQUEST, with a message for the user.
 */
bool cli_parse(cli_call *call, const cli_option *options, size_t option_count, config **settings, int *positional_count,
			   err *e) MUST_CHECK;

/* The value of an environment variable; NULL when it is not set, or empty. */
const char *cli_variable(char *const *environment, str name);

/* "tidegate <command>: <message>" on stderr, and for a failure of CLI_USAGE where to find help. Returns `status`. */
int cli_fail(const cli_call *call, int status, const char *message);
/* `out` on stdout. False, with a message on stderr, when that cannot be written or the buffer failed. */
bool cli_print(const cli_call *call, const buf *out) MUST_CHECK;

#endif
