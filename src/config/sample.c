/* What can be printed of settings: the commented sample, and the values in force with secrets masked. */
#include <string.h>

#include "config/config.h"
#include "config/table.h"

enum { CONFIG_COMMENT_COLUMNS = 110 };

static const char HEADING[] =
	"# Settings of Tidegate, each with its default. Take away the '#' in front of a key to change it.\n"
	"#\n"
	"# A line is `key = value`; a '#' at the beginning of a line or after a blank starts a comment. The environment\n"
	"# variable TIDEGATE_<KEY>, for instance TIDEGATE_LISTEN, wins over the file, and the command line over both.\n";

/* The text as comment lines of at most CONFIG_COMMENT_COLUMNS. */
static void write_comment(buf *out, str text)
{
	while (text.len > 0) {
		size_t cut = text.len;
		if (cut > CONFIG_COMMENT_COLUMNS) {
			cut = CONFIG_COMMENT_COLUMNS;
			while (cut > 1 && text.ptr[cut] != ' ') {
				cut--;
			}
		}
		buf_printf(out, "# %.*s\n", (int)cut, text.ptr);
		text = str_trim(str_skip(text, cut));
	}
}

static void write_range(buf *out, const config_key *key)
{
	switch (key->kind) {
	case CONFIG_KIND_TEXT:
		break;
	case CONFIG_KIND_CHOICE:
		buf_printf(out, "# One of %s.\n", key->choices);
		break;
	case CONFIG_KIND_NUMBER:
		buf_printf(out, "# From %lld to %lld.\n", (long long)key->least, (long long)key->most);
		break;
	case CONFIG_KIND_SWITCH:
		buf_printf(out, "# true or false.\n");
		break;
	}
}

void config_write_sample(buf *out)
{
	buf_append_str(out, str_from_c(HEADING));
	for (size_t i = 0; i < CONFIG_KEY_COUNT; i++) {
		const config_key *key = &CONFIG_TABLE[i];
		buf_append_byte(out, '\n');
		write_comment(out, str_from_c(key->help));
		write_range(out, key);
		buf_printf(out, "#%s =", key->name);
		if (key->kind == CONFIG_KIND_NUMBER) {
			buf_printf(out, " %lld", (long long)key->number);
		} else if (key->kind == CONFIG_KIND_SWITCH) {
			buf_printf(out, " %s", key->number != 0 ? "true" : "false");
		} else if (key->text[0] != '\0') {
			buf_printf(out, " %s", key->text);
		}
		buf_append_byte(out, '\n');
	}
}

/* Where the value that begins at `at` of a connection string ends: a quoted one at its closing quote. */
static size_t end_of_password(str url, size_t at)
{
	bool is_quoted = at < url.len && url.ptr[at] == '\'';
	for (at += is_quoted ? 1 : 0; at < url.len; at++) {
		char letter = url.ptr[at];
		if (letter == '\\') {
			at++;
		} else if (is_quoted ? letter == '\'' : letter == ' ' || letter == '\t' || letter == '&') {
			break;
		}
	}
	return at < url.len ? at : url.len;
}

/* scheme://user:SECRET@host: where the secret begins and ends. Masks up to the last '@', for a password in which one
 * was not escaped. */
static bool find_uri_password(str url, size_t *begin, size_t *end)
{
	size_t start;
	size_t stop = 0;

	if (!str_find(url, STR("://"), &start)) {
		return false;
	}
	for (start += 3; start < url.len && url.ptr[start] != ':'; start++) {
		if (url.ptr[start] == '@' || url.ptr[start] == '/') {
			return false;
		}
	}
	start++;
	for (size_t i = start; i < url.len && url.ptr[i] != '?'; i++) {
		if (url.ptr[i] == '@') {
			stop = i;
		}
	}
	if (stop == 0) {
		return false;
	}
	*begin = start;
	*end = stop;
	return true;
}

/* A connection string with every password in it replaced by "***". */
static void write_masked_url(buf *out, str url)
{
	size_t begin;
	size_t end;
	size_t at;

	if (find_uri_password(url, &begin, &end)) {
		buf_append_str(out, str_take(url, begin));
		buf_append_str(out, STR("***"));
		url = str_skip(url, end);
	}
	while (str_find(url, STR("password"), &at)) {
		at += sizeof "password" - 1;
		while (at < url.len && (url.ptr[at] == ' ' || url.ptr[at] == '=')) {
			at++;
		}
		buf_append_str(out, str_take(url, at));
		buf_append_str(out, STR("***"));
		end = end_of_password(url, at);
		if (end < url.len && url.ptr[end] == '\'') {
			end++;
		}
		url = str_skip(url, end);
	}
	buf_append_str(out, url);
}

static void write_text(buf *out, const config_key *key, str value)
{
	if (str_ends_with(str_from_c(key->name), STR("_url"))) {
		write_masked_url(out, value);
	} else if (str_equal(str_from_c(key->name), STR("api_keys"))) {
		buf_append_str(out, value.len > 0 ? STR("***") : value);
	} else {
		buf_append_str(out, value);
	}
}

static void write_value(buf *out, const config *c, const config_key *key)
{
	const void *value = (const char *)c + key->place;

	switch (key->kind) {
	case CONFIG_KIND_TEXT:
	case CONFIG_KIND_CHOICE:
		write_text(out, key, *(const str *)value);
		break;
	case CONFIG_KIND_NUMBER:
		buf_append_i64(out, *(const int64_t *)value);
		break;
	case CONFIG_KIND_SWITCH:
		buf_append_str(out, *(const bool *)value ? STR("true") : STR("false"));
		break;
	}
}

void config_write_effective(const config *c, buf *out)
{
	for (size_t i = 0; i < CONFIG_KEY_COUNT; i++) {
		const char *note = "";

		switch (c->store->sources[i]) {
		case CONFIG_DEFAULT:
			break;
		case CONFIG_FILE:
			note = "  # from the file";
			break;
		case CONFIG_ENVIRONMENT:
			note = "  # from the environment";
			break;
		case CONFIG_COMMAND_LINE:
			note = "  # from the command line";
			break;
		}
		buf_printf(out, "%s = ", CONFIG_TABLE[i].name);
		write_value(out, c, &CONFIG_TABLE[i]);
		buf_printf(out, "%s\n", note);
	}
}
