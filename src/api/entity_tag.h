/*
 * api/entity_tag: ETag and If-None-Match (RFC 9110, section 13).
 *
 * Threads  any.
 */
#ifndef TIDEGATE_API_ENTITY_TAG_H
#define TIDEGATE_API_ENTITY_TAG_H

#include "http/exchange.h"

/* If-None-Match: a list of tags, weak ones included, or `*`; the tag holds no comma. ptr NULL: no. */
bool entity_tag_matches(str if_none_match, str tag);
/* Gives the reply the tag of its body. True when the client has that body already: 304. */
bool entity_tag_reply(http_exchange *x);

#endif
