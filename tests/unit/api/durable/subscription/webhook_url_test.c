#include "api/durable/subscription/webhook_url.h"

#include "api/durable/subscription/address.h"
#include "suite.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

static err e;

typedef union any_address {
	struct sockaddr any;
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
} any_address;

static any_address address_of(const char *text)
{
	any_address a = {.in = {.sin_family = AF_INET}};
	if (inet_pton(AF_INET, text, &a.in.sin_addr) != 1) {
		a = (any_address){.in6 = {.sin6_family = AF_INET6}};
		ck_assert_msg(inet_pton(AF_INET6, text, &a.in6.sin6_addr) == 1, "%s", text);
	}
	return a;
}

static bool is_public(const char *text)
{
	any_address a = address_of(text);
	return address_is_public(&a.any);
}

START_TEST(public_addresses_are_public)
{
	static const char *const PUBLIC[] = {"1.1.1.1",      "9.255.255.255",  "11.0.0.0",        "100.63.255.255",
										 "100.128.0.0",  "172.15.255.255", "172.32.0.0",      "192.167.255.255",
										 "192.169.0.0",  "198.17.255.255", "223.255.255.255", "2606:4700::1111",
										 "2a00:1450::1", "::ffff:8.8.8.8"};
	for (size_t i = 0; i < sizeof PUBLIC / sizeof PUBLIC[0]; i++) {
		ck_assert_msg(is_public(PUBLIC[i]), "%s", PUBLIC[i]);
	}
}
END_TEST

START_TEST(all_others_are_not)
{
	static const char *const CLOSED[] = {"0.0.0.0",
										 "0.1.2.3",
										 "10.0.0.0",
										 "10.255.255.255",
										 "100.64.0.0",
										 "100.127.255.255",
										 "127.0.0.1",
										 "127.9.9.9",
										 "169.254.169.254",
										 "172.16.0.0",
										 "172.31.255.255",
										 "192.0.0.8",
										 "192.0.2.1",
										 "192.168.0.0",
										 "198.18.0.1",
										 "198.19.255.255",
										 "198.51.100.7",
										 "203.0.113.9",
										 "224.0.0.1",
										 "240.0.0.1",
										 "255.255.255.255",
										 "::",
										 "::1",
										 "fe80::1",
										 "fc00::1",
										 "fdff::1",
										 "ff02::1",
										 "::ffff:10.0.0.1",
										 "::ffff:127.0.0.1",
										 "64:ff9b::a00:1",
										 "2002:a00:1::",
										 "2001::1",
										 "2001:db8::1",
										 "3fff::1",
										 "fec0::1",
										 "100::1"};
	struct sockaddr other = {.sa_family = AF_UNIX};
	for (size_t i = 0; i < sizeof CLOSED / sizeof CLOSED[0]; i++) {
		ck_assert_msg(!is_public(CLOSED[i]), "%s", CLOSED[i]);
	}
	ck_assert(!address_is_public(&other));
	ck_assert(!address_is_loopback(&other));
}
END_TEST

START_TEST(loopback_is_told_apart)
{
	any_address loopback = address_of("127.200.0.1");
	ck_assert(address_is_loopback(&loopback.any));
	loopback = address_of("::1");
	ck_assert(address_is_loopback(&loopback.any));
	loopback = address_of("128.0.0.1");
	ck_assert(!address_is_loopback(&loopback.any));
	loopback = address_of("::2");
	ck_assert(!address_is_loopback(&loopback.any));
}
END_TEST

static bool accepts(const char *url, bool allow_localhost)
{
	if (webhook_url_judge(str_from_c(url), allow_localhost, &e)) {
		return true;
	}
	ck_assert_int_eq(e.code, ERR_WEBHOOK_URL_REJECTED);
	return false;
}

START_TEST(https_to_a_public_host_is_fine)
{
	ck_assert(accepts("https://example.com/hook?a=b#c", false));
	ck_assert(accepts("https://EXAMPLE.com.:8443", false));
	ck_assert(accepts("HTTPS://8.8.8.8/", false));
	ck_assert(accepts("https://[2606:4700::1111]/", false));
}
END_TEST

START_TEST(localhost_is_for_development)
{
	static const char *const LOCAL[] = {"http://localhost:9/x", "http://127.0.0.1:1/", "http://127.1.2.3/",
										"https://localhost/"};
	for (size_t i = 0; i < sizeof LOCAL / sizeof LOCAL[0]; i++) {
		ck_assert_msg(accepts(LOCAL[i], true), "%s: %s", LOCAL[i], e.message);
		ck_assert_msg(!accepts(LOCAL[i], false), "%s", LOCAL[i]);
	}
	ck_assert(!accepts("http://[::1]/", true));
	ck_assert(!accepts("http://example.com/", true));
	ck_assert(!accepts("http://10.0.0.1/", true));
	ck_assert(!accepts("http://localhost.example.com/", true));
}
END_TEST

START_TEST(everything_else_is_rejected)
{
	static const char *const BAD[] = {"",
									  "example.com",
									  "//example.com/",
									  "ftp://example.com/",
									  "https://",
									  "https:///",
									  "https://intranet/",
									  "https://a.local/",
									  "https://x.localhost/",
									  "https://metadata.google.internal/",
									  "https://0x7f.1/",
									  "https://2130706433/",
									  "https://0177.0.0.1/",
									  "https://10.1/",
									  "https://1.2.3.999/",
									  "https://u@example.com/",
									  "https://u:p@example.com/",
									  "https://exa mple.com/",
									  "https://example.com/\r\nX: y",
									  "https://example.com\\@10.0.0.1/",
									  "https://[::ffff:127.0.0.1]/",
									  "https://[fe80::1%25eth0]/",
									  "https://\xc3\xa4.com/"};
	for (size_t i = 0; i < sizeof BAD / sizeof BAD[0]; i++) {
		ck_assert_msg(!accepts(BAD[i], false), "%s", BAD[i]);
		ck_assert_msg(!accepts(BAD[i], true) || strstr(BAD[i], "7f") || strstr(BAD[i], "2130") ||
						  strstr(BAD[i], "0177"),
					  "%s", BAD[i]);
	}
	char longest[WEBHOOK_URL_MAX + 2];
	memset(longest, 'a', sizeof longest);
	memcpy(longest, "https://example.com/", 20);
	ck_assert(webhook_url_judge((str){longest, WEBHOOK_URL_MAX}, false, &e));
	ck_assert(!webhook_url_judge((str){longest, WEBHOOK_URL_MAX + 1}, false, &e));
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {public_addresses_are_public,  all_others_are_not,
								  loopback_is_told_apart,       https_to_a_public_host_is_fine,
								  localhost_is_for_development, everything_else_is_rejected};
	return SUITE_RUN("api/durable/subscription/webhook_url", tests);
}
