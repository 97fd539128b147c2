#include "auth/guard.h"

#include <arpa/inet.h>
#include <string.h>

/* Between the brackets, or before the last ':'. */
static str host_of(str address)
{
	size_t end = address.len;
	if (address.len > 0 && address.ptr[0] == '[') {
		str host;
		str rest;
		return str_split(str_skip(address, 1), ']', &host, &rest) ? host : address;
	}
	while (end > 0 && address.ptr[end - 1] != ':') {
		end--;
	}
	return end > 0 ? str_take(address, end - 1) : address;
}

bool auth_address_is_loopback(str address)
{
	char text[INET6_ADDRSTRLEN];
	struct in_addr four;
	struct in6_addr six;
	str host = host_of(str_trim(address));
	if (str_equal_ignore_case(host, STR("localhost"))) {
		return true;
	}
	if (host.len == 0 || host.len >= sizeof text) {
		return false;
	}
	memcpy(text, host.ptr, host.len);
	text[host.len] = '\0';
	if (inet_pton(AF_INET, text, &four) == 1) {
		return ntohl(four.s_addr) >> 24 == 127;
	}
	if (inet_pton(AF_INET6, text, &six) == 1) {
		return IN6_IS_ADDR_LOOPBACK(&six) || (IN6_IS_ADDR_V4MAPPED(&six) && six.s6_addr[12] == 127);
	}
	return false;
}

bool auth_guard_listen(const str *addresses, size_t count, bool is_required, bool allow_public, err *e)
{
	for (size_t i = 0; i < count && !is_required && !allow_public; i++) {
		if (!auth_address_is_loopback(addresses[i])) {
			return err_set(
				e, ERR_INVALID_REQUEST,
				"%.*s can be reached from other machines, and no credential would be asked for: make a key with "
				"`tidegate key create` or set auth=required; or listen on 127.0.0.1; or set "
				"allow_public_without_auth=true",
				STR_ARG(addresses[i]));
		}
	}
	return true;
}
