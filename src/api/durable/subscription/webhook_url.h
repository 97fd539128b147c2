/*
 * api/durable/subscription/webhook_url: which URLs a webhook may have, judged by the text alone.
 *
 * https to a public host; nothing is resolved here. Where the name leads is judged again for each delivery, by the
 * address that is about to be connected to (courier). With `allow_localhost` also http and https to localhost and
 * 127.0.0.0/8.
 *
 * Threads  any, once a courier was made: it sets libcurl up.
 * Errors   ERR_WEBHOOK_URL_REJECTED with what is wrong; ERR_NO_MEMORY.
 */
#ifndef TIDEGATE_API_DURABLE_SUBSCRIPTION_WEBHOOK_URL_H
#define TIDEGATE_API_DURABLE_SUBSCRIPTION_WEBHOOK_URL_H

#include "base/err.h"

enum { WEBHOOK_URL_MAX = 2048 };

bool webhook_url_judge(str url, bool allow_localhost, err *e) MUST_CHECK;

#endif
