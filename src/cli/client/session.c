#include "cli/client/session.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { KEY_BYTES_MAX = 8192 };

bool session_read_key(const char *path, char **key, err *e)
{
	char line[KEY_BYTES_MAX + 2];
	FILE *file = strcmp(path, "-") == 0 ? stdin : fopen(path, "re");
	if (file == NULL) {
		return err_set(e, ERR_INVALID_REQUEST, "the key's file %.200s cannot be read: %s", path, strerror(errno));
	}
	bool has_line = fgets(line, sizeof line, file) != NULL;
	if (file != stdin) {
		fclose(file);
	}
	size_t len = has_line ? strcspn(line, "\r\n") : 0;
	if (len == 0 || len > KEY_BYTES_MAX) {
		return err_set(e, ERR_INVALID_REQUEST, "the first line of %.200s is no key", path);
	}
	*key = strndup(line, len);
	explicit_bzero(line, sizeof line);
	return *key != NULL || err_set(e, ERR_NO_MEMORY, "there is no memory for the key");
}

void session_wipe_key(char *key)
{
	if (key != NULL) {
		explicit_bzero(key, strlen(key));
		free(key);
	}
}

bool session_open(session *s)
{
	err e;
	tg_error error = {.message = ""};
	tg_config *setup = NULL;
	char *key = NULL;
	bool ok = false;

	signal(SIGPIPE, SIG_IGN);
	if (s->key_file != NULL && !session_read_key(s->key_file, &key, &e)) {
		cli_fail(s->call, CLI_FAILED, e.message);
		return false;
	}
	if (s->url != NULL) {
		setenv("TIDEGATE_URL", s->url, 1); /* which keeps profiles out of it */
	}
	tg_status status = tg_config_load(s->url != NULL ? NULL : s->profile, &setup, &error);
	if (status == TG_OK && key != NULL) {
		status = tg_config_set_api_key(setup, key);
	}
	if (status == TG_OK) {
		status = tg_connect(setup, &s->client, &error);
	}
	ok = status == TG_OK;
	if (!ok) {
		session_fail(s, &error);
	}
	session_wipe_key(key);
	tg_config_free(setup);
	return ok;
}

void session_close(session *s)
{
	tg_client_close(s->client);
	s->client = NULL;
}

int session_fail(const session *s, const tg_error *error)
{
	return cli_fail(s->call, CLI_FAILED, error->message);
}
