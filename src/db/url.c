#include "db/url.h"

#include <libpq-fe.h>
#include <stdlib.h>
#include <string.h>

static void append_setting(buf *out, const char *keyword, str value)
{
	buf_printf(out, "%s='", keyword);
	for (size_t i = 0; i < value.len; i++) {
		if (value.ptr[i] == '\'' || value.ptr[i] == '\\') {
			buf_append_byte(out, '\\');
		}
		buf_append_byte(out, value.ptr[i]);
	}
	buf_append_str(out, STR("' "));
}

bool db_url_with_database(str url, str database, buf *out, err *e)
{
	bool ok = false;
	PQconninfoOption *parsed = NULL;
	char *text = strndup(url.ptr, url.len);
	if (text == NULL) {
		err_set(e, ERR_NO_MEMORY, "out of memory");
		goto out;
	}
	parsed = PQconninfoParse(text, NULL);
	if (parsed == NULL) {
		err_set(e, ERR_INVALID_REQUEST,
				"the database url cannot be understood; see the libpq documentation for its form");
		goto out;
	}
	for (const PQconninfoOption *o = parsed; o->keyword != NULL; o++) {
		if (o->val != NULL && strcmp(o->keyword, "dbname") != 0) {
			append_setting(out, o->keyword, str_from_c(o->val));
		}
	}
	append_setting(out, "dbname", database);
	ok = !out->failed || err_set(e, ERR_INVALID_REQUEST, "the database url is too long");
out:
	PQconninfoFree(parsed);
	free(text);
	return ok;
}
