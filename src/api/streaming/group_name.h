/*
 * api/streaming/group_name: a group's name as it comes in a path.
 */
#ifndef TIDEGATE_API_STREAMING_GROUP_NAME_H
#define TIDEGATE_API_STREAMING_GROUP_NAME_H

#include "base/err.h"

/* ERR_GROUP_NOT_FOUND for what no group can be called. */
bool group_name_check(str group, err *e) MUST_CHECK;

#endif
