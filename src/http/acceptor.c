#include "http/acceptor.h"

#include "base/clock.h"
#include "http/listener.h"
#include "http/server_impl.h"

#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum {
	LISTENERS_MAX = 32,
	EVENTS_MAX = 128,
	ACCEPTS_PER_TURN = 64, /* of one listener, then the others have their turn */
	REFUSAL_LINGER_MS = 1000,
	PAUSE_MS = 100, /* without descriptors */
};

#define REFUSAL(status, length, body)                                                                                  \
	"HTTP/1.1 " status "\r\nContent-Type: application/json\r\nContent-Length: " length                                 \
	"\r\nConnection: close\r\n\r\n" body
#define FULL_BODY                                                                                                      \
	"{\"error\":{\"code\":\"unavailable\",\"message\":\"the server has too many connections; try again shortly\"}}"
#define NOT_TLS_BODY "{\"error\":{\"code\":\"invalid_request\",\"message\":\"this port speaks TLS; use https\"}}"
#define TLS_BODY     "{\"error\":{\"code\":\"invalid_request\",\"message\":\"this port does not speak TLS; use http\"}}"

static const char FULL[] = REFUSAL("503 Service Unavailable\r\nRetry-After: 1", "99", FULL_BODY);
static const char NOT_TLS[] = REFUSAL("400 Bad Request", "80", NOT_TLS_BODY);
/* A TLS library makes "wrong version number" of it, which is known everywhere; a packet capture shows the words. */
static const char TLS[] = REFUSAL("400 Bad Request", "87", TLS_BODY);
_Static_assert(sizeof FULL_BODY - 1 == 99, "the Content-Length above");
_Static_assert(sizeof NOT_TLS_BODY - 1 == 80, "the Content-Length above");
_Static_assert(sizeof TLS_BODY - 1 == 87, "the Content-Length above");

/* The same in HTTP/2: an empty SETTINGS, and a GOAWAY without an error that no stream came before: a client may try again. */
static const char AWAY[] = "\0\0\0\4\0\0\0\0\0"
						   "\0\0\10\7\0\0\0\0\0\0\0\0\0\0\0\0\0";
_Static_assert(sizeof AWAY - 1 == 9 + 9 + 8, "two frames");

typedef enum pending_kind {
	PENDING_LISTENER,
	PENDING_WAKE,
	PENDING_SILENT,
	PENDING_SURPLUS, /* one too many: told so in its protocol, then refused */
	PENDING_REFUSED
} pending_kind;

/* Something in the epoll set. Silent connections, and those that are turned away, are in two lists, each in the order of their
 * deadlines. */
typedef struct pending {
	pending_kind kind;
	int fd;
	struct pending *next;
	struct pending *prev;
	int64_t deadline_ms;
	bool is_tls; /* LISTENER and SILENT */
	peer from;   /* SILENT */
} pending;

typedef struct pending_list {
	pending *first;
	pending *last;
	size_t count;
} pending_list;

struct acceptor {
	acceptor_options options;
	int epoll_fd;
	pending wake;
	pending listeners[LISTENERS_MAX];
	size_t listener_count;
	pending_list silent;
	pending_list refused;
	bool is_paused;
	int64_t paused_until_ms;
	int64_t next_tick_ms;
	pthread_t thread;
	bool has_thread;
	atomic_bool is_closing;
	atomic_bool is_stopping;
	pthread_mutex_t lock;
	pthread_cond_t closed_changed;
	bool is_closed; /* under lock */
};

/* ---- lists ---- */

static void list_append(pending_list *list, pending *p)
{
	p->next = NULL;
	p->prev = list->last;
	if (list->last != NULL) {
		list->last->next = p;
	} else {
		list->first = p;
	}
	list->last = p;
	list->count++;
}

static void list_remove(pending_list *list, pending *p)
{
	if (p->prev != NULL) {
		p->prev->next = p->next;
	} else {
		list->first = p->next;
	}
	if (p->next != NULL) {
		p->next->prev = p->prev;
	} else {
		list->last = p->prev;
	}
	list->count--;
}

static void drop_input(int fd)
{
	char bytes[4096];
	for (int i = 0; i < 64 && recv(fd, bytes, sizeof bytes, MSG_DONTWAIT) > 0; i++) {
	}
}

static void give_up(acceptor *a, pending_list *list, pending *p)
{
	list_remove(list, p);
	close(p->fd);
	free(p);
	server_connection_closed(a->options.server);
}

/* ---- waiting, and turning away ---- */

static pending *keep(acceptor *a, pending_kind kind, int fd, int64_t deadline_ms)
{
	pending *p = calloc(1, sizeof *p);
	if (p == NULL) {
		return NULL;
	}
	*p = (pending){.kind = kind, .fd = fd, .deadline_ms = deadline_ms};
	/* Edges: bytes that do not settle the protocol stay in the socket. */
	struct epoll_event event = {.events = EPOLLIN | EPOLLRDHUP | EPOLLET, .data.ptr = p};
	if (epoll_ctl(a->epoll_fd, EPOLL_CTL_ADD, fd, &event) != 0) {
		free(p);
		return NULL;
	}
	return p;
}

/* The last words. */
static void say(int fd, str answer)
{
	(void)!send(fd, answer.ptr, answer.len, MSG_NOSIGNAL | MSG_DONTWAIT);
	shutdown(fd, SHUT_WR);
	drop_input(fd);
}

static bool keep_for_a_moment(acceptor *a, pending_kind kind, int fd)
{
	int64_t until_ms = clock_now_ms() + REFUSAL_LINGER_MS;
	pending *p = a->refused.count < REFUSALS_MAX ? keep(a, kind, fd, until_ms) : NULL;
	if (p != NULL) {
		list_append(&a->refused, p);
	}
	return p != NULL;
}

/* Stays for a moment: closing with unread bytes would reset the connection under the answer. */
static void refuse(acceptor *a, int fd, str answer)
{
	say(fd, answer);
	if (!keep_for_a_moment(a, PENDING_REFUSED, fd)) {
		close(fd);
		server_connection_closed(a->options.server);
	}
}

/* One that is too many speaks first, so that it can be told in its protocol; without room to wait, in HTTP/1.1. Who expects TLS
 * would not understand the words. */
static void turn_away(acceptor *a, int fd, bool is_tls)
{
	if (is_tls || !keep_for_a_moment(a, PENDING_SURPLUS, fd)) {
		refuse(a, fd, is_tls ? STR("") : (str){FULL, sizeof FULL - 1});
	}
}

/* ---- telling protocols apart ---- */

/* True when the connection was handed over or turned away. */
static bool settle(acceptor *a, int fd, peer from, bool is_tls)
{
	http_server *server = a->options.server;
	char bytes[PROTOCOL_PREFIX_BYTES];
	ssize_t got = recv(fd, bytes, sizeof bytes, MSG_PEEK | MSG_DONTWAIT);
	if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
		return false;
	}
	if (got <= 0) {
		close(fd);
		server_connection_closed(server);
		return true;
	}
	protocol spoken = protocol_tell((str){bytes, (size_t)got});
	if (spoken == PROTOCOL_UNDECIDED) {
		return false;
	}
	if (is_tls == (spoken == PROTOCOL_TLS)) {
		server_take(server, spoken, fd, from);
	} else {
		metric_add(server->stats.refused[REFUSED_MALFORMED], 1);
		refuse(a, fd, is_tls ? (str){NOT_TLS, sizeof NOT_TLS - 1} : (str){TLS, sizeof TLS - 1});
	}
	return true;
}

/* Its first bytes have come. */
static void tell_surplus(pending *p)
{
	char bytes[PROTOCOL_PREFIX_BYTES];
	ssize_t got = recv(p->fd, bytes, sizeof bytes, MSG_PEEK | MSG_DONTWAIT);
	protocol spoken = got > 0 ? protocol_tell((str){bytes, (size_t)got}) : PROTOCOL_UNDECIDED;
	if (spoken != PROTOCOL_UNDECIDED) {
		say(p->fd, spoken == PROTOCOL_HTTP2 ? (str){AWAY, sizeof AWAY - 1} : (str){FULL, sizeof FULL - 1});
		p->kind = PENDING_REFUSED;
	}
}

/* ---- accepting ---- */

static void welcome(acceptor *a, int fd, peer from, bool is_tls, int64_t now_ms)
{
	http_server *server = a->options.server;
	if (!server_connection_opened(server)) {
		metric_add(server->stats.refused[REFUSED_CONNECTIONS], 1);
		turn_away(a, fd, is_tls);
		return;
	}
	if (settle(a, fd, from, is_tls)) {
		return;
	}
	pending *p = keep(a, PENDING_SILENT, fd, now_ms + server->options.header_timeout_ms);
	if (p == NULL) {
		close(fd);
		server_connection_closed(server);
		return;
	}
	p->from = from;
	p->is_tls = is_tls;
	list_append(&a->silent, p);
}

static void arm_listeners(acceptor *a, bool is_on)
{
	for (size_t i = 0; i < a->listener_count; i++) {
		struct epoll_event event = {.events = is_on ? EPOLLIN : 0, .data.ptr = &a->listeners[i]};
		epoll_ctl(a->epoll_fd, EPOLL_CTL_MOD, a->listeners[i].fd, &event);
	}
}

static void accept_some(acceptor *a, const pending *listener, int64_t now_ms)
{
	for (int i = 0; i < ACCEPTS_PER_TURN; i++) {
		struct sockaddr_storage address;
		socklen_t address_len = sizeof address;
		int fd = accept4(listener->fd, (struct sockaddr *)&address, &address_len, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd >= 0) {
			peer from;
			peer_set(&from, (const struct sockaddr *)&address);
			welcome(a, fd, from, listener->is_tls, now_ms);
			continue;
		}
		if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
			/* The backlog holds the clients until descriptors come back; looking again at once would spin. */
			metric_add(a->options.server->stats.refused[REFUSED_DESCRIPTORS], 1);
			a->is_paused = true;
			a->paused_until_ms = now_ms + PAUSE_MS;
			arm_listeners(a, false);
			return;
		}
		if (errno == EAGAIN || errno == EBADF || errno == EINVAL) {
			return;
		}
		/* ECONNABORTED and the network's own errors concern this one connection. */
	}
}

/* ---- the thread ---- */

static void handle(acceptor *a, pending *p, uint32_t events, int64_t now_ms)
{
	uint64_t drained;
	switch (p->kind) {
	case PENDING_WAKE:
		(void)!read(p->fd, &drained, sizeof drained);
		break;
	case PENDING_LISTENER:
		accept_some(a, p, now_ms);
		break;
	case PENDING_SILENT:
		epoll_ctl(a->epoll_fd, EPOLL_CTL_DEL, p->fd, NULL);
		if (settle(a, p->fd, p->from, p->is_tls)) {
			list_remove(&a->silent, p);
			free(p);
		} else {
			struct epoll_event event = {.events = EPOLLIN | EPOLLRDHUP | EPOLLET, .data.ptr = p};
			if ((events & EPOLLRDHUP) != 0 || epoll_ctl(a->epoll_fd, EPOLL_CTL_ADD, p->fd, &event) != 0) {
				give_up(a, &a->silent, p);
			}
		}
		break;
	case PENDING_SURPLUS:
	case PENDING_REFUSED:
		if (p->kind == PENDING_SURPLUS) {
			tell_surplus(p);
		} else {
			drop_input(p->fd);
		}
		if ((events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0) {
			give_up(a, &a->refused, p);
		}
		break;
	}
}

static void expire(acceptor *a, pending_list *list, int64_t now_ms)
{
	while (list->first != NULL && list->first->deadline_ms <= now_ms) {
		give_up(a, list, list->first);
	}
}

static int sleep_ms(const acceptor *a, int64_t now_ms)
{
	int64_t until = a->next_tick_ms;
	if (a->is_paused && a->paused_until_ms < until) {
		until = a->paused_until_ms;
	}
	if (a->silent.first != NULL && a->silent.first->deadline_ms < until) {
		until = a->silent.first->deadline_ms;
	}
	if (a->refused.first != NULL && a->refused.first->deadline_ms < until) {
		until = a->refused.first->deadline_ms;
	}
	return until > now_ms ? (int)(until - now_ms) : 0;
}

static void close_all(acceptor *a)
{
	for (size_t i = 0; i < a->listener_count; i++) {
		if (a->listeners[i].fd >= 0) {
			close(a->listeners[i].fd);
			a->listeners[i].fd = -1;
		}
	}
	expire(a, &a->silent, INT64_MAX);
	expire(a, &a->refused, INT64_MAX);
	pthread_mutex_lock(&a->lock);
	a->is_closed = true;
	pthread_cond_broadcast(&a->closed_changed);
	pthread_mutex_unlock(&a->lock);
}

static void *run(void *context)
{
	acceptor *a = context;
	struct epoll_event events[EVENTS_MAX];
	bool is_closed = false;
	a->next_tick_ms = clock_now_ms();
	while (!atomic_load_explicit(&a->is_stopping, memory_order_acquire)) {
		int count = epoll_wait(a->epoll_fd, events, EVENTS_MAX, sleep_ms(a, clock_now_ms()));
		int64_t now_ms = clock_now_ms();
		if (!is_closed && atomic_load_explicit(&a->is_closing, memory_order_acquire)) {
			/* The events of this turn may be about what is closed here. */
			close_all(a);
			is_closed = true;
			count = 0;
		}
		for (int i = 0; i < count; i++) {
			handle(a, events[i].data.ptr, events[i].events, now_ms);
		}
		expire(a, &a->silent, now_ms);
		expire(a, &a->refused, now_ms);
		if (a->is_paused && a->paused_until_ms <= now_ms) {
			a->is_paused = false;
			arm_listeners(a, true);
		}
		if (a->next_tick_ms <= now_ms) {
			a->next_tick_ms = now_ms + a->options.tick_ms;
			a->options.tick(a->options.server, now_ms);
		}
	}
	if (!is_closed) {
		close_all(a);
	}
	return NULL;
}

/* ---- listening ---- */

bool acceptor_listen(acceptor *a, str address, bool is_tls, err *e)
{
	if (a->listener_count == LISTENERS_MAX) {
		return err_set(e, ERR_UNAVAILABLE, "cannot listen on more than %d addresses", LISTENERS_MAX);
	}
	int fd;
	if (!listener_open(address, &fd, e)) {
		return false;
	}
	pending *p = &a->listeners[a->listener_count];
	*p = (pending){.kind = PENDING_LISTENER, .fd = fd, .is_tls = is_tls};
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = p};
	if (epoll_ctl(a->epoll_fd, EPOLL_CTL_ADD, fd, &event) != 0) {
		close(fd);
		return err_set(e, ERR_UNAVAILABLE, "cannot watch %.*s", STR_ARG(address));
	}
	a->listener_count++;
	return true;
}

uint16_t acceptor_port(const acceptor *a, size_t index)
{
	struct sockaddr_storage address = {0};
	socklen_t len = sizeof address;
	if (index >= a->listener_count || getsockname(a->listeners[index].fd, (struct sockaddr *)&address, &len) != 0) {
		return 0;
	}
	struct sockaddr_in6 v6;
	struct sockaddr_in v4;
	memcpy(&v6, &address, sizeof v6);
	memcpy(&v4, &address, sizeof v4);
	return ntohs(address.ss_family == AF_INET6 ? v6.sin6_port : v4.sin_port);
}

/* ---- life ---- */

bool acceptor_new(const acceptor_options *options, acceptor **out, err *e)
{
	acceptor *a = calloc(1, sizeof *a);
	if (a == NULL) {
		return err_set(e, ERR_NO_MEMORY, "out of memory starting the acceptor");
	}
	a->options = *options;
	pthread_mutex_init(&a->lock, NULL);
	pthread_cond_init(&a->closed_changed, NULL);
	a->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	a->wake = (pending){.kind = PENDING_WAKE, .fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)};
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = &a->wake};
	if (a->epoll_fd < 0 || a->wake.fd < 0 || epoll_ctl(a->epoll_fd, EPOLL_CTL_ADD, a->wake.fd, &event) != 0) {
		acceptor_free(a);
		return err_set(e, ERR_UNAVAILABLE, "no descriptors left to start the acceptor");
	}
	*out = a;
	return true;
}

bool acceptor_start(acceptor *a, err *e)
{
	a->has_thread = pthread_create(&a->thread, NULL, run, a) == 0;
	return a->has_thread || err_set(e, ERR_UNAVAILABLE, "cannot start the acceptor thread");
}

static void wake(const acceptor *a)
{
	uint64_t one = 1;
	while (write(a->wake.fd, &one, sizeof one) < 0 && errno == EINTR) {
	}
}

void acceptor_close(acceptor *a)
{
	if (!a->has_thread) {
		return;
	}
	atomic_store_explicit(&a->is_closing, true, memory_order_release);
	wake(a);
	pthread_mutex_lock(&a->lock);
	while (!a->is_closed) {
		pthread_cond_wait(&a->closed_changed, &a->lock);
	}
	pthread_mutex_unlock(&a->lock);
}

void acceptor_stop(acceptor *a)
{
	if (a->has_thread) {
		atomic_store_explicit(&a->is_stopping, true, memory_order_release);
		wake(a);
		pthread_join(a->thread, NULL);
		a->has_thread = false;
	}
}

void acceptor_free(acceptor *a)
{
	if (a == NULL) {
		return;
	}
	for (size_t i = 0; i < a->listener_count; i++) {
		if (a->listeners[i].fd >= 0) {
			close(a->listeners[i].fd);
		}
	}
	if (a->wake.fd >= 0) {
		close(a->wake.fd);
	}
	if (a->epoll_fd >= 0) {
		close(a->epoll_fd);
	}
	pthread_cond_destroy(&a->closed_changed);
	pthread_mutex_destroy(&a->lock);
	free(a);
}
