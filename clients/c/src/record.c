#include "record.h"

#include <stdlib.h>
#include <string.h>

const void *tg_record_key(const tg_record *record, size_t *len)
{
	if (len != NULL) {
		*len = record->key_len;
	}
	return record->key;
}

const void *tg_record_value(const tg_record *record, size_t *len)
{
	if (len != NULL) {
		*len = record->value_len;
	}
	return record->value;
}

int64_t tg_record_offset(const tg_record *record)
{
	return record->offset;
}

int32_t tg_record_partition(const tg_record *record)
{
	return record->partition;
}

int64_t tg_record_timestamp(const tg_record *record)
{
	return record->timestamp_ms;
}

/* One piece of memory: the record, then its key and value, each with a 0 behind. */
tg_record *tg_record_retain(const tg_record *record)
{
	char *memory = malloc(sizeof *record + record->key_len + record->value_len + 2);
	if (memory == NULL) {
		return NULL;
	}
	tg_record *copy = (tg_record *)(void *)memory;
	char *key = memory + sizeof *record;
	char *value = key + record->key_len + 1;
	*copy = *record;
	if (record->key != NULL) {
		memcpy(key, record->key, record->key_len);
		copy->key = key;
	}
	key[record->key_len] = '\0';
	memcpy(value, record->value, record->value_len);
	value[record->value_len] = '\0';
	copy->value = value;
	return copy;
}

void tg_record_free(tg_record *record)
{
	free(record);
}
