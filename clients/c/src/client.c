#include "client.h"

#include "call.h"
#include "error.h"
#include "profile.h"

#include <stdlib.h>
#include <string.h>

enum { NAME_BYTES_MAX = 255, CONNECT_TIMEOUT_MS = 10000, REQUEST_TIMEOUT_MS = 30000 };

static pthread_once_t curl_once = PTHREAD_ONCE_INIT;
static CURLcode curl_ready = CURLE_FAILED_INIT; /* written once, inside curl_once */

static void start_curl(void)
{
	curl_ready = curl_global_init(CURL_GLOBAL_DEFAULT);
}

/* ---- configuration ---- */

static tg_status set_text(char **to, const char *text)
{
	char *copy = NULL;
	if (text != NULL && strpbrk(text, "\r\n") != NULL) {
		return TG_ERR_INVALID_ARGUMENT;
	}
	if (text != NULL && (copy = strdup(text)) == NULL) {
		return TG_ERR_NO_MEMORY;
	}
	free(*to);
	*to = copy;
	return TG_OK;
}

tg_config *tg_config_new(void)
{
	tg_config *config = calloc(1, sizeof *config);
	if (config == NULL) {
		return NULL;
	}
	config->verify = true;
	config->connect_timeout_ms = CONNECT_TIMEOUT_MS;
	config->request_timeout_ms = REQUEST_TIMEOUT_MS;
	if (tg_config_set_endpoint(config, "http://localhost:5470") != TG_OK) {
		tg_config_free(config);
		return NULL;
	}
	return config;
}

static bool has_variable(const char *name)
{
	const char *value = getenv(name);
	return value != NULL && value[0] != '\0';
}

/* Who the caller is, and whom it trusts: these go before what a profile says. */
static tg_status apply_environment(tg_config *config)
{
	static const struct {
		const char *variable;
		tg_status (*set)(tg_config *config, const char *text);
	} settings[] = {
		{"TIDEGATE_API_KEY", tg_config_set_api_key},
		{"TIDEGATE_TOKEN", tg_config_set_token},
		{"TIDEGATE_CA_FILE", tg_config_set_tls_ca_file},
	};
	tg_status status = TG_OK;
	for (size_t i = 0; i < sizeof settings / sizeof settings[0] && status == TG_OK; i++) {
		if (has_variable(settings[i].variable)) {
			status = settings[i].set(config, getenv(settings[i].variable));
		}
	}
	return status;
}

static tg_status apply_place(tg_config *config, const char *profile, tg_error *error)
{
	if (profile != NULL || !has_variable("TIDEGATE_URL")) {
		return tgi_profile_apply(config, profile, error);
	}
	tg_status status = tg_config_set_endpoint(config, getenv("TIDEGATE_URL"));
	return status == TG_OK ? TG_OK
						   : tgi_error_set(error, status, "the server's address must begin with http:// or https://");
}

tg_status tg_config_load(const char *profile, tg_config **out, tg_error *error)
{
	tg_config *config = tg_config_new();
	if (config == NULL) {
		return tgi_error_no_memory(error);
	}
	tg_status status = apply_place(config, profile, error);
	if (status == TG_OK && (status = apply_environment(config)) != TG_OK) {
		tgi_error_set(error, status, "a key, a token or a path in the environment must have no line end");
	}
	if (status != TG_OK) {
		tg_config_free(config);
		return status;
	}
	*out = config;
	return TG_OK;
}

tg_status tg_config_set_endpoint(tg_config *config, const char *url)
{
	if (url == NULL || (strncmp(url, "http://", 7) != 0 && strncmp(url, "https://", 8) != 0)) {
		return TG_ERR_INVALID_ARGUMENT;
	}
	tg_status status = set_text(&config->endpoint, url);
	for (size_t len = status == TG_OK ? strlen(url) : 0; len > 0 && config->endpoint[len - 1] == '/'; len--) {
		config->endpoint[len - 1] = '\0';
	}
	return status;
}

tg_status tg_config_set_api_key(tg_config *config, const char *key)
{
	return set_text(&config->api_key, key);
}

tg_status tg_config_set_token(tg_config *config, const char *token)
{
	return set_text(&config->token, token);
}

tg_status tg_config_set_tls_ca_file(tg_config *config, const char *pem)
{
	return set_text(&config->ca_file, pem);
}

tg_status tg_config_set_tls_identity(tg_config *config, const char *certificate_pem, const char *key_pem)
{
	tg_status status = set_text(&config->certificate_file, certificate_pem);
	return status == TG_OK ? set_text(&config->key_file, key_pem) : status;
}

void tg_config_set_tls_verify(tg_config *config, bool verify)
{
	config->verify = verify;
}

void tg_config_set_connect_timeout_ms(tg_config *config, int64_t timeout_ms)
{
	config->connect_timeout_ms = timeout_ms;
}

void tg_config_set_request_timeout_ms(tg_config *config, int64_t timeout_ms)
{
	config->request_timeout_ms = timeout_ms;
}

static void dispose_config(tg_config *config)
{
	free(config->endpoint);
	free(config->api_key);
	free(config->token);
	free(config->ca_file);
	free(config->certificate_file);
	free(config->key_file);
}

void tg_config_free(tg_config *config)
{
	if (config != NULL) {
		dispose_config(config);
		free(config);
	}
}

static tg_status copy_config(tg_config *to, const tg_config *from)
{
	*to = (tg_config){
		.verify = from->verify,
		.connect_timeout_ms = from->connect_timeout_ms,
		.request_timeout_ms = from->request_timeout_ms,
	};
	const struct {
		char **to;
		const char *from;
	} texts[] = {
		{&to->endpoint, from->endpoint}, {&to->api_key, from->api_key},
		{&to->token, from->token},       {&to->ca_file, from->ca_file},
		{&to->key_file, from->key_file}, {&to->certificate_file, from->certificate_file},
	};
	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
		tg_status status = set_text(texts[i].to, texts[i].from);
		if (status != TG_OK) {
			return status;
		}
	}
	return TG_OK;
}

/* ---- client ---- */

/* A key that may only write is fine: it is known, and that is what was asked. */
static tg_status check_server(tg_client *client, tg_error *error)
{
	const call_request request = {
		.method = "GET", .path = "/topics?page_size=1", .timeout_ms = client->config.request_timeout_ms};
	tg_error own;
	tg_status status = tgi_call_run(client, &request, NULL, &own);
	return status == TG_OK || status == TG_ERR_FORBIDDEN ? TG_OK : tgi_error_copy(error, &own);
}

tg_status tg_connect(const tg_config *config, tg_client **out, tg_error *error)
{
	pthread_once(&curl_once, start_curl);
	if (curl_ready != CURLE_OK) {
		return tgi_error_set(error, TG_ERR_NO_MEMORY, "libcurl could not start: %s", curl_easy_strerror(curl_ready));
	}
	tg_client *client = calloc(1, sizeof *client);
	if (client == NULL) {
		return tgi_error_no_memory(error);
	}
	if (pthread_mutex_init(&client->lock, NULL) != 0) {
		free(client);
		return tgi_error_no_memory(error);
	}
	atomic_init(&client->references, 1);
	client->shared = calloc(1, sizeof *client->shared);
	tg_status status = copy_config(&client->config, config);
	if (status != TG_OK || client->shared == NULL) {
		tg_client_close(client);
		return tgi_error_no_memory(error);
	}
	status = check_server(client, error);
	if (status != TG_OK) {
		tg_client_close(client);
		return status;
	}
	*out = client;
	return TG_OK;
}

void tgi_client_ref(tg_client *client)
{
	atomic_fetch_add(&client->references, 1);
}

void tg_client_close(tg_client *client)
{
	if (client == NULL || atomic_fetch_sub(&client->references, 1) != 1) {
		return;
	}
	if (client->shared != NULL) {
		tgi_call_dispose(client->shared);
		free(client->shared);
	}
	dispose_config(&client->config);
	pthread_mutex_destroy(&client->lock);
	free(client);
}

tg_status tgi_client_check_name(const char *what, const char *name, tg_error *error)
{
	if (name == NULL || name[0] == '\0' || strlen(name) > NAME_BYTES_MAX || strcmp(name, ".") == 0 ||
		strcmp(name, "..") == 0 || !tgi_buffer_is_text(name, strlen(name))) {
		return tgi_error_set(error, TG_ERR_INVALID_ARGUMENT, "the %s must have 1 to %d bytes of UTF-8", what,
							 NAME_BYTES_MAX);
	}
	return TG_OK;
}
