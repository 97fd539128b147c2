#include "log/tag_match.h"

bool log_tag_matches(const log_tag_match *m, str tag)
{
	if (tag.ptr == NULL) {
		return false;
	}
	return m->kind == LOG_TAG_EQUAL ? str_equal(tag, m->text) : str_starts_with(tag, m->text);
}
