#include "api/topics/live_slots.h"

#include <inttypes.h>
#include <pthread.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>

/* The connections of one key; for callers without one there is one as well. */
struct live_slot {
	int64_t count;
	str key_id;
	char text[];
};

struct live_slots {
	pthread_mutex_t lock;
	live_slots_rule rule;
	int64_t count;
	void *root; /* tsearch(3) tree of live_slot by key */
};

static int compare_slots(const void *left, const void *right)
{
	return str_compare(((const live_slot *)left)->key_id, ((const live_slot *)right)->key_id);
}

live_slots *live_slots_new(live_slots_rule rule)
{
	live_slots *s = calloc(1, sizeof *s);
	if (s != NULL) {
		pthread_mutex_init(&s->lock, NULL);
		s->rule = rule;
	}
	return s;
}

void live_slots_free(live_slots *s)
{
	if (s != NULL) {
		tdestroy(s->root, free);
		pthread_mutex_destroy(&s->lock);
		free(s);
	}
}

/* Caller holds the lock. */
static live_slot *find_or_add(live_slots *s, str key_id)
{
	live_slot key = {.key_id = key_id};
	live_slot *const *node = tfind(&key, &s->root, compare_slots);
	if (node != NULL) {
		return *node;
	}
	live_slot *slot = calloc(1, sizeof *slot + key_id.len);
	if (slot == NULL) {
		return NULL;
	}
	if (key_id.len > 0) {
		memcpy(slot->text, key_id.ptr, key_id.len);
	}
	slot->key_id = (str){slot->text, key_id.len};
	if (tsearch(slot, &s->root, compare_slots) == NULL) {
		free(slot);
		return NULL;
	}
	return slot;
}

static bool refuse(const live_slots *s, const char *limit, int64_t most, err *e)
{
	err_set(e, ERR_THROTTLED, "as many %s as are allowed (%s); wait for one to end, or try again later", s->rule.what,
			limit);
	err_detail(e, "{\"limit\":\"%s\",\"max\":%" PRId64 "}", limit, most);
	return false;
}

/* Caller holds the lock. */
static bool take(live_slots *s, const auth_principal *p, live_slot **out, err *e)
{
	if (s->rule.most > 0 && s->count >= s->rule.most) {
		return refuse(s, s->rule.name, s->rule.most, e);
	}
	live_slot *slot = find_or_add(s, p->key_id);
	if (slot == NULL) {
		return err_set(e, ERR_NO_MEMORY, "the server has no memory left for another connection; try again later");
	}
	if (s->rule.most_per_key > 0 && !p->is_development && slot->count >= s->rule.most_per_key) {
		return refuse(s, s->rule.name_per_key, s->rule.most_per_key, e);
	}
	slot->count++;
	s->count++;
	*out = slot;
	return true;
}

bool live_slots_take(live_slots *s, const auth_principal *p, live_slot **out, err *e)
{
	pthread_mutex_lock(&s->lock);
	bool ok = take(s, p, out, e);
	pthread_mutex_unlock(&s->lock);
	return ok;
}

void live_slots_give_back(live_slots *s, live_slot *slot)
{
	if (slot == NULL) {
		return;
	}
	pthread_mutex_lock(&s->lock);
	s->count--;
	if (--slot->count == 0) {
		tdelete(slot, &s->root, compare_slots);
		free(slot);
	}
	pthread_mutex_unlock(&s->lock);
}

int64_t live_slots_count(live_slots *s)
{
	pthread_mutex_lock(&s->lock);
	int64_t count = s->count;
	pthread_mutex_unlock(&s->lock);
	return count;
}
