#include "cli/client/admin.h"

#include <string.h>

enum { PATH_BYTES_MAX = 4096, CURSOR_BYTES_MAX = 2048 };

static void append_escaped(buf *path, const char *text)
{
	for (; *text != '\0'; text++) {
		unsigned char c = (unsigned char)*text;
		bool is_plain =
			(c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || strchr("-._~", c) != NULL;
		if (is_plain) {
			buf_append_byte(path, *text);
		} else {
			buf_printf(path, "%%%02X", c);
		}
	}
}

void admin_path(buf *path, const char *const segments[])
{
	buf_init(path, PATH_BYTES_MAX);
	for (size_t i = 0; segments[i] != NULL; i++) {
		buf_append_byte(path, '/');
		append_escaped(path, segments[i]);
	}
}

json_t *admin_call(const session *s, const char *method, const buf *path, const json_t *body, int *http,
				   tg_error *error)
{
	tg_error own;
	tg_error *e = error != NULL ? error : &own;
	tg_reply reply = {0};
	json_t *parsed = NULL;
	char *text = body != NULL ? json_dumps(body, JSON_COMPACT) : NULL;
	char address[PATH_BYTES_MAX + 1];

	snprintf(address, sizeof address, "%.*s", STR_ARG(buf_str(path)));
	*e = (tg_error){.kind = TG_ERR_INVALID_ARGUMENT, .message = "a name is too long, or memory is out"};
	if (!path->failed && (body == NULL || text != NULL) &&
		tg_request(s->client, method, address, text, &reply, e) == TG_OK) {
		parsed = json_loadb(reply.text, reply.len, JSON_ALLOW_NUL | JSON_DECODE_ANY, NULL);
		if (http != NULL) {
			*http = reply.http;
		}
		if (parsed == NULL) {
			snprintf(e->message, sizeof e->message,
					 "the answer is no JSON; does the address lead to a Tidegate server?");
		}
	}
	if (parsed == NULL && error == NULL) {
		session_fail(s, e);
	}
	tg_reply_free(&reply);
	free(text);
	return parsed;
}

json_t *admin_get(const session *s, const char *const segments[])
{
	buf path;
	admin_path(&path, segments);
	json_t *reply = admin_call(s, "GET", &path, NULL, NULL, NULL);
	buf_dispose(&path);
	return reply;
}

bool admin_delete(const session *s, const char *const segments[], tg_error *error)
{
	buf path;
	admin_path(&path, segments);
	json_t *reply = admin_call(s, "DELETE", &path, NULL, NULL, error);
	buf_dispose(&path);
	json_decref(reply);
	return reply != NULL;
}

/* Adds a page's entries; *cursor: of this page, then of the next, "" = none. */
static bool add_page(const session *s, const char *name, json_t *list, char cursor[CURSOR_BYTES_MAX])
{
	const char *const segments[] = {name, NULL};
	buf path;
	admin_path(&path, segments);
	buf_append_str(&path, STR("?page_size=1000"));
	if (cursor[0] != '\0') {
		buf_append_str(&path, STR("&cursor="));
		append_escaped(&path, cursor);
	}
	json_t *page = admin_call(s, "GET", &path, NULL, NULL, NULL);
	buf_dispose(&path);
	const char *next = json_string_value(json_object_get(page, "next_cursor"));
	snprintf(cursor, CURSOR_BYTES_MAX, "%s", next != NULL ? next : "");
	json_t *entries = json_object_get(page, name);
	bool ok = page != NULL && (entries == NULL || json_array_extend(list, entries) == 0);
	json_decref(page);
	return ok;
}

json_t *admin_list(const session *s, const char *name)
{
	char cursor[CURSOR_BYTES_MAX] = "";
	json_t *list = json_array();
	bool ok = list != NULL;
	do {
		ok = ok && add_page(s, name, list, cursor);
	} while (ok && cursor[0] != '\0');
	if (!ok) {
		json_decref(list);
		return NULL;
	}
	return list;
}

json_t *admin_describe(const session *s, const char *topic)
{
	json_t *found = NULL;
	json_t *names = topic == NULL ? admin_list(s, "topics") : json_pack("[{s:s}]", "name", topic);
	size_t i;
	json_t *entry;
	if (names == NULL) {
		return NULL;
	}
	found = json_array();
	json_array_foreach(names, i, entry)
	{
		const char *const segments[] = {"topics", json_string_value(json_object_get(entry, "name")), NULL};
		json_t *description = admin_get(s, segments);
		if (description == NULL || json_array_append_new(found, description) != 0) {
			json_decref(found);
			found = NULL;
			break;
		}
	}
	json_decref(names);
	return found;
}
