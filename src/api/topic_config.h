/*
 * api/topic_config: the configuration object of a topic (section 3 of the topics contract), read and written. Shared by
 * all dialects that have one.
 *
 * Threads  any.
 */
#ifndef TIDEGATE_API_TOPIC_CONFIG_H
#define TIDEGATE_API_TOPIC_CONFIG_H

#include "api/body.h"
#include "log/topic.h"

/* Reads members up to the end of the object that was just opened. *c holds what members left out mean: the
 * defaults, or a topic's present configuration. Out-of-range leases and jitters are clamped. Errors stick in the body.
 */
void topic_config_read(body *b, log_topic_config *c);
/* What can be judged only with the topic's name at hand. ERR_INVALID_REQUEST. */
bool topic_config_check(const log_topic_config *c, str topic_name, err *e) MUST_CHECK;
/* All 17 members, in the contract's order. */
void topic_config_write(buf *out, const log_topic_config *c);

#endif
