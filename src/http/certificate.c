#include "http/certificate.h"

#include "base/file_state.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LOOK_MS = 1000 };

struct certificate {
	char *certificate_file;
	char *key_file;
	slog *log;
	metric *expiry; /* gauge */
	metric *taken;
	metric *refused;
	pthread_mutex_t lock;
	SSL_CTX *current; /* under lock */
	/* certificate_look()'s. */
	file_state certificate_state;
	file_state key_state;
	int64_t next_look_ms;
};

/* ---- ALPN ---- */

static const unsigned char SPOKEN[] = "\x02h2\x08http/1.1";

static int choose_protocol(SSL *ssl, const unsigned char **chosen, unsigned char *chosen_bytes,
						   const unsigned char *offered, unsigned offered_bytes, void *context)
{
	(void)ssl;
	(void)context;
	unsigned char *at = NULL;
	int found = SSL_select_next_proto(&at, chosen_bytes, SPOKEN, sizeof SPOKEN - 1, offered, offered_bytes);
	*chosen = at;
	return found == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_ALERT_FATAL;
}

/* ---- reading ---- */

/* The last of OpenSSL's reasons, which is the plainest. */
static const char *reason(void)
{
	const char *text = ERR_reason_error_string(ERR_peek_last_error());
	return text != NULL ? text : "not in PEM";
}

static bool is_readable(const char *setting, const char *path, err *e)
{
	char text[ERR_LOG_MAX];
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0) {
		return err_set(e, ERR_INVALID_REQUEST, "%s: cannot read %s: %s", setting, path,
					   strerror_r(errno, text, sizeof text));
	}
	close(fd);
	return true;
}

/* Nobody is there to be asked: a key with a passphrase is refused. */
static int no_passphrase(char *to, int most, int is_writing, void *context)
{
	(void)to;
	(void)most;
	(void)is_writing;
	(void)context;
	return -1;
}

static bool read_certificate(SSL_CTX *context, const char *path, err *e)
{
	ERR_clear_error();
	return is_readable("tls_certificate_file", path, e) &&
		   (SSL_CTX_use_certificate_chain_file(context, path) == 1 ||
			err_set(e, ERR_INVALID_REQUEST,
					"tls_certificate_file: %s does not begin with a usable certificate in PEM: %s", path, reason()));
}

static bool read_key(SSL_CTX *context, const char *path, err *e)
{
	ERR_clear_error();
	if (!is_readable("tls_key_file", path, e)) {
		return false;
	}
	BIO *file = BIO_new_file(path, "r");
	EVP_PKEY *key = file != NULL ? PEM_read_bio_PrivateKey(file, NULL, no_passphrase, NULL) : NULL;
	bool ok = false;
	if (key == NULL) {
		err_set(e, ERR_INVALID_REQUEST, "tls_key_file: %s has no private key in PEM without a passphrase: %s", path,
				reason());
	} else if (X509_check_private_key(SSL_CTX_get0_certificate(context), key) != 1) {
		err_set(e, ERR_INVALID_REQUEST, "tls_key_file: the key in %s does not belong to the certificate", path);
	} else if (SSL_CTX_use_PrivateKey(context, key) != 1) {
		err_set(e, ERR_INVALID_REQUEST, "tls_key_file: the key in %s cannot be used: %s", path, reason());
	} else {
		ok = true;
	}
	EVP_PKEY_free(key);
	BIO_free(file);
	return ok;
}

static bool choose_settings(SSL_CTX *context)
{
	const uint64_t options = SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_IGNORE_UNEXPECTED_EOF;
	SSL_CTX_set_options(context, options);
	SSL_CTX_set_mode(context,
					 SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
	SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_read_ahead(context, 1);
	SSL_CTX_set_alpn_select_cb(context, choose_protocol, NULL);
	return SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) == 1 &&
		   SSL_CTX_set_cipher_list(context, "ECDHE+AESGCM:ECDHE+CHACHA20") == 1;
}

static bool read_pair(const certificate *c, SSL_CTX **out, err *e)
{
	SSL_CTX *context = SSL_CTX_new(TLS_server_method());
	if (context == NULL || !choose_settings(context)) {
		SSL_CTX_free(context);
		return err_set(e, ERR_NO_MEMORY, "out of memory preparing TLS");
	}
	if (!read_certificate(context, c->certificate_file, e) || !read_key(context, c->key_file, e)) {
		SSL_CTX_free(context);
		return false;
	}
	*out = context;
	return true;
}

/* ---- in force ---- */

static void note_expiry(const certificate *c, const SSL_CTX *context)
{
	const ASN1_TIME *until = X509_get0_notAfter(SSL_CTX_get0_certificate(context));
	time_t now = time(NULL);
	int days = 0;
	int seconds = 0;
	if (ASN1_TIME_diff(&days, &seconds, NULL, until) == 1) {
		const int64_t day_s = 24 * 60 * 60;
		metric_set(c->expiry, (int64_t)now + days * day_s + seconds);
		if (days < 0 || seconds < 0) {
			SLOG(c->log, SLOG_WARN, "tls", "the certificate has expired; clients will refuse it",
				 F_STR("file", str_from_c(c->certificate_file)));
		}
	}
}

static bool note_changes(certificate *c)
{
	bool has_certificate = file_state_note(&c->certificate_state, c->certificate_file);
	bool has_key = file_state_note(&c->key_state, c->key_file);
	return has_certificate || has_key;
}

static void put_in_force(certificate *c, SSL_CTX *fresh)
{
	pthread_mutex_lock(&c->lock);
	SSL_CTX *before = c->current;
	c->current = fresh;
	pthread_mutex_unlock(&c->lock);
	SSL_CTX_free(before);
	note_expiry(c, fresh);
}

void certificate_look(certificate *c, int64_t now_ms)
{
	SSL_CTX *fresh = NULL;
	err e;
	if (now_ms < c->next_look_ms) {
		return;
	}
	c->next_look_ms = now_ms + LOOK_MS;
	if (!note_changes(c)) {
		return;
	}
	if (read_pair(c, &fresh, &e)) {
		put_in_force(c, fresh);
		metric_add(c->taken, 1);
		SLOG(c->log, SLOG_INFO, "tls", "the certificate was read again",
			 F_STR("file", str_from_c(c->certificate_file)));
	} else {
		metric_add(c->refused, 1);
		slog_err(c->log, SLOG_ERROR, "tls", "the certificate was not read again; the one before stays in force", &e);
	}
}

SSL *certificate_session(certificate *c)
{
	pthread_mutex_lock(&c->lock);
	SSL *ssl = SSL_new(c->current);
	pthread_mutex_unlock(&c->lock);
	return ssl;
}

/* ---- life ---- */

bool certificate_new(str certificate_file, str key_file, slog *log, metric_registry *metrics, certificate **out, err *e)
{
	certificate *c = calloc(1, sizeof *c);
	if (c == NULL) {
		return err_set(e, ERR_NO_MEMORY, "out of memory preparing TLS");
	}
	SSL_CTX *first = NULL;
	bool ok = false;
	const char *help = "Changed certificate files that were read again.";
	pthread_mutex_init(&c->lock, NULL);
	c->log = log;
	c->expiry = metric_gauge(metrics, "tidegate_tls_certificate_expiry_timestamp_seconds",
							 "When the certificate in force expires.", NULL);
	c->taken = metric_counter(metrics, "tidegate_tls_certificate_reads_total", help, "result=\"taken\"");
	c->refused = metric_counter(metrics, "tidegate_tls_certificate_reads_total", help, "result=\"refused\"");
	c->certificate_file = strndup(certificate_file.ptr, certificate_file.len);
	c->key_file = strndup(key_file.ptr, key_file.len);
	if (c->certificate_file == NULL || c->key_file == NULL) {
		err_set(e, ERR_NO_MEMORY, "out of memory preparing TLS");
		goto out;
	}
	/* Before they are read: what changes meanwhile is seen at the first look. */
	(void)note_changes(c);
	ok = read_pair(c, &first, e);
	if (ok) {
		put_in_force(c, first);
		*out = c;
		c = NULL;
	}
out:
	certificate_free(c);
	return ok;
}

void certificate_free(certificate *c)
{
	if (c == NULL) {
		return;
	}
	SSL_CTX_free(c->current);
	pthread_mutex_destroy(&c->lock);
	free(c->certificate_file);
	free(c->key_file);
	free(c);
}
