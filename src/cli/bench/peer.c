#include "cli/bench/peer.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/clock.h"

enum { FIRST_BLOCK_BYTES = 8192 };

/* ---- address ---- */

static bool split_authority(str authority, char host[256], char port[8])
{
	str name, number;
	if (str_starts_with(authority, STR("["))) {
		if (!str_split(str_skip(authority, 1), ']', &name, &number)) {
			return false;
		}
		number = str_skip(number, 1);
	} else {
		str_split(authority, ':', &name, &number);
	}
	if (number.len == 0) {
		number = STR("80");
	}
	if (name.len == 0 || name.len > 255 || number.len > 5) {
		return false;
	}
	snprintf(host, 256, "%.*s", STR_ARG(name));
	snprintf(port, 8, "%.*s", STR_ARG(number));
	return true;
}

bool peer_resolve(str url, peer_address *out, err *e)
{
	static const struct addrinfo HINTS = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
	struct addrinfo *found = NULL;
	char host[256];
	char port[8];
	str path;
	if (!str_starts_with(url, STR("http://"))) {
		return err_set(e, ERR_INVALID_REQUEST, "the url must start with http:// and was %.*s", STR_ARG(url));
	}
	str_split(str_skip(url, 7), '/', &url, &path);
	if (!split_authority(url, host, port)) {
		return err_set(e, ERR_INVALID_REQUEST, "the url must look like http://host:port");
	}
	int problem = getaddrinfo(host, port, &HINTS, &found);
	if (problem != 0) {
		return err_set(e, ERR_UNAVAILABLE, "%s: %s", host, gai_strerror(problem));
	}
	memset(out, 0, sizeof *out);
	memcpy(&out->socket, found->ai_addr, found->ai_addrlen);
	out->socket_bytes = found->ai_addrlen;
	snprintf(out->authority, sizeof out->authority, "%.*s", STR_ARG(url));
	freeaddrinfo(found);
	return true;
}

/* ---- connection ---- */

bool peer_connect(const peer_address *address, int *fd, err *e)
{
	static const int ON = 1;
	static const struct timeval PATIENCE = {.tv_sec = PEER_CONNECT_MS / 1000};
	struct sockaddr_storage socket_address = address->socket;
	int s = socket(address->socket.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (s < 0) {
		return err_set(e, ERR_UNAVAILABLE, "no socket: %s", strerror(errno));
	}
	/* Linux applies the sending timeout to connect() as well. */
	if (setsockopt(s, SOL_SOCKET, SO_SNDTIMEO, &PATIENCE, sizeof PATIENCE) != 0 ||
		setsockopt(s, IPPROTO_TCP, TCP_NODELAY, &ON, sizeof ON) != 0 ||
		connect(s, (struct sockaddr *)&socket_address, address->socket_bytes) != 0 ||
		fcntl(s, F_SETFL, O_NONBLOCK) != 0) {
		err_set(e, ERR_UNAVAILABLE, "%s: %s", address->authority, strerror(errno));
		close(s);
		return false;
	}
	*fd = s;
	return true;
}

void peer_init(peer *p)
{
	memset(p, 0, sizeof *p);
	p->fd = -1;
}

bool peer_open(peer *p, const peer_address *address, err *e)
{
	if (p->block == NULL) {
		p->block = malloc(FIRST_BLOCK_BYTES);
		if (p->block == NULL) {
			return err_set(e, ERR_NO_MEMORY, "out of memory");
		}
		p->block_capacity = FIRST_BLOCK_BYTES;
	}
	return peer_connect(address, &p->fd, e);
}

void peer_dispose(peer *p)
{
	if (p->fd >= 0) {
		close(p->fd);
	}
	free(p->block);
	peer_init(p);
}

/* ---- request and reply ---- */

static peer_event flush_request(peer *p)
{
	while (p->unsent.len > 0) {
		ssize_t n = send(p->fd, p->unsent.ptr, p->unsent.len, MSG_NOSIGNAL);
		if (n >= 0) {
			p->unsent = str_skip(p->unsent, (size_t)n);
		} else if (errno == EAGAIN) {
			return PEER_WANTS_WRITE;
		} else if (errno != EINTR) {
			return PEER_BROKEN;
		}
	}
	return PEER_WANTS_READ;
}

static bool make_room(peer *p)
{
	size_t wanted = p->block_len + reply_missing(&p->reply, p->block_len) + FIRST_BLOCK_BYTES / 2;
	size_t capacity = p->block_capacity;
	while (capacity < wanted) {
		capacity *= 2;
	}
	if (capacity == p->block_capacity) {
		return true;
	}
	char *moved = capacity <= PEER_REPLY_MAX ? realloc(p->block, capacity) : NULL;
	if (moved == NULL) {
		errno = ENOMEM;
		return false;
	}
	p->block = moved;
	p->block_capacity = capacity;
	return true;
}

static peer_event read_reply(peer *p)
{
	for (;;) {
		if (!make_room(p)) {
			return PEER_BROKEN;
		}
		size_t room = p->block_capacity - p->block_len;
		ssize_t n = recv(p->fd, p->block + p->block_len, room, 0);
		if (n < 0 && errno == EINTR) {
			continue;
		}
		if (n < 0) {
			return errno == EAGAIN ? PEER_WANTS_READ : PEER_BROKEN;
		}
		errno = 0;
		if (n == 0) {
			return PEER_BROKEN;
		}
		p->block_len += (size_t)n;
		switch (reply_feed(&p->reply, p->block, p->block_len)) {
		case REPLY_DONE:
			return PEER_DONE;
		case REPLY_BROKEN:
			return PEER_BROKEN;
		case REPLY_MORE:
			/* A read that did not fill the room emptied the socket. */
			if ((size_t)n < room) {
				return PEER_WANTS_READ;
			}
			break;
		}
	}
}

peer_event peer_send(peer *p, str request)
{
	p->unsent = request;
	p->block_len = 0;
	reply_init(&p->reply);
	return flush_request(p);
}

peer_event peer_continue(peer *p)
{
	if (p->unsent.len > 0) {
		peer_event event = flush_request(p);
		if (event != PEER_WANTS_READ) {
			return event;
		}
	}
	return read_reply(p);
}

int peer_status(const peer *p)
{
	return p->reply.head.status;
}

str peer_body(const peer *p)
{
	return reply_body(&p->reply, p->block);
}

str peer_header(const peer *p, str name)
{
	str line;
	str rest = {p->block, p->reply.body_start};
	while (rest.len > 0) {
		str found, value;
		str_split(rest, '\n', &line, &rest);
		if (str_split(line, ':', &found, &value) && str_equal_ignore_case(found, name)) {
			value = str_trim(value);
			return str_take(value, value.len - (str_ends_with(value, STR("\r")) ? 1 : 0));
		}
	}
	return STR_NONE;
}

bool peer_call(peer *p, str request, uint32_t timeout_ms, err *e)
{
	int64_t deadline_ms = clock_now_ms() + timeout_ms;
	peer_event event = peer_send(p, request);
	while (event == PEER_WANTS_READ || event == PEER_WANTS_WRITE) {
		int64_t left_ms = deadline_ms - clock_now_ms();
		struct pollfd wanted = {.fd = p->fd, .events = event == PEER_WANTS_READ ? POLLIN : POLLOUT};
		int n = poll(&wanted, 1, left_ms > 0 ? (int)left_ms : 0);
		if (n == 0) {
			return err_set(e, ERR_TIMEOUT, "the server gave no reply within %u ms", timeout_ms);
		}
		if (n > 0) {
			event = peer_continue(p);
		}
	}
	if (event == PEER_BROKEN) {
		return err_set(e, ERR_UNAVAILABLE, "the connection to the server broke: %s",
					   errno != 0 ? strerror(errno) : "closed, or not an HTTP/1.1 reply");
	}
	return true;
}
