/*
 * config/alias: the variables of another server's environment that are understood here too.
 *
 * Whoever comes from the server whose API the topics dialect speaks has TOPICS_… variables set. Each stands for a
 * setting of config/keys.h; the setting's own variable, TIDEGATE_…, wins over it. docs/topics.md lists them.
 *
 * Threads  any: constant.
 */
#ifndef TIDEGATE_CONFIG_ALIAS_H
#define TIDEGATE_CONFIG_ALIAS_H

#include "base/str.h"

enum { CONFIG_ALIAS_LISTEN_BYTES = 300 };

/* The setting that a variable stands for: "max_topics" for TOPICS_MAX_TOPICS. STR_NONE for any other name. */
str config_alias_find(str variable);
/* TOPICS_HOST and TOPICS_PORT are one setting here, `listen`. False when neither is set, or they are too long. */
bool config_alias_listen(char *const *environment, char out[CONFIG_ALIAS_LISTEN_BYTES]);

#endif
