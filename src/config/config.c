#include "config/config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/alias.h"
#include "config/table.h"

enum { CONFIG_TEXTS_MAX = 1 << 20, CONFIG_FILE_MAX = 1 << 20, CONFIG_QUOTE_MAX = 80 };

static const char ENVIRONMENT_PREFIX[] = "TIDEGATE_";

/* Where a setting stands, for error messages: "tidegate.conf line 3", "TIDEGATE_LISTEN", or "" on the command line. */
typedef struct place {
	config_source source;
	char text[160];
} place;

static const config_key *find_key(str name)
{
	for (size_t i = 0; i < CONFIG_KEY_COUNT; i++) {
		if (str_equal(name, str_from_c(CONFIG_TABLE[i].name))) {
			return &CONFIG_TABLE[i];
		}
	}
	return NULL;
}

static void *member(config *c, const config_key *key)
{
	return (char *)c + key->place;
}

static bool fail_value(const config_key *key, const place *at, str found, const char *allowed, err *e)
{
	const char *separator = at->text[0] == '\0' ? "" : ": ";
	return err_set(e, ERR_INVALID_REQUEST, "%s%s%s must be %s, not \"%.*s\"", at->text, separator, key->name, allowed,
				   STR_ARG(str_take(found, CONFIG_QUOTE_MAX)));
}

static bool is_choice(const char *choices, str value)
{
	str rest = str_from_c(choices);
	bool has_more = true;
	while (has_more) {
		str choice;
		has_more = str_split(rest, '|', &choice, &rest);
		if (str_equal(choice, value)) {
			return true;
		}
	}
	return false;
}

static bool set_text(config *c, const config_key *key, str value, const place *at, err *e)
{
	for (size_t i = 0; i < value.len; i++) {
		if ((unsigned char)value.ptr[i] < ' ') {
			/* The value is not quoted: it may be a secret. */
			return err_set(e, ERR_INVALID_REQUEST, "%s%s%s holds a control character; remove it", at->text,
						   at->text[0] == '\0' ? "" : ": ", key->name);
		}
	}
	if (value.len == 0) {
		value = STR("");
	} else if (!arena_copy_str(c->store->texts, value, &value)) {
		return err_set(e, ERR_INVALID_REQUEST, "the settings are longer than %d bytes in all", CONFIG_TEXTS_MAX);
	}
	*(str *)member(c, key) = value;
	return true;
}

static bool set_choice(config *c, const config_key *key, str value, const place *at, err *e)
{
	if (!is_choice(key->choices, value)) {
		char allowed[160];
		snprintf(allowed, sizeof allowed, "one of %s", key->choices);
		return fail_value(key, at, value, allowed, e);
	}
	return set_text(c, key, value, at, e);
}

static bool set_number(config *c, const config_key *key, str value, const place *at, err *e)
{
	if (!str_parse_i64(value, key->least, key->most, (int64_t *)member(c, key))) {
		char allowed[160];
		snprintf(allowed, sizeof allowed, "a whole number from %lld to %lld", (long long)key->least,
				 (long long)key->most);
		return fail_value(key, at, value, allowed, e);
	}
	return true;
}

static bool set_switch(config *c, const config_key *key, str value, const place *at, err *e)
{
	if (!str_parse_bool(value, (bool *)member(c, key))) {
		return fail_value(key, at, value, "true or false", e);
	}
	return true;
}

static bool set_value(config *c, const config_key *key, str value, const place *at, err *e)
{
	bool ok = false;
	switch (key->kind) {
	case CONFIG_KIND_TEXT:
		ok = set_text(c, key, value, at, e);
		break;
	case CONFIG_KIND_CHOICE:
		ok = set_choice(c, key, value, at, e);
		break;
	case CONFIG_KIND_NUMBER:
		ok = set_number(c, key, value, at, e);
		break;
	case CONFIG_KIND_SWITCH:
		ok = set_switch(c, key, value, at, e);
		break;
	}
	if (ok) {
		c->store->sources[key - CONFIG_TABLE] = at->source;
	}
	return ok;
}

static void set_defaults(config *c)
{
	for (size_t i = 0; i < CONFIG_KEY_COUNT; i++) {
		const config_key *key = &CONFIG_TABLE[i];
		switch (key->kind) {
		case CONFIG_KIND_TEXT:
		case CONFIG_KIND_CHOICE:
			*(str *)member(c, key) = (str){key->text, strlen(key->text)};
			break;
		case CONFIG_KIND_NUMBER:
			*(int64_t *)member(c, key) = key->number;
			break;
		case CONFIG_KIND_SWITCH:
			*(bool *)member(c, key) = key->number != 0;
			break;
		}
	}
}

/* Cuts a comment: a '#' that begins the line or follows a blank, so that values may hold one. */
static str without_comment(str line)
{
	for (size_t i = 0; i < line.len; i++) {
		if (line.ptr[i] == '#' && (i == 0 || line.ptr[i - 1] == ' ' || line.ptr[i - 1] == '\t')) {
			return str_take(line, i);
		}
	}
	return line;
}

/* One line of the file. line_of remembers where each key was set, because a second line for it is a mistake. */
static bool read_line(config *c, str line, unsigned number, const place *at, unsigned *line_of, err *e)
{
	str name;
	str value;

	line = str_trim(without_comment(line));
	if (line.len == 0) {
		return true;
	}
	if (!str_split(line, '=', &name, &value)) {
		return err_set(e, ERR_INVALID_REQUEST, "%s: expected `key = value`, or a comment that begins with '#'",
					   at->text);
	}
	name = str_trim(name);
	const config_key *key = find_key(name);
	if (key == NULL) {
		return err_set(e, ERR_INVALID_REQUEST,
					   "%s: there is no setting \"%.*s\"; `tidegate config sample` lists them all", at->text,
					   STR_ARG(str_take(name, CONFIG_QUOTE_MAX)));
	}
	if (line_of[key - CONFIG_TABLE] != 0) {
		return err_set(e, ERR_INVALID_REQUEST, "%s: %s was already set on line %u; keep one of the two", at->text,
					   key->name, line_of[key - CONFIG_TABLE]);
	}
	line_of[key - CONFIG_TABLE] = number;
	return set_value(c, key, str_trim(value), at, e);
}

static bool read_text(config *c, const char *path, str text, err *e)
{
	unsigned line_of[CONFIG_KEY_COUNT] = {0};
	bool has_more = true;

	for (unsigned number = 1; has_more; number++) {
		place at = {.source = CONFIG_FILE};
		str line;

		has_more = str_split(text, '\n', &line, &text);
		if (str_ends_with(line, STR("\r"))) {
			line.len--;
		}
		snprintf(at.text, sizeof at.text, "%.120s line %u", path, number);
		if (!read_line(c, line, number, &at, line_of, e)) {
			return false;
		}
	}
	return true;
}

static bool read_file(config *c, const char *path, err *e)
{
	bool ok = false;
	char *text = NULL;
	size_t len;
	FILE *file = fopen(path, "re");

	if (file == NULL) {
		err_set(e, ERR_INVALID_REQUEST, "cannot open the configuration file %.120s: %s", path, strerror(errno));
		goto out;
	}
	text = malloc(CONFIG_FILE_MAX);
	if (text == NULL) {
		err_set(e, ERR_NO_MEMORY, "no memory to read the configuration file %.120s", path);
		goto out;
	}
	len = fread(text, 1, CONFIG_FILE_MAX, file);
	if (ferror(file)) {
		err_set(e, ERR_INVALID_REQUEST, "cannot read the configuration file %.120s: %s", path, strerror(errno));
		goto out;
	}
	if (len == CONFIG_FILE_MAX) {
		err_set(e, ERR_INVALID_REQUEST, "the configuration file %.120s is larger than 1 MiB; is it the right one",
				path);
		goto out;
	}
	ok = read_text(c, path, (str){text, len}, e);
out:
	free(text);
	if (file != NULL) {
		fclose(file);
	}
	return ok;
}

/* The key of a variable "TIDEGATE_LOG_LEVEL"; NULL for any other name. Variables of tools around us may share the
 * prefix, so an unknown one is no error. */
static const config_key *key_of_variable(str variable)
{
	char name[64];

	if (!str_starts_with(variable, STR(ENVIRONMENT_PREFIX))) {
		return NULL;
	}
	variable = str_skip(variable, sizeof ENVIRONMENT_PREFIX - 1);
	if (variable.len >= sizeof name) {
		return NULL;
	}
	for (size_t i = 0; i < variable.len; i++) {
		char letter = variable.ptr[i];
		if (letter >= 'a' && letter <= 'z') {
			return NULL;
		}
		name[i] = (char)(letter >= 'A' && letter <= 'Z' ? letter - 'A' + 'a' : letter);
	}
	return find_key((str){name, variable.len});
}

static const config_key *key_of_alias(str variable)
{
	str name = config_alias_find(variable);
	return name.len > 0 ? find_key(name) : NULL;
}

static bool set_from_variable(config *c, const config_key *key, str variable, str value, err *e)
{
	place at = {.source = CONFIG_ENVIRONMENT};
	snprintf(at.text, sizeof at.text, "environment variable %.*s", STR_ARG(variable));
	return set_value(c, key, str_trim(value), &at, e);
}

static bool read_variables(config *c, char *const *environment, const config_key *(*key_of)(str variable), err *e)
{
	for (; environment != NULL && *environment != NULL; environment++) {
		str variable;
		str value;

		if (!str_split(str_from_c(*environment), '=', &variable, &value)) {
			continue;
		}
		const config_key *key = key_of(variable);
		if (key != NULL && !set_from_variable(c, key, variable, value, e)) {
			return false;
		}
	}
	return true;
}

/* What other names say first, so that a setting's own variable wins. */
static bool read_environment(config *c, char *const *environment, err *e)
{
	char listen[CONFIG_ALIAS_LISTEN_BYTES];
	if (config_alias_listen(environment, listen) &&
		!set_from_variable(c, find_key(STR("listen")), STR("TOPICS_HOST"), str_from_c(listen), e)) {
		return false;
	}
	return read_variables(c, environment, key_of_alias, e) && read_variables(c, environment, key_of_variable, e);
}

bool config_load(const char *path, char *const *environment, config **out, err *e)
{
	bool ok = false;
	config *c = calloc(1, sizeof *c);

	if (c != NULL) {
		c->store = calloc(1, sizeof *c->store);
	}
	if (c != NULL && c->store != NULL) {
		c->store->texts = arena_new(CONFIG_TEXTS_MAX);
	}
	if (c == NULL || c->store == NULL || c->store->texts == NULL) {
		err_set(e, ERR_NO_MEMORY, "no memory for the configuration");
		goto out;
	}
	set_defaults(c);
	if (path != NULL && !read_file(c, path, e)) {
		goto out;
	}
	if (!read_environment(c, environment, e)) {
		goto out;
	}
	*out = c;
	c = NULL;
	ok = true;
out:
	config_free(c);
	return ok;
}

bool config_set(config *c, str key, str value, err *e)
{
	const place at = {.source = CONFIG_COMMAND_LINE};
	const config_key *found = find_key(key);

	if (found == NULL) {
		return err_set(e, ERR_INVALID_REQUEST, "there is no setting \"%.*s\"; `tidegate config sample` lists them all",
					   STR_ARG(str_take(key, CONFIG_QUOTE_MAX)));
	}
	return set_value(c, found, str_trim(value), &at, e);
}

void config_free(config *c)
{
	if (c == NULL) {
		return;
	}
	if (c->store != NULL) {
		arena_free(c->store->texts);
		free(c->store);
	}
	free(c);
}

bool config_is_default(const config *c, str key)
{
	const config_key *found = find_key(key);
	return found != NULL && c->store->sources[found - CONFIG_TABLE] == CONFIG_DEFAULT;
}

bool config_has_key(str key, bool *is_switch)
{
	const config_key *found = find_key(key);

	if (found == NULL) {
		return false;
	}
	*is_switch = found->kind == CONFIG_KIND_SWITCH;
	return true;
}
