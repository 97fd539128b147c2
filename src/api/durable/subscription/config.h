/*
 * api/durable/subscription/config: what a subscription is asked to be: the body of its PUT.
 *
 * Owns     texts live in the arena or the body.
 * Threads  any.
 * Limits   SUBSCRIPTION_STREAMS_MAX streams named in one request.
 * Errors   ERR_INVALID_REQUEST, ERR_WEBHOOK_URL_REJECTED, ERR_NO_MEMORY.
 */
#ifndef TIDEGATE_API_DURABLE_SUBSCRIPTION_CONFIG_H
#define TIDEGATE_API_DURABLE_SUBSCRIPTION_CONFIG_H

#include "api/body.h"
#include "api/durable/subscription/pattern.h"
#include "auth/signing.h"

enum {
	SUBSCRIPTION_STREAMS_MAX = 1000,
	SUBSCRIPTION_LEASE_MS_MIN = 1000,
	SUBSCRIPTION_LEASE_MS_MAX = 600000,
	SUBSCRIPTION_LEASE_MS_DEFAULT = 30000,
	SUBSCRIPTION_DESCRIPTION_MAX = 4096, /* bytes */
};

typedef struct subscription_paths {
	str *list; /* sorted, each once */
	size_t count;
} subscription_paths;

typedef struct subscription_config {
	bool is_webhook;
	subscription_pattern pattern; /* text.ptr NULL: none */
	subscription_paths streams;
	str webhook_url;
	str wake_stream;
	int64_t lease_ttl_ms;
	str description;                       /* ptr NULL: none */
	unsigned char hash[AUTH_DIGEST_BYTES]; /* two that ask for the same have the same */
} subscription_config;

bool subscription_config_read(str body, arena *a, bool allow_localhost, subscription_config *out, err *e) MUST_CHECK;
/* The body of POST …/streams: {"streams":[…]}, at least one. */
bool subscription_streams_read(str body, arena *a, subscription_paths *out, err *e) MUST_CHECK;

#endif
