#include "http/tls_impl.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum {
	TURN_BYTES = 256 * 1024,       /* of one direction, then the other connections have their turn */
	DROPPED_MAX = 8 * 1024 * 1024, /* what a client may still send when nobody listens */
};

/* ---- rests ---- */

static bool rest_keep(tls_rest *r, const char *bytes, size_t len)
{
	r->bytes = malloc(len);
	if (r->bytes == NULL) {
		return false;
	}
	memcpy(r->bytes, bytes, len);
	r->at = 0;
	r->len = len;
	return true;
}

static void rest_drop(tls_rest *r)
{
	free(r->bytes);
	r->bytes = NULL;
}

static void rest_consume(tls_rest *r, size_t taken)
{
	r->at += taken;
	if (r->at == r->len) {
		rest_drop(r);
	}
}

/* ---- the client's side ---- */

tls_flow tls_judge(tls_conn *c, int result, bool *may)
{
	switch (SSL_get_error(c->ssl, result)) {
	case SSL_ERROR_WANT_READ:
	case SSL_ERROR_WANT_WRITE:
		*may = false;
		return TLS_FLOW_BLOCKED;
	case SSL_ERROR_ZERO_RETURN:
		return TLS_FLOW_OVER;
	default:
		return TLS_FLOW_BROKEN;
	}
}

tls_flow tls_client_read(tls_conn *c, char *to, size_t most, size_t *got)
{
	*got = 0;
	if (!c->client.may_read) {
		return TLS_FLOW_BLOCKED;
	}
	ERR_clear_error();
	int result = SSL_read_ex(c->ssl, to, most, got);
	return result == 1 ? TLS_FLOW_MORE : tls_judge(c, result, &c->client.may_read);
}

/* TLS_FLOW_MORE: *taken of them, at least one, are on their way. */
static tls_flow client_write(tls_conn *c, const char *bytes, size_t len, size_t *taken)
{
	*taken = 0;
	if (!c->client.may_write) {
		return TLS_FLOW_BLOCKED;
	}
	ERR_clear_error();
	int result = SSL_write_ex(c->ssl, bytes, len, taken);
	if (result != 1) {
		return tls_judge(c, result, &c->client.may_write);
	}
	atomic_fetch_add_explicit(&c->from.tls->sent, *taken, memory_order_relaxed);
	return TLS_FLOW_MORE;
}

/* ---- from the server to the client ---- */

/* Sends all of it, or keeps the rest. */
static tls_flow send_out(tls_conn *c, const char *bytes, size_t len)
{
	while (len > 0) {
		size_t taken;
		tls_flow f = client_write(c, bytes, len, &taken);
		if (f != TLS_FLOW_MORE) {
			return f == TLS_FLOW_BLOCKED && rest_keep(&c->out, bytes, len) ? TLS_FLOW_BLOCKED : TLS_FLOW_BROKEN;
		}
		bytes += taken;
		len -= taken;
	}
	return TLS_FLOW_MORE;
}

static tls_flow send_out_rest(tls_conn *c)
{
	while (c->out.bytes != NULL) {
		size_t taken;
		tls_flow f = client_write(c, c->out.bytes + c->out.at, c->out.len - c->out.at, &taken);
		if (f != TLS_FLOW_MORE) {
			return f;
		}
		rest_consume(&c->out, taken);
	}
	return TLS_FLOW_MORE;
}

/* Everything was sent. */
static tls_flow say_goodbye(tls_conn *c)
{
	ERR_clear_error();
	int result = SSL_shutdown(c->ssl);
	if (result < 0) {
		return tls_judge(c, result, &c->client.may_write);
	}
	shutdown(c->client.fd, SHUT_WR);
	c->has_said_goodbye = true;
	atomic_fetch_sub_explicit(&c->thread->owner->unsent_count, 1, memory_order_release);
	return TLS_FLOW_OVER;
}

tls_flow tls_pump_out(tls_conn *c)
{
	tls_thread *t = c->thread;
	if (c->has_said_goodbye) {
		return TLS_FLOW_OVER;
	}
	tls_flow f = send_out_rest(c);
	for (size_t turn = 0; f == TLS_FLOW_MORE && turn < TURN_BYTES;) {
		if (c->has_server_ended) {
			return say_goodbye(c);
		}
		if (!c->plain.may_read) {
			return TLS_FLOW_BLOCKED;
		}
		ssize_t got = recv(c->plain.fd, t->scratch, sizeof t->scratch, MSG_DONTWAIT);
		if (got > 0) {
			turn += (size_t)got;
			f = send_out(c, t->scratch, (size_t)got);
		} else if (got < 0 && errno == EAGAIN) {
			c->plain.may_read = false;
		} else {
			c->has_server_ended = got == 0 || errno != EINTR;
		}
	}
	return f;
}

void tls_note_lost(tls_conn *c)
{
	if (!c->has_client_ended || c->out.bytes != NULL || socket_has_lost(c->client.fd)) {
		atomic_store_explicit(&c->from.tls->has_lost, true, memory_order_release);
	}
}

/* ---- from the client to the server ---- */

bool tls_send_in(tls_conn *c, const char *bytes, size_t len)
{
	while (len > 0 && !c->is_unheard) {
		ssize_t sent = send(c->plain.fd, bytes, len, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (sent > 0) {
			bytes += sent;
			len -= (size_t)sent;
		} else if (sent < 0 && errno == EAGAIN) {
			c->plain.may_write = false;
			return rest_keep(&c->in, bytes, len);
		} else {
			c->is_unheard = sent == 0 || errno != EINTR;
		}
	}
	c->dropped_bytes += len;
	return true;
}

static bool send_in_rest(tls_conn *c)
{
	tls_rest rest = c->in;
	if (rest.bytes == NULL || !(c->plain.may_write || c->is_unheard)) {
		return true;
	}
	c->in.bytes = NULL;
	bool ok = tls_send_in(c, rest.bytes + rest.at, rest.len - rest.at);
	rest_drop(&rest);
	return ok;
}

tls_flow tls_pump_in(tls_conn *c)
{
	tls_thread *t = c->thread;
	tls_flow f = TLS_FLOW_MORE;
	for (size_t turn = 0; turn < TURN_BYTES;) {
		size_t got;
		if (!send_in_rest(c) || c->dropped_bytes > DROPPED_MAX) {
			return TLS_FLOW_BROKEN;
		}
		if (c->in.bytes != NULL) {
			return TLS_FLOW_BLOCKED;
		}
		if (c->has_client_ended) {
			if (!c->is_end_passed_on) {
				c->is_end_passed_on = true;
				tls_note_lost(c);
				shutdown(c->plain.fd, SHUT_WR);
			}
			return TLS_FLOW_OVER;
		}
		f = tls_client_read(c, t->scratch, sizeof t->scratch, &got);
		if (f == TLS_FLOW_BLOCKED || f == TLS_FLOW_BROKEN) {
			return f;
		}
		c->has_client_ended = f == TLS_FLOW_OVER;
		atomic_fetch_add_explicit(&c->from.tls->received, got, memory_order_relaxed);
		turn += got;
		if (!tls_send_in(c, t->scratch, got)) {
			return TLS_FLOW_BROKEN;
		}
	}
	return TLS_FLOW_MORE;
}
