/*
 * api/durable/subscription/address: which addresses a webhook may reach: public ones.
 *
 * Threads  any.
 */
#ifndef TIDEGATE_API_DURABLE_SUBSCRIPTION_ADDRESS_H
#define TIDEGATE_API_DURABLE_SUBSCRIPTION_ADDRESS_H

#include <stdbool.h>
#include <sys/socket.h>

/* Globally reachable unicast, IPv4 or IPv6; addresses that carry an IPv4 one inside count as what they carry, or not at
 * all. Any other family is not public. */
bool address_is_public(const struct sockaddr *address);
/* 127.0.0.0/8 or ::1. */
bool address_is_loopback(const struct sockaddr *address);

#endif
