/*
 * A server for load generators, and a measurement of the fan-out. Not a test.
 *
 *   unit_http_bench serve PORT       GET /inline, /async (replied to by another thread), /hold (never); POST /body
 *   unit_http_bench fanout N ROUNDS  one frame to N streams, from one thread, on loopback
 *   unit_http_bench send N ROUNDS    the same bytes by plain send(2), to compare with
 */
#include "base/clock.h"
#include "http/server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum { STREAMS_MAX = 10000, QUEUE_MAX = 65536 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t filled = PTHREAD_COND_INITIALIZER;
static http_exchange *queue[QUEUE_MAX];
static size_t queued;

static http_stream *streams[STREAMS_MAX];
static atomic_size_t stream_count;

static void reply(http_exchange *x)
{
	buf_append_str(http_reply_body(x), STR("{\"ok\":true,\"offset\":12345}"));
	http_send(x, 200, "application/json");
}

static void *answer_all(void *unused)
{
	(void)unused;
	static http_exchange *taken[QUEUE_MAX];
	for (;;) {
		pthread_mutex_lock(&lock);
		while (queued == 0) {
			pthread_cond_wait(&filled, &lock);
		}
		size_t count = queued;
		memcpy(taken, queue, count * sizeof(http_exchange *));
		queued = 0;
		pthread_mutex_unlock(&lock);
		for (size_t i = 0; i < count; i++) {
			reply(taken[i]);
		}
	}
	return NULL;
}

static void reply_later(http_exchange *x)
{
	pthread_mutex_lock(&lock);
	queue[queued++] = x;
	bool was_empty = queued == 1;
	pthread_mutex_unlock(&lock);
	if (was_empty) {
		pthread_cond_signal(&filled);
	}
}

static void echo_length(http_exchange *x)
{
	buf_printf(http_reply_body(x), "%zu\n", http_request_body(x).len);
	http_send(x, 200, "text/plain");
}

/* Never replied to: what many waiting requests cost the others. */
static void hold(http_exchange *x)
{
	(void)x;
}

static void on_closed(void *context, http_stream_end_reason reason)
{
	(void)context;
	(void)reason;
}

static void open_stream(http_exchange *x)
{
	static const http_stream_options options = {
		.content_type = "text/event-stream", .on_closed = on_closed, .stall_ms = 60000};
	http_stream *s = http_stream_open(x, &options);
	if (s != NULL) {
		streams[atomic_fetch_add(&stream_count, 1)] = s;
	}
}

static const http_route routes[] = {
	{.method = HTTP_GET, .pattern = "/inline", .name = "inline", .handler = reply},
	{.method = HTTP_GET, .pattern = "/async", .name = "async", .handler = reply_later},
	{.method = HTTP_POST, .pattern = "/body", .name = "body", .handler = echo_length, .body = HTTP_BODY_ACCEPTED},
	{.method = HTTP_GET, .pattern = "/hold", .name = "hold", .handler = hold},
	{.method = HTTP_GET, .pattern = "/stream", .name = "stream", .handler = open_stream},
};

static const http_dialect dialect = {
	.name = "bench", .prefix = "/", .routes = routes, .route_count = sizeof routes / sizeof routes[0]};
static const http_dialect *const dialects[] = {&dialect};

static http_server *serve(const char *address)
{
	err e;
	str listen_on = str_from_c(address);
	http_server_options options = {
		.listen = &listen_on, .listen_count = 1, .dialects = dialects, .dialect_count = 1, .cors_origin = STR("*")};
	http_server *s = http_server_new(&options, &e);
	if (s == NULL || !http_server_start(s, &e)) {
		fprintf(stderr, "%s\n", e.message);
		exit(1);
	}
	pthread_t thread;
	pthread_create(&thread, NULL, answer_all, NULL);
	pthread_detach(thread);
	return s;
}

static long resident_kib(void)
{
	long pages = 0;
	FILE *f = fopen("/proc/self/statm", "r");
	if (f != NULL) {
		if (fscanf(f, "%*d %ld", &pages) != 1) {
			pages = 0;
		}
		fclose(f);
	}
	return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

static int connect_to(uint16_t port)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, (struct sockaddr *)&at, sizeof at) != 0) {
		perror("connect");
		exit(1);
	}
	return fd;
}

/* Reads and drops on all sockets, in a process of its own so that only the server is measured. */
static void run_clients(uint16_t port, size_t count, const char *request)
{
	static int fds[STREAMS_MAX];
	static char bytes[65536];
	for (size_t i = 0; i < count; i++) {
		fds[i] = connect_to(port);
		if (write(fds[i], request, strlen(request)) < 0) {
			perror("write");
		}
	}
	for (;;) {
		for (size_t i = 0; i < count; i++) {
			while (recv(fds[i], bytes, sizeof bytes, MSG_DONTWAIT) > 0) {
			}
		}
		usleep(20000);
	}
}

static pid_t start_clients(uint16_t port, size_t count, const char *request)
{
	pid_t child = fork();
	if (child == 0) {
		run_clients(port, count, request);
	}
	return child;
}

static void fan_out(size_t count, size_t rounds)
{
	http_server *s = serve("127.0.0.1:0");
	long before = resident_kib();
	pid_t child = start_clients(http_server_port(s, 0), count, "GET /stream HTTP/1.1\r\nHost: x\r\n\r\n");
	while (atomic_load(&stream_count) < count) {
		usleep(1000);
	}
	usleep(500000);
	printf("%zu idle streams: %.2f KiB each\n", count, (double)(resident_kib() - before) / (double)count);
	char text[120];
	memset(text, 'x', sizeof text);
	for (size_t r = 0; r < rounds; r++) {
		frame *f = frame_new((str){text, sizeof text});
		int64_t start = clock_now_us();
		size_t full = 0;
		for (size_t i = 0; i < count; i++) {
			full += http_stream_push(streams[i], f) != HTTP_PUSH_OK;
		}
		int64_t took = clock_now_us() - start;
		frame_unref(f);
		printf("round %zu: %.3f us a push, %zu refused\n", r, (double)took / (double)count, full);
		usleep(100000);
	}
	kill(child, SIGKILL);
}

/* The floor under it: the same bytes by send(2) alone, over plain sockets. */
static void send_alone(size_t count, size_t rounds)
{
	static int fds[STREAMS_MAX];
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof at;
	int listener = socket(AF_INET, SOCK_STREAM, 0);
	if (bind(listener, (struct sockaddr *)&at, sizeof at) != 0 || listen(listener, STREAMS_MAX) != 0 ||
		getsockname(listener, (struct sockaddr *)&at, &len) != 0) {
		perror("listen");
		exit(1);
	}
	pid_t child = start_clients(ntohs(at.sin_port), count, "");
	for (size_t i = 0; i < count; i++) {
		static const int on = 1;
		fds[i] = accept(listener, NULL, NULL);
		setsockopt(fds[i], IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	}
	usleep(200000);
	char text[126];
	memset(text, 'x', sizeof text);
	for (size_t r = 0; r < rounds; r++) {
		int64_t start = clock_now_us();
		for (size_t i = 0; i < count; i++) {
			if (send(fds[i], text, sizeof text, MSG_NOSIGNAL | MSG_DONTWAIT) < 0) {
				perror("send");
			}
		}
		printf("round %zu: %.3f us a send(2)\n", r, (double)(clock_now_us() - start) / (double)count);
		usleep(100000);
	}
	kill(child, SIGKILL);
}

int main(int argc, char **argv)
{
	struct rlimit limit;
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
	if (argc == 3 && strcmp(argv[1], "serve") == 0) {
		char address[64];
		snprintf(address, sizeof address, "127.0.0.1:%s", argv[2]);
		serve(address);
		pause();
		return 0;
	}
	if (argc == 4 && strcmp(argv[1], "fanout") == 0) {
		fan_out(strtoul(argv[2], NULL, 10), strtoul(argv[3], NULL, 10));
		return 0;
	}
	if (argc == 4 && strcmp(argv[1], "send") == 0) {
		send_alone(strtoul(argv[2], NULL, 10), strtoul(argv[3], NULL, 10));
		return 0;
	}
	fprintf(stderr, "usage: %s serve PORT | fanout N ROUNDS | send N ROUNDS\n", argv[0]);
	return 2;
}
