/*
 * config/table: config/keys.h as rows, for the code that reads, checks and prints settings. Private to config.
 *
 * Threads  any: constant.
 */
#ifndef TIDEGATE_CONFIG_TABLE_H
#define TIDEGATE_CONFIG_TABLE_H

#include "base/arena.h"
#include "config/config.h"

typedef enum config_kind { CONFIG_KIND_TEXT, CONFIG_KIND_CHOICE, CONFIG_KIND_NUMBER, CONFIG_KIND_SWITCH } config_kind;

typedef struct config_key {
	const char *name;
	config_kind kind;
	size_t place;        /* offset of the member in struct config */
	const char *text;    /* TEXT, CHOICE: the default */
	const char *choices; /* CHOICE: "a|b|c" */
	int64_t number;      /* NUMBER: the default; SWITCH: 0 or 1 */
	int64_t least;       /* NUMBER */
	int64_t most;        /* NUMBER */
	const char *help;
} config_key;

enum {
#define CONFIG_INDEX(kind, key, ...) CONFIG_INDEX_##key,
	CONFIG_KEYS(CONFIG_INDEX)
#undef CONFIG_INDEX
		CONFIG_KEY_COUNT
};

extern const config_key CONFIG_TABLE[CONFIG_KEY_COUNT];

/* Where a value came from, weakest first. */
typedef enum config_source { CONFIG_DEFAULT, CONFIG_FILE, CONFIG_ENVIRONMENT, CONFIG_COMMAND_LINE } config_source;

struct config_store {
	arena *texts;
	config_source sources[CONFIG_KEY_COUNT];
};

#endif
