#include "api/durable/subscription/courier.h"

#include "api/durable/subscription/address.h"

#include <curl/curl.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <unistd.h>

enum { HEADER_BYTES_MAX = 32 * 1024, CONNECTIONS_KEPT = 64, IDLE_POLL_MS = 60000 };

struct courier {
	courier_options options;
	CURLM *multi;
	pthread_t thread;
	bool is_started;
	courier_letter *under_way; /* the courier's thread only */
	pthread_mutex_t lock;      /* guards what follows */
	courier_letter *incoming;
	size_t places; /* taken */
	bool is_stopping;
	metric *active;
	metric *answered;
	metric *unanswered;
};

/* ---- what a transfer asks back ---- */

static curl_socket_t open_socket(void *context, curlsocktype purpose, struct curl_sockaddr *address)
{
	const courier *c = context;
	bool allowed =
		address_is_public(&address->addr) || (c->options.allow_localhost && address_is_loopback(&address->addr));
	if (purpose != CURLSOCKTYPE_IPCXN || !allowed) {
		errno = EACCES;
		return CURL_SOCKET_BAD;
	}
	return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

static size_t take_answer(char *bytes, size_t size, size_t count, void *context)
{
	courier_letter *letter = context;
	buf_append(&letter->answer, bytes, size * count);
	return letter->answer.failed ? 0 : size * count;
}

static size_t count_header(char *bytes, size_t size, size_t count, void *context)
{
	courier_letter *letter = context;
	(void)bytes;
	letter->header_bytes += size * count;
	return letter->header_bytes > HEADER_BYTES_MAX ? 0 : size * count;
}

/* ---- one letter ---- */

static bool add_header(struct curl_slist **list, const char *line)
{
	struct curl_slist *longer = curl_slist_append(*list, line);
	if (longer == NULL) {
		return false;
	}
	*list = longer;
	return true;
}

static bool make_headers(courier_letter *letter)
{
	struct curl_slist *list = NULL;
	bool ok = add_header(&list, "Content-Type: application/json") && add_header(&list, "Accept: application/json") &&
			  add_header(&list, "Expect:");
	for (int i = 0; ok && i < COURIER_HEADERS_MAX && letter->headers[i] != NULL; i++) {
		ok = add_header(&list, letter->headers[i]);
	}
	letter->header_list = list;
	return ok;
}

static bool prepare(courier *c, courier_letter *letter)
{
	CURL *t = curl_easy_init();
	letter->transfer = t;
	if (t == NULL || !make_headers(letter)) {
		return false;
	}
#define SET(option, value) (curl_easy_setopt(t, option, value) == CURLE_OK)
	return SET(CURLOPT_URL, letter->url) && SET(CURLOPT_PROTOCOLS_STR, "http,https") && SET(CURLOPT_POST, 1L) &&
		   SET(CURLOPT_POSTFIELDS, letter->body.ptr) &&
		   SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)letter->body.len) &&
		   SET(CURLOPT_HTTPHEADER, letter->header_list) && SET(CURLOPT_USERAGENT, "tidegate/" TIDEGATE_VERSION) &&
		   SET(CURLOPT_PROXY, "") && SET(CURLOPT_NOPROXY, "*") && SET(CURLOPT_FOLLOWLOCATION, 0L) &&
		   SET(CURLOPT_NETRC, (long)CURL_NETRC_IGNORED) && SET(CURLOPT_NOSIGNAL, 1L) &&
		   SET(CURLOPT_TIMEOUT_MS, (long)c->options.timeout_ms) &&
		   SET(CURLOPT_CONNECTTIMEOUT_MS, (long)c->options.timeout_ms) &&
		   SET(CURLOPT_OPENSOCKETFUNCTION, open_socket) && SET(CURLOPT_OPENSOCKETDATA, c) &&
		   SET(CURLOPT_WRITEFUNCTION, take_answer) && SET(CURLOPT_WRITEDATA, letter) &&
		   SET(CURLOPT_HEADERFUNCTION, count_header) && SET(CURLOPT_HEADERDATA, letter) &&
		   SET(CURLOPT_PRIVATE, letter) &&
		   /* Within the time of one letter a name leads where it led first; not longer. */
		   SET(CURLOPT_DNS_CACHE_TIMEOUT, 1L);
#undef SET
}

static void unlist(courier *c, const courier_letter *letter)
{
	for (courier_letter **at = &c->under_way; *at != NULL; at = &(*at)->next) {
		if (*at == letter) {
			*at = letter->next;
			return;
		}
	}
}

/* Not in the list, and not in the multi handle any more. */
static void give_back(courier *c, courier_letter *letter)
{
	curl_easy_cleanup(letter->transfer);
	curl_slist_free_all(letter->header_list);
	letter->transfer = NULL;
	letter->header_list = NULL;
	letter->next = NULL;
	metric_add(letter->status != 0 ? c->answered : c->unanswered, 1);
	courier_release(c);
	letter->done(letter);
}

static void begin(courier *c, courier_letter *letter)
{
	if (!prepare(c, letter) || curl_multi_add_handle(c->multi, letter->transfer) != CURLM_OK) {
		snprintf(letter->problem, sizeof letter->problem, "out of memory");
		give_back(c, letter);
		return;
	}
	letter->next = c->under_way;
	c->under_way = letter;
}

static void finish(courier *c, CURL *transfer, CURLcode result)
{
	char *private = NULL;
	curl_easy_getinfo(transfer, CURLINFO_PRIVATE, &private);
	courier_letter *letter = (courier_letter *)(void *)private;
	curl_multi_remove_handle(c->multi, transfer);
	unlist(c, letter);
	if (result == CURLE_OK) {
		curl_easy_getinfo(transfer, CURLINFO_RESPONSE_CODE, &letter->status);
	} else {
		snprintf(letter->problem, sizeof letter->problem, "%s", curl_easy_strerror(result));
	}
	give_back(c, letter);
}

/* ---- the thread ---- */

static courier_letter *take_incoming(courier *c, bool *is_stopping)
{
	pthread_mutex_lock(&c->lock);
	courier_letter *first = c->incoming;
	c->incoming = NULL;
	*is_stopping = c->is_stopping;
	pthread_mutex_unlock(&c->lock);
	return first;
}

static void stop_letter(courier *c, courier_letter *letter)
{
	letter->was_stopped = true;
	snprintf(letter->problem, sizeof letter->problem, "the server is stopping");
	give_back(c, letter);
}

static void stop_all(courier *c)
{
	while (c->under_way != NULL) {
		courier_letter *letter = c->under_way;
		c->under_way = letter->next;
		curl_multi_remove_handle(c->multi, letter->transfer);
		stop_letter(c, letter);
	}
}

static void *courier_main(void *context)
{
	courier *c = context;
	bool is_stopping = false;
	while (!is_stopping) {
		int running = 0;
		int left = 0;
		courier_letter *next;
		for (courier_letter *letter = take_incoming(c, &is_stopping); letter != NULL; letter = next) {
			next = letter->next;
			begin(c, letter);
		}
		curl_multi_perform(c->multi, &running);
		for (CURLMsg *m; (m = curl_multi_info_read(c->multi, &left)) != NULL;) {
			if (m->msg == CURLMSG_DONE) {
				finish(c, m->easy_handle, m->data.result);
			}
		}
		if (!is_stopping) {
			curl_multi_poll(c->multi, NULL, 0, IDLE_POLL_MS, NULL);
		}
	}
	stop_all(c);
	return NULL;
}

/* ---- outside ---- */

bool courier_reserve(courier *c)
{
	pthread_mutex_lock(&c->lock);
	bool has_room = c->places < COURIER_PARALLEL_MAX && !c->is_stopping;
	c->places += has_room ? 1 : 0;
	metric_set(c->active, (int64_t)c->places);
	pthread_mutex_unlock(&c->lock);
	return has_room;
}

void courier_release(courier *c)
{
	pthread_mutex_lock(&c->lock);
	c->places--;
	metric_set(c->active, (int64_t)c->places);
	pthread_mutex_unlock(&c->lock);
}

void courier_send(courier *c, courier_letter *letter)
{
	letter->status = 0;
	letter->problem[0] = '\0';
	letter->was_stopped = false;
	letter->transfer = NULL;
	letter->header_list = NULL;
	letter->header_bytes = 0;
	buf_init(&letter->answer, COURIER_ANSWER_MAX);
	pthread_mutex_lock(&c->lock);
	bool is_stopping = c->is_stopping;
	if (!is_stopping) {
		letter->next = c->incoming;
		c->incoming = letter;
	}
	pthread_mutex_unlock(&c->lock);
	if (is_stopping) {
		stop_letter(c, letter);
	} else {
		curl_multi_wakeup(c->multi);
	}
}

void courier_stop(courier *c)
{
	pthread_mutex_lock(&c->lock);
	c->is_stopping = true;
	pthread_mutex_unlock(&c->lock);
	if (c->is_started) {
		curl_multi_wakeup(c->multi);
		pthread_join(c->thread, NULL);
		c->is_started = false;
	}
}

bool courier_new(const courier_options *options, courier **out, err *e)
{
	courier *c = calloc(1, sizeof *c);
	if (c == NULL || curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
		free(c);
		return err_set(e, ERR_NO_MEMORY, "out of memory");
	}
	c->options = *options;
	pthread_mutex_init(&c->lock, NULL);
	c->active = metric_gauge(options->metrics, "tidegate_webhooks_active", "webhook deliveries under way", NULL);
	c->answered = metric_counter(options->metrics, "tidegate_webhooks_total",
								 "webhook deliveries, by whether an answer came", "answered=\"true\"");
	c->unanswered = metric_counter(options->metrics, "tidegate_webhooks_total",
								   "webhook deliveries, by whether an answer came", "answered=\"false\"");
	c->multi = curl_multi_init();
	if (c->multi != NULL) {
		curl_multi_setopt(c->multi, CURLMOPT_MAXCONNECTS, (long)CONNECTIONS_KEPT);
		c->is_started = pthread_create(&c->thread, NULL, courier_main, c) == 0;
	}
	if (!c->is_started) {
		courier_free(c);
		return err_set(e, ERR_NO_MEMORY, "cannot start the webhooks' thread");
	}
	*out = c;
	return true;
}

void courier_free(courier *c)
{
	if (c == NULL) {
		return;
	}
	courier_stop(c);
	curl_multi_cleanup(c->multi);
	curl_global_cleanup();
	pthread_mutex_destroy(&c->lock);
	free(c);
}
