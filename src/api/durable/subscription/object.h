/*
 * api/durable/subscription/object: subscriptions and their streams as JSON, and the URLs that belong to them.
 *
 * Threads  any. Errors: buf.failed.
 */
#ifndef TIDEGATE_API_DURABLE_SUBSCRIPTION_OBJECT_H
#define TIDEGATE_API_DURABLE_SUBSCRIPTION_OBJECT_H

#include "api/durable/subscription/store.h"
#include "base/buf.h"

#define SUBSCRIPTION_CONTROL_PREFIX "/v1/stream/__ds/"

/* What PUT and GET answer. `key_id`: of the key that signs webhooks now. */
void subscription_write_object(buf *out, const subscription *s, const subscription_link *links, size_t count,
							   str key_id);
/* The streams of a wake as an array: as far as the wake knows of them. */
void subscription_write_streams(buf *out, const subscription_link *links, size_t count);
void subscription_write_callback_url(buf *out, const subscription *s);

#endif
