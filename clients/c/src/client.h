/*
 * client: the address and credentials that everything made from it shares.
 *
 * Owns     copies of the configuration's text; the one connection of calls that wait.
 * Threads  any; counted references.
 */
#ifndef TG_CLIENT_H
#define TG_CLIENT_H

#include "tidegate.h"

#include <pthread.h>
#include <stdatomic.h>

struct tg_config {
	char *endpoint; /* without a slash at the end */
	char *api_key;
	char *token;
	char *ca_file;
	char *certificate_file;
	char *key_file;
	bool verify;
	int64_t connect_timeout_ms;
	int64_t request_timeout_ms;
};

struct call;

struct tg_client {
	tg_config config;
	atomic_uint references;
	pthread_mutex_t lock; /* of shared */
	struct call *shared;
};

void tgi_client_ref(tg_client *client);
/* A topic's name as a path segment can hold it, or TG_ERR_INVALID_ARGUMENT. */
tg_status tgi_client_check_name(const char *what, const char *name, tg_error *error);

#endif
