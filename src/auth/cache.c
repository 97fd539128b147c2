#include "auth/cache.h"

#include <stdlib.h>
#include <string.h>

/* Entries are numbered from 1; 0 ends a chain. Entry 0 is the head of the ring of use: its next is the latest used. */
typedef struct entry {
	auth_digest digest;
	auth_cached value;
	uint32_t chain; /* next of the same bucket; of the free ones */
	uint32_t next;
	uint32_t previous;
} entry;

struct auth_cache {
	entry *entries;
	uint32_t *buckets;
	uint32_t bucket_mask;
	uint32_t max_entries;
	uint32_t ever_used; /* entries above were never touched */
	uint32_t free;
	uint32_t count;
};

auth_cache *auth_cache_new(uint32_t max_entries)
{
	auth_cache *c = calloc(1, sizeof *c);
	uint32_t buckets = 16;
	while (buckets < max_entries) {
		buckets *= 2;
	}
	if (c == NULL) {
		return NULL;
	}
	c->max_entries = max_entries;
	c->bucket_mask = buckets - 1;
	c->entries = calloc((size_t)max_entries + 1, sizeof *c->entries);
	c->buckets = calloc(buckets, sizeof *c->buckets);
	if (c->entries == NULL || c->buckets == NULL) {
		auth_cache_free(c);
		return NULL;
	}
	return c;
}

void auth_cache_free(auth_cache *c)
{
	if (c != NULL) {
		if (c->entries != NULL) {
			auth_cache_clear(c);
		}
		free(c->entries);
		free(c->buckets);
		free(c);
	}
}

static uint32_t *bucket_of(auth_cache *c, const auth_digest *digest)
{
	uint32_t hash;
	memcpy(&hash, digest->bytes, sizeof hash);
	return &c->buckets[hash & c->bucket_mask];
}

static uint32_t find(auth_cache *c, const auth_digest *digest)
{
	uint32_t i = *bucket_of(c, digest);
	while (i != 0 && memcmp(&c->entries[i].digest, digest, sizeof *digest) != 0) {
		i = c->entries[i].chain;
	}
	return i;
}

static void leave_ring(auth_cache *c, uint32_t i)
{
	const entry *leaving = &c->entries[i];
	c->entries[leaving->previous].next = leaving->next;
	c->entries[leaving->next].previous = leaving->previous;
}

static void enter_ring(auth_cache *c, uint32_t i)
{
	entry *head = &c->entries[0];
	c->entries[i].next = head->next;
	c->entries[i].previous = 0;
	c->entries[head->next].previous = i;
	head->next = i;
}

static void drop(auth_cache *c, uint32_t i)
{
	entry *dropped = &c->entries[i];
	uint32_t *link = bucket_of(c, &dropped->digest);
	while (*link != i) {
		link = &c->entries[*link].chain;
	}
	*link = dropped->chain;
	leave_ring(c, i);
	auth_principal_unref(dropped->value.principal);
	dropped->value.principal = NULL;
	dropped->chain = c->free;
	c->free = i;
	c->count--;
}

auth_cached *auth_cache_find(auth_cache *c, const auth_digest *digest, int64_t now_ms)
{
	uint32_t i = find(c, digest);
	if (i == 0) {
		return NULL;
	}
	if (now_ms >= c->entries[i].value.until_ms) {
		drop(c, i);
		return NULL;
	}
	leave_ring(c, i);
	enter_ring(c, i);
	return &c->entries[i].value;
}

static uint32_t take_free(auth_cache *c)
{
	if (c->count == c->max_entries) {
		drop(c, c->entries[0].previous);
	}
	uint32_t i = c->free;
	if (i != 0) {
		c->free = c->entries[i].chain;
	} else {
		i = ++c->ever_used;
	}
	c->count++;
	return i;
}

void auth_cache_put(auth_cache *c, const auth_digest *digest, const auth_cached *value)
{
	uint32_t i = find(c, digest);
	const auth_principal *principal = value->principal != NULL ? auth_principal_ref(value->principal) : NULL;
	if (i != 0) {
		drop(c, i);
	}
	if (value->principal != NULL && principal == NULL) {
		return;
	}
	i = take_free(c);
	entry *added = &c->entries[i];
	added->digest = *digest;
	added->value = *value;
	added->value.principal = principal;
	uint32_t *bucket = bucket_of(c, digest);
	added->chain = *bucket;
	*bucket = i;
	enter_ring(c, i);
}

void auth_cache_drop_key(auth_cache *c, str key_id)
{
	uint32_t i = c->entries[0].next;
	while (i != 0) {
		uint32_t next = c->entries[i].next;
		if (str_equal(str_from_c(c->entries[i].value.key_id), key_id)) {
			drop(c, i);
		}
		i = next;
	}
}

void auth_cache_clear(auth_cache *c)
{
	while (c->entries[0].next != 0) {
		drop(c, c->entries[0].next);
	}
}

uint32_t auth_cache_count(const auth_cache *c)
{
	return c->count;
}
