/*
 * api/durable/subscription/subscriptions: the control space of the durable dialect, /v1/stream/__ds/…: subscriptions,
 * and the keys that webhooks are signed with.
 *
 * A subscription is a durable cursor over streams that wakes a worker: by calling its webhook, or by an event in a
 * stream, after which the worker claims the wake (pull-wake). Layers, from below: store (rows), wake (what a wake goes
 * through), telling (webhook, wake event) over courier (HTTP), clerk (background) and sweep (what is due or was missed),
 * one file per group of routes.
 *
 * Threads  handlers run on a server's thread and do not block.
 * Limits   SUBSCRIPTIONS_PER_TENANT_MAX; SUBSCRIPTION_LINKS_MAX streams linked by name to one subscription.
 */
#ifndef TIDEGATE_API_DURABLE_SUBSCRIPTION_SUBSCRIPTIONS_H
#define TIDEGATE_API_DURABLE_SUBSCRIPTION_SUBSCRIPTIONS_H

#include "api/durable/subscription/clerk.h"
#include "api/operation.h"
#include "http/route.h"

enum { SUBSCRIPTIONS_PER_TENANT_MAX = 10000, SUBSCRIPTION_LINKS_MAX = 10000, SUBSCRIPTION_BODY_BYTES_MAX = 4 << 20 };

extern const http_dialect subscription_dialect;

/* In the transaction that deletes a stream softly: its links go. (Those of a topic that is really deleted go with it.) */
bool subscription_drop_stream(log_conn *conn, int64_t topic_id, err *e) MUST_CHECK;

/* create.c */
void subscription_put(http_exchange *x);
/* show.c */
void subscription_get(http_exchange *x);
void subscription_delete(http_exchange *x);
/* links.c */
void subscription_link_streams(http_exchange *x);
void subscription_unlink_stream(http_exchange *x);
/* claim.c */
void subscription_claim(http_exchange *x);
/* report.c */
void subscription_ack(http_exchange *x);
void subscription_release(http_exchange *x);
void subscription_callback(http_exchange *x);
/* jwks.c */
void subscription_jwks(http_exchange *x);
/* control.c */
void subscription_unknown(http_exchange *x);

/* ---- shared by these files ---- */

/* The subscription's name in the path. */
bool subscription_take_name(const http_exchange *x, str *out, err *e) MUST_CHECK;
/* Whether the key's prefixes cover all that a subscription reaches: pattern, wake stream, and links by name. */
bool subscription_check_access(const http_exchange *x, const subscription *s, const subscription_link *links,
							   size_t count, err *e) MUST_CHECK;
/* The same for a key that has prefixes at all, when the links are not at hand. */
bool subscription_check_access_to(api_operation *op, log_conn *conn, const subscription *s, err *e) MUST_CHECK;
bool subscription_check_pattern(const http_exchange *x, str pattern_head, err *e) MUST_CHECK;
/* Reads links and writes the object into the reply. */
bool subscription_reply_object(api_operation *op, log_conn *conn, const subscription *s, err *e) MUST_CHECK;
/* 204 */
void subscription_reply_nothing(api_operation *op);

#endif
