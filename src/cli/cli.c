#include "cli/cli.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

const cli_command *const CLI_COMMANDS[] = {
	&CLI_DEV,     &CLI_SERVE,     &CLI_MIGRATE,     &CLI_TENANT, &CLI_KEY,       &CLI_TOKEN,    &CLI_CONFIG,
	&CLI_TOPIC,   &CLI_PRODUCE,   &CLI_CONSUME,     &CLI_TAIL,   &CLI_PARTITION, &CLI_CONSUMER, &CLI_GROUP,
	&CLI_PROFILE, &CLI_BENCHMARK, &CLI_COMPLETIONS, &CLI_BENCH,  &CLI_VERSION,   NULL,
};

enum { COMMAND_COUNT = sizeof CLI_COMMANDS / sizeof CLI_COMMANDS[0] - 1, NAME_MAX_LETTERS = 32 };

static const cli_command *find_command(str name)
{
	for (size_t i = 0; i < COMMAND_COUNT; i++) {
		if (str_equal(name, str_from_c(CLI_COMMANDS[i]->name))) {
			return CLI_COMMANDS[i];
		}
	}
	return NULL;
}

static void write_usage(FILE *to)
{
	fputs("Usage: tidegate COMMAND [ARGUMENTS]\n\n"
		  "Tidegate is a durable log in Postgres with the streaming APIs that people already use in front of it.\n\n"
		  "Commands:\n",
		  to);
	for (size_t i = 0; i < COMMAND_COUNT; i++) {
		fprintf(to, "  %-12s %s\n", CLI_COMMANDS[i]->name, CLI_COMMANDS[i]->summary);
	}
	fputs("\n`tidegate COMMAND --help` tells more about one of them.\n", to);
}

/* How many letters must be inserted, removed or replaced to turn one name into the other. */
static size_t distance(str a, str b)
{
	size_t row[NAME_MAX_LETTERS + 1];

	for (size_t j = 0; j <= b.len; j++) {
		row[j] = j;
	}
	for (size_t i = 1; i <= a.len; i++) {
		size_t diagonal = row[0];
		row[0] = i;
		for (size_t j = 1; j <= b.len; j++) {
			size_t least = diagonal + (a.ptr[i - 1] == b.ptr[j - 1] ? 0 : 1);
			if (row[j] + 1 < least) {
				least = row[j] + 1;
			}
			if (row[j - 1] + 1 < least) {
				least = row[j - 1] + 1;
			}
			diagonal = row[j];
			row[j] = least;
		}
	}
	return row[b.len];
}

/* The command that was probably meant, or NULL. */
static const cli_command *nearest_command(str name)
{
	const cli_command *nearest = NULL;
	size_t least = 3;

	if (name.len > NAME_MAX_LETTERS) {
		return NULL;
	}
	for (size_t i = 0; i < COMMAND_COUNT; i++) {
		const cli_command *candidate = CLI_COMMANDS[i];
		size_t away = distance(name, str_from_c(candidate->name));
		if (away < least && away < strlen(candidate->name)) {
			least = away;
			nearest = candidate;
		}
	}
	return nearest;
}

static int refuse_command(str name)
{
	const cli_command *nearest = nearest_command(name);

	fprintf(stderr, "tidegate: there is no command `%.*s`", STR_ARG(str_take(name, 80)));
	if (nearest != NULL) {
		fprintf(stderr, "; did you mean `%s`?\n", nearest->name);
	} else {
		fputs("; `tidegate help` lists them all\n", stderr);
	}
	return CLI_USAGE;
}

static int finish_stdout(int status)
{
	if (fflush(stdout) != 0) {
		fprintf(stderr, "tidegate: cannot write to standard output: %s\n", strerror(errno));
		return CLI_FAILED;
	}
	return status;
}

static int show_help(str name)
{
	if (name.len == 0 || str_equal(name, STR("help"))) {
		write_usage(stdout);
		return finish_stdout(CLI_OK);
	}
	const cli_command *command = find_command(name);
	if (command == NULL) {
		return refuse_command(name);
	}
	fputs(command->help, stdout);
	return finish_stdout(CLI_OK);
}

static bool asks_for_help(int argc, char **argv)
{
	for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
		if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
			return true;
		}
	}
	return false;
}

/* The call that is left behind the verb. */
static int run_verb(cli_call *call)
{
	char message[256];
	buf names;
	for (const cli_verb *verb = call->command->verbs; verb->name != NULL; verb++) {
		if (call->argc > 1 && strcmp(call->argv[1], verb->name) == 0) {
			call->argc--;
			call->argv++;
			return verb->run(call);
		}
	}
	buf_init(&names, sizeof message);
	for (const cli_verb *verb = call->command->verbs; verb->name != NULL; verb++) {
		const char *gap = verb == call->command->verbs ? "" : verb[1].name != NULL ? ", " : " or ";
		buf_printf(&names, "%s%s", gap, verb->name);
	}
	snprintf(message, sizeof message, "say first what to do: %.*s", STR_ARG(buf_str(&names)));
	buf_dispose(&names);
	return cli_fail(call, CLI_USAGE, message);
}

int cli_main(int argc, char **argv, char *const *environment)
{
	if (argc < 2) {
		write_usage(stderr);
		return CLI_USAGE;
	}
	str name = str_from_c(argv[1]);
	if (str_equal(name, STR("--version")) || str_equal(name, STR("-V"))) {
		name = STR("version");
	}
	if (str_equal(name, STR("help")) || str_equal(name, STR("--help")) || str_equal(name, STR("-h"))) {
		return show_help(argc > 2 ? str_from_c(argv[2]) : STR_NONE);
	}
	const cli_command *command = find_command(name);
	if (command == NULL) {
		return refuse_command(name);
	}
	if (asks_for_help(argc - 1, argv + 1)) {
		return show_help(name);
	}
	cli_call call = {.command = command, .argc = argc - 1, .argv = argv + 1, .environment = environment};
	return command->run != NULL ? command->run(&call) : run_verb(&call);
}

int cli_fail(const cli_call *call, int status, const char *message)
{
	fprintf(stderr, "tidegate %s: %s\n", call->command->name, message);
	if (status == CLI_USAGE) {
		fprintf(stderr, "`tidegate %s --help` shows how it is used\n", call->command->name);
	}
	return status;
}

bool cli_print(const cli_call *call, const buf *out)
{
	if (out->failed) {
		cli_fail(call, CLI_FAILED, "no memory for the output");
		return false;
	}
	if ((out->len > 0 && fwrite(out->ptr, 1, out->len, stdout) != out->len) || fflush(stdout) != 0) {
		fprintf(stderr, "tidegate %s: cannot write to standard output: %s\n", call->command->name, strerror(errno));
		return false;
	}
	return true;
}
