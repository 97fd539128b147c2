#include "http/protocol.h"
#include "suite.h"

static const char PREFACE[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

START_TEST(the_preface_is_recognised_only_when_it_is_complete)
{
	for (size_t i = 0; i < PROTOCOL_PREFIX_BYTES; i++) {
		ck_assert_int_eq(protocol_tell((str){PREFACE, i}), PROTOCOL_UNDECIDED);
	}
	ck_assert_int_eq(protocol_tell((str){PREFACE, PROTOCOL_PREFIX_BYTES}), PROTOCOL_HTTP2);
	ck_assert_int_eq(protocol_tell(STR("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nand more")), PROTOCOL_HTTP2);
}
END_TEST

START_TEST(what_is_nothing_else_is_http_1)
{
	ck_assert_int_eq(protocol_tell(STR("G")), PROTOCOL_HTTP1);
	ck_assert_int_eq(protocol_tell(STR("PRO")), PROTOCOL_HTTP1);
	ck_assert_int_eq(protocol_tell(STR("PRI * HTTP/2.0\r\n\r\nSM\r\n\r!")), PROTOCOL_HTTP1);
	ck_assert_int_eq(protocol_tell(STR("\x80\x2e\x01")), PROTOCOL_HTTP1);
	ck_assert_int_eq(protocol_tell(STR("\x16\x02")), PROTOCOL_HTTP1);
}
END_TEST

START_TEST(a_handshake_record_is_tls)
{
	ck_assert_int_eq(protocol_tell(STR("\x16")), PROTOCOL_UNDECIDED);
	ck_assert_int_eq(protocol_tell(STR("\x16\x03")), PROTOCOL_TLS);
	ck_assert_int_eq(protocol_tell(STR("\x16\x03\x01\x02")), PROTOCOL_TLS);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		the_preface_is_recognised_only_when_it_is_complete,
		what_is_nothing_else_is_http_1,
		a_handshake_record_is_tls,
	};
	return SUITE_RUN("http/protocol", tests);
}
