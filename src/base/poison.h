/*
 * base/poison: functions that this code base does not use. Forced into every source by the build, after
 * the system headers that declare them.
 */
#ifndef TIDEGATE_BASE_POISON_H
#define TIDEGATE_BASE_POISON_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#pragma GCC poison sprintf vsprintf strcpy strcat strncpy strncat strtok atoi atol gets

#endif
