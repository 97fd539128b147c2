#include "api/durable/subscription/address.h"

#include <netinet/in.h>
#include <stdint.h>
#include <string.h>

typedef struct block4 {
	uint32_t network;
	int bits;
} block4;

/* RFC 6890 and its registry: what is not globally reachable. */
static const block4 CLOSED4[] = {
	{0x00000000, 8},  /* this network */
	{0x0a000000, 8},  /* private */
	{0x64400000, 10}, /* carriers' shared space */
	{0x7f000000, 8},  /* loopback */
	{0xa9fe0000, 16}, /* link-local, with the clouds' metadata */
	{0xac100000, 12}, /* private */
	{0xc0000000, 24}, /* protocol assignments */
	{0xc0000200, 24}, /* documentation */
	{0xc0586300, 24}, /* 6to4 relays */
	{0xc0a80000, 16}, /* private */
	{0xc6120000, 15}, /* benchmarks */
	{0xc6336400, 24}, /* documentation */
	{0xcb007100, 24}, /* documentation */
	{0xe0000000, 4},  /* multicast */
	{0xf0000000, 4},  /* reserved, with broadcast */
};

static bool is_inside(uint32_t address, block4 block)
{
	return (address ^ block.network) >> (32 - block.bits) == 0;
}

static bool is_public4(uint32_t address)
{
	for (size_t i = 0; i < sizeof CLOSED4 / sizeof CLOSED4[0]; i++) {
		if (is_inside(address, CLOSED4[i])) {
			return false;
		}
	}
	return true;
}

typedef struct block6 {
	uint8_t prefix[4];
	int bits;
} block6;

/* Parts of the global range 2000::/3 that lead elsewhere. */
static const block6 CLOSED6[] = {
	{{0x20, 0x01, 0x00, 0x00}, 23}, /* protocol assignments, Teredo among them */
	{{0x20, 0x01, 0x0d, 0xb8}, 32}, /* documentation */
	{{0x20, 0x02, 0x00, 0x00}, 16}, /* 6to4: carries an IPv4 address */
	{{0x3f, 0xff, 0x00, 0x00}, 20}, /* documentation */
};

static uint32_t first32(const uint8_t *bytes)
{
	return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

static bool is_mapped(const uint8_t bytes[16])
{
	static const uint8_t MAPPED[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
	return memcmp(bytes, MAPPED, sizeof MAPPED) == 0;
}

static bool is_public6(const uint8_t bytes[16])
{
	uint32_t first = first32(bytes);
	if (is_mapped(bytes)) {
		return is_public4(first32(bytes + 12));
	}
	for (size_t i = 0; i < sizeof CLOSED6 / sizeof CLOSED6[0]; i++) {
		if ((first ^ first32(CLOSED6[i].prefix)) >> (32 - CLOSED6[i].bits) == 0) {
			return false;
		}
	}
	return bytes[0] >> 5 == 1;
}

static uint32_t ipv4_of(const struct sockaddr *address)
{
	struct sockaddr_in in;
	memcpy(&in, address, sizeof in);
	return ntohl(in.sin_addr.s_addr);
}

static void ipv6_of(const struct sockaddr *address, uint8_t bytes[16])
{
	struct sockaddr_in6 in;
	memcpy(&in, address, sizeof in);
	memcpy(bytes, in.sin6_addr.s6_addr, 16);
}

bool address_is_public(const struct sockaddr *address)
{
	uint8_t bytes[16];
	if (address->sa_family == AF_INET) {
		return is_public4(ipv4_of(address));
	}
	if (address->sa_family != AF_INET6) {
		return false;
	}
	ipv6_of(address, bytes);
	return is_public6(bytes);
}

bool address_is_loopback(const struct sockaddr *address)
{
	static const uint8_t LOOPBACK6[16] = {[15] = 1};
	uint8_t bytes[16];
	if (address->sa_family == AF_INET) {
		return ipv4_of(address) >> 24 == 127;
	}
	if (address->sa_family != AF_INET6) {
		return false;
	}
	ipv6_of(address, bytes);
	return memcmp(bytes, LOOPBACK6, sizeof LOOPBACK6) == 0;
}
