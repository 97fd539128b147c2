#include <string.h>

#include "cli/cli.h"

enum { OPTION_NAME_MAX = 64 };

/* What one argument that begins with "--" says. */
typedef struct argument {
	str name;  /* without the dashes */
	str value; /* after '=' */
	bool has_value;
} argument;

static bool is_option(const char *text)
{
	return text[0] == '-' && text[1] != '\0';
}

static argument read_argument(const char *text)
{
	argument a = {0};
	a.has_value = str_split(str_from_c(text + 2), '=', &a.name, &a.value);
	return a;
}

/* The value after '=' or in the next argument, which is then passed over. NULL when there is none. */
static const char *take_value(const cli_call *call, const argument *a, int *at)
{
	if (a->has_value) {
		return a->value.ptr;
	}
	return *at + 1 < call->argc ? call->argv[++*at] : NULL;
}

static bool refuse(err *e, const argument *a, const char *why)
{
	return err_set(e, ERR_INVALID_REQUEST, "option --%.*s %s", STR_ARG(str_take(a->name, OPTION_NAME_MAX)), why);
}

/* The setting that an option's name stands for; its spelling goes into `space`. */
static bool find_setting(str name, char space[OPTION_NAME_MAX], str *key, bool *is_switch)
{
	if (name.len >= OPTION_NAME_MAX) {
		return false;
	}
	for (size_t i = 0; i < name.len; i++) {
		space[i] = name.ptr[i] == '-' ? '_' : name.ptr[i];
	}
	*key = (str){space, name.len};
	return config_has_key(*key, is_switch);
}

/* One pass over the arguments. There are two when settings are wanted: the file that they rest on may be named last. */
typedef struct pass {
	cli_call *call;
	const cli_option *options;
	size_t option_count;
	bool has_settings; /* `--config` and settings are options too */
	const char *config_path;
	config *settings; /* NULL in the first pass: nothing is set yet */
	int positional_count;
	bool is_last;
} pass;

static bool take_option(const pass *p, const cli_option *option, const argument *a, int *at, err *e)
{
	if (option->flag != NULL) {
		if (a->has_value) {
			return refuse(e, a, "takes no value");
		}
		*option->flag = true;
		return true;
	}
	const char *value = take_value(p->call, a, at);
	if (value == NULL) {
		return refuse(e, a, "needs a value");
	}
	if (option->list == NULL) {
		*option->value = value;
		return true;
	}
	if (!p->is_last) {
		return true;
	}
	if (option->list->count == CLI_LIST_MAX) {
		return refuse(e, a, "is given too often");
	}
	option->list->values[option->list->count++] = value;
	return true;
}

static bool take_setting(pass *p, const argument *a, int *at, err *e)
{
	char space[OPTION_NAME_MAX];
	str key;
	str value;
	bool is_switch = false;

	if (find_setting(a->name, space, &key, &is_switch)) {
		value = is_switch && !a->has_value ? STR("true") : str_from_c(take_value(p->call, a, at));
	} else if (str_starts_with(a->name, STR("no-")) && !a->has_value &&
			   find_setting(str_skip(a->name, 3), space, &key, &is_switch) && is_switch) {
		value = STR("false");
	} else {
		return refuse(e, a, "is not known");
	}
	if (value.ptr == NULL) {
		return refuse(e, a, "needs a value");
	}
	return p->settings == NULL || config_set(p->settings, key, value, e);
}

static bool take_argument(pass *p, int *at, err *e)
{
	const argument a = read_argument(p->call->argv[*at]);

	for (size_t i = 0; i < p->option_count; i++) {
		if (str_equal(a.name, str_from_c(p->options[i].name))) {
			return take_option(p, &p->options[i], &a, at, e);
		}
	}
	if (!p->has_settings) {
		return refuse(e, &a, "is not known");
	}
	if (str_equal(a.name, STR("config"))) {
		const cli_option file = {.name = "config", .value = &p->config_path};
		return take_option(p, &file, &a, at, e);
	}
	return take_setting(p, &a, at, e);
}

static const cli_option *find_letter(const pass *p, char letter)
{
	for (size_t i = 0; i < p->option_count; i++) {
		if (p->options[i].letter == letter) {
			return &p->options[i];
		}
	}
	return NULL;
}

/* One argument that begins with a single dash: flags, and at its end perhaps an option with its value. */
static bool take_letters(pass *p, int *at, err *e)
{
	const char *text = p->call->argv[*at];

	for (const char *letter = text + 1; *letter != '\0'; letter++) {
		const cli_option *option = find_letter(p, *letter);
		if (option == NULL) {
			return err_set(e, ERR_INVALID_REQUEST, "option -%c is not known", *letter);
		}
		argument a = {.name = str_from_c(option->name)};
		if (option->flag == NULL && letter[1] != '\0') {
			a.value = str_from_c(letter + 1);
			a.has_value = true;
		}
		if (!take_option(p, option, &a, at, e)) {
			return false;
		}
		if (option->flag == NULL) {
			break;
		}
	}
	return true;
}

static bool walk(pass *p, err *e)
{
	bool is_over = false; /* "--" was seen */

	for (int i = 1; i < p->call->argc; i++) {
		char *text = p->call->argv[i];
		if (is_over || !is_option(text)) {
			if (p->is_last) {
				p->call->argv[++p->positional_count] = text;
			}
		} else if (strcmp(text, "--") == 0) {
			is_over = true;
		} else if (!(text[1] == '-' ? take_argument(p, &i, e) : take_letters(p, &i, e))) {
			return false;
		}
	}
	return true;
}

bool cli_parse(cli_call *call, const cli_option *options, size_t option_count, config **settings, int *positional_count,
			   err *e)
{
	bool ok = false;
	pass p = {.call = call, .options = options, .option_count = option_count, .has_settings = settings != NULL};

	if (settings != NULL) {
		if (!walk(&p, e)) {
			goto out;
		}
		if (p.config_path == NULL) {
			p.config_path = cli_variable(call->environment, STR("TIDEGATE_CONFIG"));
		}
		if (!config_load(p.config_path, call->environment, &p.settings, e)) {
			goto out;
		}
	}
	p.is_last = true;
	if (!walk(&p, e)) {
		goto out;
	}
	if (positional_count == NULL && p.positional_count > 0) {
		err_set(e, ERR_INVALID_REQUEST, "unexpected argument `%.64s`", call->argv[1]);
		goto out;
	}
	if (positional_count != NULL) {
		*positional_count = p.positional_count;
	}
	if (settings != NULL) {
		*settings = p.settings;
		p.settings = NULL;
	}
	ok = true;
out:
	config_free(p.settings);
	return ok;
}

const char *cli_variable(char *const *environment, str name)
{
	for (; environment != NULL && *environment != NULL; environment++) {
		str variable;
		str value;
		if (str_split(str_from_c(*environment), '=', &variable, &value) && str_equal(variable, name)) {
			return value.len > 0 ? value.ptr : NULL;
		}
	}
	return NULL;
}
