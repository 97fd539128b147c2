#include "config/table.h"

#define ROW_TEXT(key, fallback, help_)                                                                                 \
	{.name = #key, .kind = CONFIG_KIND_TEXT, .place = offsetof(config, key), .text = (fallback), .help = (help_)},
#define ROW_CHOICE(key, fallback, choices_, help_)                                                                     \
	{.name = #key,                                                                                                     \
	 .kind = CONFIG_KIND_CHOICE,                                                                                       \
	 .place = offsetof(config, key),                                                                                   \
	 .text = (fallback),                                                                                               \
	 .choices = (choices_),                                                                                            \
	 .help = (help_)},
#define ROW_NUMBER(key, fallback, least_, most_, help_)                                                                \
	{.name = #key,                                                                                                     \
	 .kind = CONFIG_KIND_NUMBER,                                                                                       \
	 .place = offsetof(config, key),                                                                                   \
	 .number = (fallback),                                                                                             \
	 .least = (least_),                                                                                                \
	 .most = (most_),                                                                                                  \
	 .help = (help_)},
#define ROW_SWITCH(key, fallback, help_)                                                                               \
	{.name = #key, .kind = CONFIG_KIND_SWITCH, .place = offsetof(config, key), .number = (fallback), .help = (help_)},
#define ROW(kind, ...) ROW_##kind(__VA_ARGS__)

const config_key CONFIG_TABLE[CONFIG_KEY_COUNT] = {CONFIG_KEYS(ROW)};
