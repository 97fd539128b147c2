#include "auth/signing.h"

#include <inttypes.h>
#include <pthread.h>
#include <sodium.h>

#include "auth/audit.h"
#include "base/clock.h"
#include "base/id.h"
#include "base/text.h"
#include "db/conn.h"
#include "sql/signing.h"

enum {
	SEED_BYTES = crypto_sign_SEEDBYTES,
	PUBLIC_BYTES = crypto_sign_PUBLICKEYBYTES,
	JWK_MAX = 256,
	LOOK_AGAIN_MS = 1000
};

_Static_assert((int)AUTH_SIGNATURE_BYTES == (int)crypto_sign_BYTES, "an Ed25519 signature");
_Static_assert((int)AUTH_MAC_BYTES == (int)crypto_auth_hmacsha256_BYTES, "an HMAC-SHA-256");
_Static_assert((int)SEED_BYTES == (int)crypto_auth_hmacsha256_KEYBYTES, "both kinds of secrets have one size");
_Static_assert((int)AUTH_DIGEST_BYTES == (int)crypto_hash_sha256_BYTES, "SHA-256");

typedef struct signing_key {
	char id[AUTH_SIGNING_ID_MAX + 1];
	auth_signing_kind kind;
	bool is_retired;
	unsigned char secret[SEED_BYTES];
	unsigned char public_key[PUBLIC_BYTES]; /* of webhook keys */
} signing_key;

struct auth_signing {
	pthread_mutex_t lock;                    /* guards what follows */
	signing_key keys[AUTH_SIGNING_KEYS_MAX]; /* newest first */
	size_t count;
	int64_t read_ms; /* on clock_now_ms(); 0 = never */
};

auth_signing *auth_signing_new(void)
{
	auth_signing *s = sodium_init() >= 0 ? calloc(1, sizeof *s) : NULL;
	if (s != NULL) {
		pthread_mutex_init(&s->lock, NULL);
	}
	return s;
}

void auth_signing_free(auth_signing *s)
{
	if (s != NULL) {
		pthread_mutex_destroy(&s->lock);
		sodium_memzero(s, sizeof *s);
		free(s);
	}
}

void auth_digest_sha256(str bytes, unsigned char digest[AUTH_DIGEST_BYTES])
{
	crypto_hash_sha256(digest, (const unsigned char *)bytes.ptr, bytes.len);
}

/* ---- making keys ---- */

static void append_public_members(buf *out, const unsigned char public_key[PUBLIC_BYTES])
{
	/* RFC 7638: these members, in this order, are what a key's thumbprint is made of. */
	buf_append_str(out, STR("\"crv\":\"Ed25519\",\"kty\":\"OKP\",\"x\":\""));
	text_base64url_encode(out, (str){(const char *)public_key, PUBLIC_BYTES});
	buf_append_byte(out, '"');
}

static void name_webhook_key(const unsigned char public_key[PUBLIC_BYTES], buf *id)
{
	unsigned char digest[AUTH_DIGEST_BYTES];
	buf text;
	buf_init(&text, JWK_MAX);
	buf_append_byte(&text, '{');
	append_public_members(&text, public_key);
	buf_append_byte(&text, '}');
	auth_digest_sha256(buf_str(&text), digest);
	buf_append_str(id, STR("ds_"));
	text_base64url_encode(id, (str){(const char *)digest, sizeof digest});
	id->failed = id->failed || text.failed;
	buf_dispose(&text);
}

/* *id is the new key's. */
static bool insert(db_conn *conn, auth_signing_kind kind, buf *id, err *e)
{
	db_params p;
	unsigned char secret[SEED_BYTES];
	unsigned char public_key[PUBLIC_BYTES];
	unsigned char pair[crypto_sign_SECRETKEYBYTES];
	buf_init(id, AUTH_SIGNING_ID_MAX);
	randombytes_buf(secret, sizeof secret);
	if (kind == AUTH_SIGNING_WEBHOOK) {
		crypto_sign_seed_keypair(public_key, pair, secret);
		sodium_memzero(pair, sizeof pair);
		name_webhook_key(public_key, id);
	} else {
		id_append_base64url(id, 9);
	}
	db_params_init(&p);
	db_param_str(&p, buf_str(id));
	db_param_i32(&p, (int32_t)kind);
	db_param_str(&p, (str){(const char *)secret, sizeof secret});
	if (kind == AUTH_SIGNING_WEBHOOK) {
		db_param_str(&p, (str){(const char *)public_key, sizeof public_key});
	} else {
		db_param_null(&p);
	}
	bool ok = id->failed ? err_set(e, ERR_NO_MEMORY, "out of memory") : db_do(conn, &SQL_SIGNING_INSERT, &p, NULL, e);
	sodium_memzero(secret, sizeof secret);
	return ok;
}

/* ---- reading them ---- */

/* False: not a key that this version understands. */
static bool read_key(const db_result *r, int row, signing_key *out)
{
	str id = db_str(r, row, 0);
	int32_t kind = db_i32(r, row, 1);
	str secret = db_str(r, row, 2);
	str public_key = db_str(r, row, 3);
	if (id.len == 0 || id.len > AUTH_SIGNING_ID_MAX || kind < 0 || kind >= (int32_t)AUTH_SIGNING_KINDS ||
		secret.len != SEED_BYTES || (kind == AUTH_SIGNING_WEBHOOK && public_key.len != PUBLIC_BYTES)) {
		return false;
	}
	*out = (signing_key){.kind = (auth_signing_kind)kind, .is_retired = !db_is_null(r, row, 4)};
	memcpy(out->id, id.ptr, id.len);
	memcpy(out->secret, secret.ptr, SEED_BYTES);
	if (kind == AUTH_SIGNING_WEBHOOK) {
		memcpy(out->public_key, public_key.ptr, PUBLIC_BYTES);
	}
	return true;
}

/* *missing: bits of the kinds that nobody can sign with. */
static bool read_keys(auth_signing *s, db_conn *conn, uint32_t *missing, err *e)
{
	db_params p;
	db_result *r = NULL;
	db_params_init(&p);
	db_param_i64(&p, AUTH_SIGNING_WINDOW_MS);
	if (!db_run(conn, &SQL_SIGNING_LIST, &p, &r, e)) {
		return false;
	}
	*missing = (1U << AUTH_SIGNING_KINDS) - 1;
	pthread_mutex_lock(&s->lock);
	s->count = 0;
	for (int row = 0; row < db_rows(r) && s->count < AUTH_SIGNING_KEYS_MAX; row++) {
		signing_key *k = &s->keys[s->count];
		if (read_key(r, row, k)) {
			s->count++;
			*missing &= k->is_retired ? ~0U : ~(1U << k->kind);
		}
	}
	if (*missing == 0) {
		s->read_ms = clock_now_ms();
	}
	pthread_mutex_unlock(&s->lock);
	db_result_free(r);
	return true;
}

static bool make_missing(auth_signing *s, db_conn *conn, err *e)
{
	uint32_t missing = 0;
	bool ok = db_begin(conn, e) && db_do(conn, &SQL_SIGNING_LOCK, NULL, NULL, e) && read_keys(s, conn, &missing, e);
	for (int kind = 0; ok && kind < (int)AUTH_SIGNING_KINDS; kind++) {
		if ((missing & 1U << kind) != 0) {
			buf id;
			ok = insert(conn, (auth_signing_kind)kind, &id, e);
			buf_dispose(&id);
		}
	}
	if (!ok || !db_commit(conn, e)) {
		db_rollback(conn);
		return err_frame(e, "auth_signing_ready");
	}
	return read_keys(s, conn, &missing, e);
}

static bool is_fresh(auth_signing *s, int64_t age_ms)
{
	pthread_mutex_lock(&s->lock);
	bool fresh = s->read_ms != 0 && clock_now_ms() - s->read_ms <= age_ms;
	pthread_mutex_unlock(&s->lock);
	return fresh;
}

static bool refresh(auth_signing *s, db_conn *conn, err *e)
{
	uint32_t missing = 0;
	return read_keys(s, conn, &missing, e) && (missing == 0 || make_missing(s, conn, e));
}

bool auth_signing_ready(auth_signing *s, db_conn *conn, err *e)
{
	return is_fresh(s, AUTH_SIGNING_CACHE_MS) || refresh(s, conn, e);
}

/* Caller holds the lock. NULL: there is none. */
static const signing_key *find(const auth_signing *s, auth_signing_kind kind, str id)
{
	for (size_t i = 0; i < s->count; i++) {
		const signing_key *k = &s->keys[i];
		if (k->kind == kind && (id.ptr != NULL ? str_equal(id, str_from_c(k->id)) : !k->is_retired)) {
			return k;
		}
	}
	return NULL;
}

bool auth_signing_ready_for(auth_signing *s, db_conn *conn, str key_id, err *e)
{
	if (!auth_signing_ready(s, conn, e)) {
		return false;
	}
	pthread_mutex_lock(&s->lock);
	bool known = find(s, AUTH_SIGNING_TOKEN, key_id) != NULL;
	pthread_mutex_unlock(&s->lock);
	return known || is_fresh(s, LOOK_AGAIN_MS) || refresh(s, conn, e);
}

/* ---- replacing them ---- */

static bool retire_all(db_conn *conn, int64_t overlap_ms, err *e)
{
	db_params p;
	db_params_init(&p);
	db_param_i64(&p, AUTH_SIGNING_WINDOW_MS);
	db_param_i64(&p, overlap_ms);
	return db_do(conn, &SQL_SIGNING_RETIRE, &p, NULL, e);
}

static bool write_audit(db_conn *conn, const auth_actor *by, const buf ids[AUTH_SIGNING_KINDS], int64_t overlap_ms,
						err *e)
{
	buf detail;
	buf_init(&detail, JWK_MAX);
	buf_printf(&detail, "{\"webhook_key\":\"%.*s\",\"token_key\":\"%.*s\",\"overlap_ms\":%" PRId64 "}",
			   STR_ARG(buf_str(&ids[AUTH_SIGNING_WEBHOOK])), STR_ARG(buf_str(&ids[AUTH_SIGNING_TOKEN])), overlap_ms);
	const auth_audit row = {.actor = by->name,
							.tenant = STR("default"),
							.act = STR("signing.rotate"),
							.object = buf_str(&ids[AUTH_SIGNING_WEBHOOK]),
							.detail = buf_str(&detail)};
	bool ok = detail.failed ? err_set(e, ERR_NO_MEMORY, "out of memory")
							: auth_audit_write(conn, AUTH_DEFAULT_TENANT_ID, &row, e);
	buf_dispose(&detail);
	return ok;
}

bool auth_signing_rotate(db_conn *conn, const auth_actor *by, int64_t overlap_ms, err *e)
{
	buf ids[AUTH_SIGNING_KINDS] = {0};
	if (overlap_ms < 0 || overlap_ms > AUTH_SIGNING_WINDOW_MS) {
		return err_set(e, ERR_INVALID_REQUEST, "signing keys overlap for a day at most; ask for 24h or less");
	}
	bool ok = db_conn_ensure(conn, e) && db_begin(conn, e) && db_do(conn, &SQL_SIGNING_LOCK, NULL, NULL, e) &&
			  retire_all(conn, overlap_ms, e);
	for (int kind = 0; ok && kind < (int)AUTH_SIGNING_KINDS; kind++) {
		ok = insert(conn, (auth_signing_kind)kind, &ids[kind], e);
	}
	ok = ok && write_audit(conn, by, ids, overlap_ms, e) && db_commit(conn, e);
	if (!ok) {
		db_rollback(conn);
	}
	for (int kind = 0; kind < (int)AUTH_SIGNING_KINDS; kind++) {
		buf_dispose(&ids[kind]);
	}
	return ok;
}

/* ---- using them ---- */

/* A copy of the key that signs now. */
static bool current(auth_signing *s, auth_signing_kind kind, signing_key *out, err *e)
{
	pthread_mutex_lock(&s->lock);
	const signing_key *k = find(s, kind, STR_NONE);
	if (k != NULL) {
		*out = *k;
	}
	pthread_mutex_unlock(&s->lock);
	return k != NULL || err_set(e, ERR_UNAVAILABLE, "the signing keys are not known yet; try again");
}

bool auth_signing_id(auth_signing *s, auth_signing_kind kind, buf *out, err *e)
{
	signing_key k;
	if (!current(s, kind, &k, e)) {
		return false;
	}
	buf_append_str(out, str_from_c(k.id));
	sodium_memzero(&k, sizeof k);
	return true;
}

bool auth_signing_sign(auth_signing *s, str bytes, buf *id, unsigned char signature[AUTH_SIGNATURE_BYTES], err *e)
{
	signing_key k;
	unsigned char public_key[PUBLIC_BYTES];
	unsigned char pair[crypto_sign_SECRETKEYBYTES];
	if (!current(s, AUTH_SIGNING_WEBHOOK, &k, e)) {
		return false;
	}
	crypto_sign_seed_keypair(public_key, pair, k.secret);
	crypto_sign_detached(signature, NULL, (const unsigned char *)bytes.ptr, bytes.len, pair);
	buf_append_str(id, str_from_c(k.id));
	sodium_memzero(pair, sizeof pair);
	sodium_memzero(&k, sizeof k);
	return true;
}

bool auth_signing_mac(auth_signing *s, str key_id, str bytes, unsigned char mac[AUTH_MAC_BYTES])
{
	pthread_mutex_lock(&s->lock);
	const signing_key *k = key_id.ptr != NULL ? find(s, AUTH_SIGNING_TOKEN, key_id) : NULL;
	if (k != NULL) {
		crypto_auth_hmacsha256(mac, (const unsigned char *)bytes.ptr, bytes.len, k->secret);
	}
	pthread_mutex_unlock(&s->lock);
	return k != NULL;
}

bool auth_mac_equal(const unsigned char mac[AUTH_MAC_BYTES], str other)
{
	return other.len == AUTH_MAC_BYTES && sodium_memcmp(mac, other.ptr, AUTH_MAC_BYTES) == 0;
}

void auth_signing_write_jwks(auth_signing *s, buf *out)
{
	bool is_first = true;
	buf_append_str(out, STR("{\"keys\":["));
	pthread_mutex_lock(&s->lock);
	for (size_t i = 0; i < s->count; i++) {
		const signing_key *k = &s->keys[i];
		if (k->kind != AUTH_SIGNING_WEBHOOK) {
			continue;
		}
		buf_append_str(out, is_first ? STR("{") : STR(",{"));
		append_public_members(out, k->public_key);
		buf_printf(out, ",\"kid\":\"%s\",\"use\":\"sig\",\"alg\":\"EdDSA\"}", k->id);
		is_first = false;
	}
	pthread_mutex_unlock(&s->lock);
	buf_append_str(out, STR("]}"));
}
