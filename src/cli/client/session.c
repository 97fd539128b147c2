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

/* The address given, with no key but the caller's own. */
static tg_status use_url(const session *s, tg_config **out, tg_error *error)
{
	const char *key = cli_variable(s->call->environment, STR("TIDEGATE_API_KEY"));
	const char *token = cli_variable(s->call->environment, STR("TIDEGATE_TOKEN"));
	const char *ca_file = cli_variable(s->call->environment, STR("TIDEGATE_CA_FILE"));
	tg_config *setup = tg_config_new();
	tg_status status = setup == NULL ? TG_ERR_NO_MEMORY : tg_config_set_endpoint(setup, s->url);
	if (status == TG_ERR_INVALID_ARGUMENT) {
		snprintf(error->message, sizeof error->message, "--url must begin with http:// or https://");
	} else if (status == TG_ERR_NO_MEMORY || (status = tg_config_set_api_key(setup, key)) != TG_OK ||
			   (status = tg_config_set_token(setup, token)) != TG_OK ||
			   (status = tg_config_set_tls_ca_file(setup, ca_file)) != TG_OK) {
		snprintf(error->message, sizeof error->message, "a variable TIDEGATE_… has a line end, or memory is out");
	}
	if (status != TG_OK) {
		tg_config_free(setup);
		return status;
	}
	*out = setup;
	return TG_OK;
}

bool session_open(session *s)
{
	err e;
	tg_error error = {.message = ""};
	tg_config *setup = NULL;
	char *key = NULL;
	bool ok = false;

	signal(SIGPIPE, SIG_IGN);
	if (s->url != NULL && s->profile != NULL) {
		cli_fail(s->call, CLI_USAGE, "--url and --profile exclude each other");
		return false;
	}
	if (s->key_file != NULL && !session_read_key(s->key_file, &key, &e)) {
		cli_fail(s->call, CLI_FAILED, e.message);
		return false;
	}
	tg_status status = s->url != NULL ? use_url(s, &setup, &error) : tg_config_load(s->profile, &setup, &error);
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
