#include "api/entity_tag.h"

#include "base/siphash.h"

#include <inttypes.h>
#include <stdio.h>

bool entity_tag_matches(str if_none_match, str tag)
{
	str rest = str_trim(if_none_match);
	if (str_equal(rest, STR("*"))) {
		return true;
	}
	/* Cutting at commas finds every tag that could match. */
	while (rest.len > 0) {
		str item;
		str_split(rest, ',', &item, &rest);
		item = str_trim(item);
		if (str_equal(str_starts_with(item, STR("W/")) ? str_skip(item, 2) : item, tag)) {
			return true;
		}
	}
	return false;
}

bool entity_tag_reply(http_exchange *x)
{
	if (http_reply_body(x)->failed) {
		return false;
	}
	/* Weak: the bytes on the wire may be compressed ones. */
	char text[32];
	int len = snprintf(text, sizeof text, "W/\"%016" PRIx64 "\"", siphash_key(buf_str(http_reply_body(x))));
	str tag = {text, (size_t)len};
	http_reply_header(x, STR("ETag"), tag);
	return entity_tag_matches(http_request_header(x, STR("If-None-Match")), str_skip(tag, 2));
}
