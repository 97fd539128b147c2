#include "http/listener.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BACKLOG = 4096, HOST_MAX = 256, PORT_MAX = 8 };

static bool split_address(str address, char *host, char *port)
{
	size_t colon = address.len;
	while (colon > 0 && address.ptr[colon - 1] != ':') {
		colon--;
	}
	if (colon == 0) {
		return false;
	}
	str h = str_take(address, colon - 1);
	str p = str_skip(address, colon);
	if (h.len >= 2 && h.ptr[0] == '[' && h.ptr[h.len - 1] == ']') {
		h = str_take(str_skip(h, 1), h.len - 2);
	}
	uint64_t number;
	if (h.len >= HOST_MAX || p.len >= PORT_MAX || !str_parse_u64(p, UINT16_MAX, &number)) {
		return false;
	}
	memcpy(host, h.ptr, h.len);
	host[h.len] = '\0';
	memcpy(port, p.ptr, p.len);
	port[p.len] = '\0';
	return true;
}

/* -1 with errno set. */
static int listen_on(const struct addrinfo *at)
{
	static const int on = 1;
	static const int off = 0;
	static const int keep_idle_s = 60;
	static const int keep_interval_s = 15;
	static const int keep_count = 4;
	int fd = socket(at->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0) {
		return -1;
	}
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	/* Accepted sockets inherit these. Keep-alive finds clients that vanished while a stream or a long poll is silent.
	 */
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &keep_idle_s, sizeof keep_idle_s);
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &keep_interval_s, sizeof keep_interval_s);
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &keep_count, sizeof keep_count);
	if (at->ai_family == AF_INET6) {
		/* "[::]:80" and ":80" serve IPv4 as well. */
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
	}
	if (bind(fd, at->ai_addr, at->ai_addrlen) != 0 || listen(fd, BACKLOG) != 0) {
		int problem = errno;
		close(fd);
		errno = problem;
		return -1;
	}
	return fd;
}

/* Without a host: IPv6's any-address, which takes IPv4, too, or IPv4's where there is no IPv6. */
static int listen_on_first(const struct addrinfo *list, bool is_any)
{
	int fd = -1;
	errno = EADDRNOTAVAIL;
	for (int pass = 0; pass < 2 && fd < 0; pass++) {
		for (const struct addrinfo *at = list; at != NULL && fd < 0; at = at->ai_next) {
			if (!is_any || (at->ai_family == AF_INET6) == (pass == 0)) {
				fd = listen_on(at);
			}
		}
	}
	return fd;
}

bool listener_open(str address, int *fd, err *e)
{
	char host[HOST_MAX];
	char port[PORT_MAX];
	if (!split_address(address, host, port)) {
		return err_set(e, ERR_UNAVAILABLE, "cannot listen on %.*s: an address looks like 127.0.0.1:5470 or [::]:80",
					   STR_ARG(address));
	}
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
	struct addrinfo *list = NULL;
	int problem = getaddrinfo(host[0] != '\0' ? host : NULL, port, &hints, &list);
	if (problem != 0) {
		return err_set(e, ERR_UNAVAILABLE, "cannot listen on %.*s: %s", STR_ARG(address), gai_strerror(problem));
	}
	int opened = listen_on_first(list, host[0] == '\0');
	problem = errno;
	freeaddrinfo(list);
	if (opened < 0) {
		char text[ERR_LOG_MAX];
		return err_set(e, ERR_UNAVAILABLE, "cannot listen on %.*s: %s", STR_ARG(address),
					   strerror_r(problem, text, sizeof text));
	}
	*fd = opened;
	return true;
}
