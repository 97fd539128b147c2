#include "api/durable/subscription/webhook_url.h"

#include "api/durable/subscription/address.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <netinet/in.h>

static bool reject(err *e, const char *why)
{
	return err_set(e, ERR_WEBHOOK_URL_REJECTED,
				   "webhook.url %s; give an https URL of a host that is reachable from the internet", why);
}

/* Names that lead into a private network, or nowhere. */
static bool is_local_name(str host)
{
	static const char *const SUFFIXES[] = {".localhost", ".local", ".internal", ".localdomain", ".home.arpa", ".onion"};
	for (size_t i = 0; i < sizeof SUFFIXES / sizeof SUFFIXES[0]; i++) {
		str suffix = str_from_c(SUFFIXES[i]);
		if (host.len >= suffix.len && str_equal_ignore_case(str_skip(host, host.len - suffix.len), suffix)) {
			return true;
		}
	}
	size_t dot;
	return !str_find(host, STR("."), &dot);
}

typedef struct parts {
	char *scheme;
	char *host;
	char *user;
	char *password;
} parts;

/* curl's own reading of the URL: what is judged here is what will be connected to. */
static bool split(const char *url, parts *out)
{
	CURLU *u = curl_url();
	bool ok = u != NULL && curl_url_set(u, CURLUPART_URL, url, 0) == CURLUE_OK &&
			  curl_url_get(u, CURLUPART_SCHEME, &out->scheme, 0) == CURLUE_OK &&
			  curl_url_get(u, CURLUPART_HOST, &out->host, 0) == CURLUE_OK;
	if (ok) {
		(void)curl_url_get(u, CURLUPART_USER, &out->user, 0);
		(void)curl_url_get(u, CURLUPART_PASSWORD, &out->password, 0);
	}
	curl_url_cleanup(u);
	return ok;
}

typedef union any_address {
	struct sockaddr any;
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
} any_address;

/* Whether the host is an address and not a name. */
static bool read_address(str host, any_address *out)
{
	char text[INET6_ADDRSTRLEN + 1];
	if (host.len > 1 && host.ptr[0] == '[' && host.ptr[host.len - 1] == ']') {
		host = (str){host.ptr + 1, host.len - 2};
	}
	if (host.len >= sizeof text) {
		return false;
	}
	memcpy(text, host.ptr, host.len);
	text[host.len] = '\0';
	*out = (any_address){.in = {.sin_family = AF_INET}};
	if (inet_pton(AF_INET, text, &out->in.sin_addr) == 1) {
		return true;
	}
	*out = (any_address){.in6 = {.sin6_family = AF_INET6}};
	return inet_pton(AF_INET6, text, &out->in6.sin6_addr) == 1;
}

static bool judge_host(str scheme, str host, bool allow_localhost, err *e)
{
	any_address address;
	bool is_http = str_equal_ignore_case(scheme, STR("http"));
	if (!is_http && !str_equal_ignore_case(scheme, STR("https"))) {
		return reject(e, "has another scheme than https");
	}
	if (host.len > 0 && host.ptr[host.len - 1] == '.') {
		host.len--;
	}
	bool is_address = read_address(host, &address);
	bool is_localhost = is_address ? address_is_loopback(&address.any) && address.any.sa_family == AF_INET
								   : str_equal_ignore_case(host, STR("localhost"));
	if (is_localhost && allow_localhost) {
		return true;
	}
	if (is_http) {
		return reject(e, "is not https");
	}
	if (is_address ? !address_is_public(&address.any) : is_local_name(host)) {
		return reject(e, "leads to a private, local or reserved address");
	}
	/* Digits and dots that are no address: an old spelling of one. */
	if (!is_address && host.len > 0 && host.ptr[host.len - 1] >= '0' && host.ptr[host.len - 1] <= '9') {
		return reject(e, "has an address as host that is not written in the usual way");
	}
	return true;
}

bool webhook_url_judge(str url, bool allow_localhost, err *e)
{
	char text[WEBHOOK_URL_MAX + 1];
	parts p = {0};
	bool ok = false;
	if (url.len == 0 || url.len > WEBHOOK_URL_MAX) {
		return reject(e, "is empty or too long");
	}
	for (size_t i = 0; i < url.len; i++) {
		if ((unsigned char)url.ptr[i] <= 0x20 || (unsigned char)url.ptr[i] >= 0x7f || url.ptr[i] == '\\') {
			return reject(e, "holds characters that a URL cannot have");
		}
	}
	memcpy(text, url.ptr, url.len);
	text[url.len] = '\0';
	if (!split(text, &p)) {
		reject(e, "is no absolute URL");
	} else if (p.user != NULL || p.password != NULL) {
		reject(e, "must not carry a user or password");
	} else {
		ok = judge_host(str_from_c(p.scheme), str_from_c(p.host), allow_localhost, e);
	}
	curl_free(p.scheme);
	curl_free(p.host);
	curl_free(p.user);
	curl_free(p.password);
	return ok;
}
