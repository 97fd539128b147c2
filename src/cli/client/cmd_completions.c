/*
 * tidegate completions: scripts for shells. What a command takes is read from its own help, so that there is one place
 * to tell it: verbs from the lines of "Usage:", options from wherever `--name` stands.
 */
#include <string.h>

#include "cli/cli.h"

enum { SCRIPT_BYTES_MAX = 1 << 20, WORDS_BYTES_MAX = 8192 };

/* Options of which the possible values are known; the same in every command that has them. */
static const struct {
	const char *options; /* as a shell's pattern */
	const char *values;
} VALUES[] = {
	{"-O|--output", "table json yaml toml dynamic text binary raw full_table"},
	{"--compression", "none gzip snappy lz4 zstd"},
	{"--delivery-semantic", "at-least-once at-most-once"},
	{"--isolation", "read_committed read_uncommitted"},
};

/* Options that take a file. */
static const char FILE_OPTIONS[] = "-f|--file|--config|--key-file|--port-file|--data";

/* ---- reading help ---- */

/* Adds a word that is not there yet; `words` are separated by blanks, and begin and end with one. */
static void add_word(buf *words, str word)
{
	size_t at;
	char wanted[80];
	int len = snprintf(wanted, sizeof wanted, " %.*s ", STR_ARG(str_take(word, sizeof wanted - 4)));
	if (words->len == 0) {
		buf_append_byte(words, ' ');
	}
	if (!str_find(buf_str(words), (str){wanted, (size_t)len}, &at)) {
		buf_append(words, wanted + 1, (size_t)len - 1);
	}
}

static str take_lower(str s)
{
	size_t len = 0;
	while (len < s.len && ((s.ptr[len] >= 'a' && s.ptr[len] <= 'z') || s.ptr[len] == '-')) {
		len++;
	}
	return str_take(s, len);
}

static void read_verbs(const cli_command *command, buf *words)
{
	char lead[80];
	str line;
	str rest = str_from_c(command->help);
	snprintf(lead, sizeof lead, "       tidegate %s ", command->name); /* as wide as "Usage: …" */
	size_t name_at = sizeof "       " - 1;
	while (str_split(rest, '\n', &line, &rest) && line.len > 0) {
		str verb = take_lower(str_skip(line, strlen(lead)));
		if (verb.len > 0 && verb.ptr[0] != '-' &&
			str_starts_with(str_skip(line, name_at), str_from_c(lead + name_at))) {
			add_word(words, verb);
		}
	}
}

static void read_options(const cli_command *command, buf *words)
{
	str rest = str_from_c(command->help);
	size_t at;
	while (str_find(rest, STR("--"), &at)) {
		str name = take_lower(str_skip(rest, at + 2));
		if (name.len > 0) {
			add_word(words, (str){name.ptr - 2, name.len + 2});
		}
		rest = str_skip(rest, at + 2 + name.len);
	}
	add_word(words, STR("--help"));
}

/* The words of one command, for as long as a script's part about it is written. */
typedef struct words {
	buf verbs;
	buf options;
} words;

static words read_words(const cli_command *command)
{
	words w;
	buf_init(&w.verbs, WORDS_BYTES_MAX);
	buf_init(&w.options, WORDS_BYTES_MAX);
	read_verbs(command, &w.verbs);
	read_options(command, &w.options);
	return w;
}

static void dispose_words(words *w)
{
	buf_dispose(&w->verbs);
	buf_dispose(&w->options);
}

static str trimmed(const buf *b)
{
	return str_trim(buf_str(b));
}

/* ---- bash ---- */

static void write_bash(buf *out)
{
	buf_append_str(out, STR("# bash completion of tidegate: source <(tidegate completions bash)\n"
							"_tidegate() {\n"
							"\tlocal word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]} words=''\n"
							"\tCOMPREPLY=()\n"
							"\tcase $before in\n"));
	buf_printf(out, "\t%s) compopt -o filenames; mapfile -t COMPREPLY < <(compgen -f -- \"$word\"); return ;;\n",
			   FILE_OPTIONS);
	for (size_t i = 0; i < sizeof VALUES / sizeof VALUES[0]; i++) {
		buf_printf(out, "\t%s) mapfile -t COMPREPLY < <(compgen -W '%s' -- \"$word\"); return ;;\n", VALUES[i].options,
				   VALUES[i].values);
	}
	buf_append_str(out, STR("\tesac\n\tcase $COMP_CWORD:${COMP_WORDS[1]} in\n\t1:*) words='help"));
	for (size_t i = 0; CLI_COMMANDS[i] != NULL; i++) {
		buf_printf(out, " %s", CLI_COMMANDS[i]->name);
	}
	buf_append_str(out, STR("' ;;\n"));
	for (size_t i = 0; CLI_COMMANDS[i] != NULL; i++) {
		words w = read_words(CLI_COMMANDS[i]);
		if (w.verbs.len > 0) {
			buf_printf(out, "\t2:%s) words='%.*s --help' ;;\n", CLI_COMMANDS[i]->name, STR_ARG(trimmed(&w.verbs)));
		}
		buf_printf(out, "\t*:%s) words='%.*s' ;;\n", CLI_COMMANDS[i]->name, STR_ARG(trimmed(&w.options)));
		dispose_words(&w);
	}
	buf_append_str(out, STR("\tesac\n"
							"\tmapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$word\")\n"
							"}\n"
							"complete -F _tidegate tidegate\n"));
}

/* ---- zsh ---- */

static void write_zsh(buf *out)
{
	buf_append_str(
		out, STR("#compdef tidegate\n"
				 "# zsh completion of tidegate: source <(tidegate completions zsh), or a file _tidegate in fpath\n"
				 "_tidegate() {\n"
				 "\tlocal -a commands\n"
				 "\tcase $words[CURRENT-1] in\n"));
	buf_printf(out, "\t(%s) _files; return ;;\n", FILE_OPTIONS);
	for (size_t i = 0; i < sizeof VALUES / sizeof VALUES[0]; i++) {
		buf_printf(out, "\t(%s) compadd %s; return ;;\n", VALUES[i].options, VALUES[i].values);
	}
	buf_append_str(out, STR("\tesac\n\tif (( CURRENT == 2 )); then\n\t\tcommands=(\n"));
	for (size_t i = 0; CLI_COMMANDS[i] != NULL; i++) {
		buf_printf(out, "\t\t\t'%s:%s'\n", CLI_COMMANDS[i]->name, CLI_COMMANDS[i]->summary);
	}
	buf_append_str(out, STR("\t\t)\n\t\t_describe command commands\n\t\treturn\n\tfi\n\tcase $words[2] in\n"));
	for (size_t i = 0; CLI_COMMANDS[i] != NULL; i++) {
		words w = read_words(CLI_COMMANDS[i]);
		buf_printf(out, "\t(%s)", CLI_COMMANDS[i]->name);
		if (w.verbs.len > 0) {
			buf_printf(out, " (( CURRENT == 3 )) && compadd %.*s;", STR_ARG(trimmed(&w.verbs)));
		}
		buf_printf(out, " compadd -- %.*s ;;\n", STR_ARG(trimmed(&w.options)));
		dispose_words(&w);
	}
	buf_append_str(
		out, STR("\tesac\n"
				 "}\n"
				 "if [[ $funcstack[1] == _tidegate ]]; then _tidegate \"$@\"; else compdef _tidegate tidegate; fi\n"));
}

/* ---- fish ---- */

static bool is_among(const char *options, str option)
{
	str one;
	for (str rest = str_from_c(options); rest.len > 0;) {
		str_split(rest, '|', &one, &rest);
		if (str_equal(one, option)) {
			return true;
		}
	}
	return false;
}

/* The possible values of an option, or NULL. */
static const char *find_values(str option)
{
	for (size_t i = 0; i < sizeof VALUES / sizeof VALUES[0]; i++) {
		if (is_among(VALUES[i].options, option)) {
			return VALUES[i].values;
		}
	}
	return NULL;
}

/* The x of "-x, --option" in the command's help, or 0. */
static char find_letter(const cli_command *command, str option)
{
	size_t at;
	for (str rest = str_from_c(command->help); str_find(rest, STR(", --"), &at); rest = str_skip(rest, at + 1)) {
		str name = take_lower(str_skip(rest, at + 2));
		if (at >= 2 && rest.ptr[at - 2] == '-' && str_equal(name, option)) {
			return rest.ptr[at - 1];
		}
	}
	return 0;
}

static void write_fish_option(buf *out, const cli_command *command, str option)
{
	char letter = find_letter(command, option);
	const char *values = find_values(option);
	buf_printf(out, "complete -c tidegate -n '__fish_seen_subcommand_from %s' -l %.*s", command->name,
			   STR_ARG(str_skip(option, 2)));
	if (letter != 0) {
		buf_printf(out, " -s %c", letter);
	}
	if (values != NULL) {
		buf_printf(out, " -x -a '%s'", values);
	} else if (is_among(FILE_OPTIONS, option)) {
		buf_append_str(out, STR(" -r -F"));
	}
	buf_append_byte(out, '\n');
}

static void write_fish(buf *out)
{
	buf_append_str(out,
				   STR("# fish completion of tidegate: tidegate completions fish | source\ncomplete -c tidegate -f\n"));
	for (size_t i = 0; CLI_COMMANDS[i] != NULL; i++) {
		const cli_command *command = CLI_COMMANDS[i];
		words w = read_words(command);
		str option;
		str rest = trimmed(&w.options);
		buf_printf(out, "complete -c tidegate -n __fish_use_subcommand -a %s -d '%s'\n", command->name,
				   command->summary);
		if (w.verbs.len > 0) {
			buf_printf(out,
					   "complete -c tidegate -n '__fish_seen_subcommand_from %s; and not __fish_seen_subcommand_from "
					   "%.*s' -a '%.*s'\n",
					   command->name, STR_ARG(trimmed(&w.verbs)), STR_ARG(trimmed(&w.verbs)));
		}
		while (rest.len > 0) {
			str_split(rest, ' ', &option, &rest);
			write_fish_option(out, command, option);
		}
		dispose_words(&w);
	}
}

/* ---- the command ---- */

static int print(const cli_call *call, void (*write)(buf *out))
{
	buf out;
	buf_init(&out, SCRIPT_BYTES_MAX);
	write(&out);
	int status = cli_print(call, &out) ? CLI_OK : CLI_FAILED;
	buf_dispose(&out);
	return status;
}

static int run_bash(cli_call *call)
{
	return print(call, write_bash);
}

static int run_zsh(cli_call *call)
{
	return print(call, write_zsh);
}

static int run_fish(cli_call *call)
{
	return print(call, write_fish);
}

static const cli_verb VERBS[] = {{"bash", run_bash}, {"zsh", run_zsh}, {"fish", run_fish}, {NULL, NULL}};

const cli_command CLI_COMPLETIONS = {
	.name = "completions",
	.summary = "print a script that completes commands and options in a shell",
	.verbs = VERBS,
	.help = "Usage: tidegate completions bash\n"
			"       tidegate completions zsh\n"
			"       tidegate completions fish\n\n"
			"  source <(tidegate completions bash)                        in ~/.bashrc\n"
			"  source <(tidegate completions zsh)                         in ~/.zshrc, behind compinit\n"
			"  tidegate completions fish > ~/.config/fish/completions/tidegate.fish\n",
};
