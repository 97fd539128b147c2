#include "db/relay.h"

#include <arpa/inet.h>
#include <check.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { PAIRS_MAX = 64, CHUNK = 16384, TICK_MS = 2, URL_MAX = 1200 };

/* What is on its way in one direction. */
typedef struct stretch {
	char bytes[CHUNK];
	size_t len;
	size_t sent;
	bool is_ended; /* the giver has closed; passed on when all was sent */
	bool is_shut;
} stretch;

typedef struct pair {
	int client;
	int server; /* -1 = free */
	stretch up;
	stretch down;
} pair;

struct relay {
	char url[URL_MAX];
	char socket_path[256];
	int listener;
	pthread_t thread;
	atomic_bool is_stopping;
	atomic_bool must_cut;
	atomic_int mode;
	atomic_ulong rounds;
	atomic_long rate;
	pair pairs[PAIRS_MAX];
};

static void close_pair(pair *p)
{
	close(p->client);
	close(p->server);
	p->server = -1;
}

static int connect_server(const relay *r)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	snprintf(address.sun_path, sizeof address.sun_path, "%.100s", r->socket_path);
	if (fd >= 0 && connect(fd, (const struct sockaddr *)&address, sizeof address) != 0) {
		close(fd);
		fd = -1;
	}
	return fd;
}

static void take_client(relay *r)
{
	int client = accept4(r->listener, NULL, NULL, SOCK_CLOEXEC);
	int server = client >= 0 ? connect_server(r) : -1;
	for (size_t i = 0; i < PAIRS_MAX && server >= 0; i++) {
		pair *p = &r->pairs[i];
		if (p->server < 0) {
			p->client = client;
			p->server = server;
			p->up.len = p->up.sent = p->down.len = p->down.sent = 0;
			p->up.is_ended = p->down.is_ended = p->up.is_shut = p->down.is_shut = false;
			return;
		}
	}
	if (server >= 0) {
		close(server);
	}
	if (client >= 0) {
		close(client);
	}
}

/* Moves what can be moved now, at most `budget` bytes. False: the connection is broken. */
static bool move(stretch *s, int from, int to, size_t budget)
{
	if (s->sent == s->len && !s->is_ended && budget > 0) {
		size_t most = budget < CHUNK ? budget : CHUNK;
		ssize_t n = recv(from, s->bytes, most, MSG_DONTWAIT);
		if (n < 0 && errno != EAGAIN && errno != EINTR) {
			return false;
		}
		if (n >= 0) {
			s->len = (size_t)n;
			s->sent = 0;
			s->is_ended = n == 0;
		}
	}
	if (s->sent < s->len) {
		ssize_t n = send(to, s->bytes + s->sent, s->len - s->sent, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n < 0 && errno != EAGAIN && errno != EINTR) {
			return false;
		}
		s->sent += n > 0 ? (size_t)n : 0;
	}
	if (s->is_ended && !s->is_shut && s->sent == s->len) {
		s->is_shut = true;
		shutdown(to, SHUT_WR);
	}
	return true;
}

static void serve_pair(relay *r, pair *p, size_t budget)
{
	int mode = atomic_load(&r->mode);
	char byte;
	if (mode == RELAY_HOLD) {
		return;
	}
	if (mode == RELAY_CUT_AT_ANSWER && recv(p->server, &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0) {
		close_pair(p);
		return;
	}
	if (!move(&p->up, p->client, p->server, budget) ||
		(mode == RELAY_PASS && !move(&p->down, p->server, p->client, budget)) || (p->up.is_shut && p->down.is_shut)) {
		close_pair(p);
	}
}

static short wanted(const stretch *s, bool reads)
{
	bool is_full = s->sent < s->len;
	return reads ? (!is_full && !s->is_ended ? POLLIN : 0) : (is_full ? POLLOUT : 0);
}

static void *relay_main(void *context)
{
	relay *r = context;
	while (!atomic_load(&r->is_stopping)) {
		atomic_fetch_add(&r->rounds, 1);
		struct pollfd fds[1 + 2 * PAIRS_MAX] = {{.fd = r->listener, .events = POLLIN}};
		nfds_t count = 1;
		long rate = atomic_load(&r->rate);
		bool waits = rate == 0 && atomic_load(&r->mode) != RELAY_HOLD;
		for (size_t i = 0; i < PAIRS_MAX && waits; i++) {
			const pair *p = &r->pairs[i];
			if (p->server >= 0) {
				fds[count++] =
					(struct pollfd){.fd = p->client, .events = (short)(wanted(&p->up, true) | wanted(&p->down, false))};
				fds[count++] =
					(struct pollfd){.fd = p->server, .events = (short)(wanted(&p->down, true) | wanted(&p->up, false))};
			}
		}
		if (poll(fds, count, TICK_MS) > 0 && fds[0].revents != 0) {
			take_client(r);
		}
		bool cut = atomic_load(&r->must_cut);
		for (size_t i = 0; i < PAIRS_MAX; i++) {
			pair *p = &r->pairs[i];
			if (p->server >= 0 && cut) {
				close_pair(p);
			} else if (p->server >= 0) {
				serve_pair(r, p, rate == 0 ? CHUNK : (size_t)(rate * TICK_MS / 1000));
			}
		}
		if (cut) {
			atomic_store(&r->must_cut, false);
		}
	}
	return NULL;
}

relay *relay_new(const char *url)
{
	const char *host = strstr(url, "host=");
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t address_bytes = sizeof address;
	relay *r = calloc(1, sizeof *r);
	ck_assert_ptr_nonnull(r);
	ck_assert_ptr_nonnull(host);
	host += strlen("host=");
	snprintf(r->socket_path, sizeof r->socket_path, "%.*s/.s.PGSQL.5432", (int)strcspn(host, "&"), host);
	for (size_t i = 0; i < PAIRS_MAX; i++) {
		r->pairs[i].server = -1;
	}
	r->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	/* Little is on its way, so that a slow relay is felt at once. */
	ck_assert_int_eq(setsockopt(r->listener, SOL_SOCKET, SO_RCVBUF, &(int){CHUNK}, sizeof(int)), 0);
	ck_assert_int_eq(bind(r->listener, (const struct sockaddr *)&address, sizeof address), 0);
	ck_assert_int_eq(listen(r->listener, PAIRS_MAX), 0);
	ck_assert_int_eq(getsockname(r->listener, (struct sockaddr *)&address, &address_bytes), 0);
	/* A later host wins over an earlier one. */
	snprintf(r->url, sizeof r->url, "%s&host=127.0.0.1&port=%d&sslmode=disable", url, ntohs(address.sin_port));
	ck_assert_int_eq(pthread_create(&r->thread, NULL, relay_main, r), 0);
	return r;
}

const char *relay_url(const relay *r)
{
	return r->url;
}

void relay_set_mode(relay *r, relay_mode mode)
{
	atomic_store(&r->mode, (int)mode);
	/* The round under way may follow the old one yet. */
	for (unsigned long round = atomic_load(&r->rounds); atomic_load(&r->rounds) == round;) {
		usleep(500);
	}
}

void relay_cut(relay *r)
{
	atomic_store(&r->must_cut, true);
	while (atomic_load(&r->must_cut)) {
		usleep(500);
	}
}

void relay_set_rate(relay *r, long bytes_a_second)
{
	atomic_store(&r->rate, bytes_a_second);
}

void relay_free(relay *r)
{
	atomic_store(&r->is_stopping, true);
	pthread_join(r->thread, NULL);
	for (size_t i = 0; i < PAIRS_MAX; i++) {
		if (r->pairs[i].server >= 0) {
			close_pair(&r->pairs[i]);
		}
	}
	close(r->listener);
	free(r);
}
