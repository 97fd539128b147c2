#include "auth/jwt_keys.h"

#include "base/clock.h"
#include "base/file_state.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <pthread.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LOOK_MS = 1000, EC_COORDINATE_BYTES = 32, NUMBER_BYTES_MAX = 1024, RSA_BITS_MIN = 2048, GROUP_NAME_MAX = 32 };

typedef struct counted_set {
	jwt_key_set set;   /* first */
	size_t references; /* under the lock */
} counted_set;

struct jwt_keys {
	slog *log;
	size_t file_count;
	char *files[JWT_FILES_MAX];
	pthread_mutex_t lock;
	file_state states[JWT_FILES_MAX];
	int64_t next_look_ms;
	counted_set *current;
};

/* ---- sets ---- */

static void set_free(counted_set *s)
{
	if (s == NULL) {
		return;
	}
	for (size_t i = 0; i < s->set.count; i++) {
		sodium_memzero(s->set.keys[i].material, s->set.keys[i].bytes);
		free(s->set.keys[i].material);
		free(s->set.keys[i].kid);
	}
	free(s);
}

static bool add_key(jwt_key_set *set, jwt_algorithm algorithm, const char *kid, const char *bytes, size_t len, err *e)
{
	if (set->count == JWT_KEYS_MAX) {
		return err_set(e, ERR_INVALID_REQUEST, "there may be %d keys in all", (int)JWT_KEYS_MAX);
	}
	jwt_key key = {.algorithm = algorithm, .kid = strdup(kid), .material = malloc(len + 1), .bytes = len};
	if (key.kid == NULL || key.material == NULL) {
		free(key.kid);
		free(key.material);
		return err_set(e, ERR_NO_MEMORY, "out of memory");
	}
	memcpy(key.material, bytes, len);
	key.material[len] = '\0';
	set->keys[set->count++] = key;
	return true;
}

static bool add_secret(jwt_key_set *set, const char *kid, const char *bytes, size_t len, err *e)
{
	if (len < JWT_SECRET_BYTES_MIN) {
		return err_set(e, ERR_INVALID_REQUEST, "a shared secret needs %d bytes or more", (int)JWT_SECRET_BYTES_MIN);
	}
	return add_key(set, JWT_HS256, kid, bytes, len, e);
}

/* ---- public keys ---- */

static bool judge_public_key(const EVP_PKEY *key, jwt_algorithm *out, err *e)
{
	char group[GROUP_NAME_MAX] = "";
	if (EVP_PKEY_is_a(key, "RSA")) {
		*out = JWT_RS256;
		return EVP_PKEY_get_bits(key) >= RSA_BITS_MIN ||
			   err_set(e, ERR_INVALID_REQUEST, "an RSA key needs %d bits or more", (int)RSA_BITS_MIN);
	}
	*out = JWT_ES256;
	bool is_p256 = EVP_PKEY_is_a(key, "EC") && EVP_PKEY_get_group_name(key, group, sizeof group, NULL) == 1 &&
				   (strcmp(group, "prime256v1") == 0 || strcmp(group, "P-256") == 0);
	return is_p256 || err_set(e, ERR_INVALID_REQUEST, "a public key is RSA or EC on P-256");
}

static bool add_public_key(jwt_key_set *set, const char *kid, const EVP_PKEY *key, err *e)
{
	jwt_algorithm algorithm;
	char *pem = NULL;
	bool ok = false;
	BIO *out = BIO_new(BIO_s_mem());
	if (!judge_public_key(key, &algorithm, e)) {
		goto out;
	}
	if (out == NULL || PEM_write_bio_PUBKEY(out, key) != 1) {
		err_set(e, ERR_NO_MEMORY, "out of memory");
		goto out;
	}
	long bytes = BIO_get_mem_data(out, &pem);
	ok = add_key(set, algorithm, kid, pem, (size_t)bytes, e);
out:
	BIO_free(out);
	return ok;
}

static bool read_pem(jwt_key_set *set, const char *bytes, size_t len, err *e)
{
	bool ok = false;
	EVP_PKEY *key = NULL;
	BIO *in = BIO_new_mem_buf(bytes, (int)len);
	if (in != NULL && strstr(bytes, "BEGIN CERTIFICATE") != NULL) {
		X509 *certificate = PEM_read_bio_X509(in, NULL, NULL, NULL);
		key = certificate != NULL ? X509_get_pubkey(certificate) : NULL;
		X509_free(certificate);
	} else if (in != NULL) {
		key = PEM_read_bio_PUBKEY(in, NULL, NULL, NULL);
	}
	if (key == NULL) {
		err_set(e, ERR_INVALID_REQUEST, "it is no PEM public key or certificate");
	} else {
		ok = add_public_key(set, "", key, e);
	}
	EVP_PKEY_free(key);
	BIO_free(in);
	return ok;
}

/* ---- JWK sets ---- */

/* The bytes of a base64url member; 0: absent or malformed. */
static size_t decode_member(const json_t *jwk, const char *name, unsigned char *out, size_t most)
{
	const char *text = json_string_value(json_object_get(jwk, name));
	size_t len = 0;
	if (text == NULL || sodium_base642bin(out, most, text, strlen(text), NULL, &len, NULL,
										  sodium_base64_VARIANT_URLSAFE_NO_PADDING) != 0) {
		return 0;
	}
	return len;
}

static EVP_PKEY *build(const char *type, OSSL_PARAM_BLD *fields)
{
	EVP_PKEY *key = NULL;
	OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(fields);
	EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
	if (params == NULL || context == NULL || EVP_PKEY_fromdata_init(context) != 1 ||
		EVP_PKEY_fromdata(context, &key, EVP_PKEY_PUBLIC_KEY, params) != 1) {
		key = NULL;
	}
	EVP_PKEY_CTX_free(context);
	OSSL_PARAM_free(params);
	return key;
}

static EVP_PKEY *build_rsa(const json_t *jwk)
{
	unsigned char modulus[NUMBER_BYTES_MAX];
	unsigned char exponent[NUMBER_BYTES_MAX];
	size_t modulus_bytes = decode_member(jwk, "n", modulus, sizeof modulus);
	size_t exponent_bytes = decode_member(jwk, "e", exponent, sizeof exponent);
	if (modulus_bytes == 0 || exponent_bytes == 0) {
		return NULL;
	}
	EVP_PKEY *key = NULL;
	BIGNUM *n = BN_bin2bn(modulus, (int)modulus_bytes, NULL);
	BIGNUM *e = BN_bin2bn(exponent, (int)exponent_bytes, NULL);
	OSSL_PARAM_BLD *fields = OSSL_PARAM_BLD_new();
	if (n != NULL && e != NULL && fields != NULL && OSSL_PARAM_BLD_push_BN(fields, OSSL_PKEY_PARAM_RSA_N, n) == 1 &&
		OSSL_PARAM_BLD_push_BN(fields, OSSL_PKEY_PARAM_RSA_E, e) == 1) {
		key = build("RSA", fields);
	}
	OSSL_PARAM_BLD_free(fields);
	BN_free(n);
	BN_free(e);
	return key;
}

static EVP_PKEY *build_ec(const json_t *jwk)
{
	unsigned char point[1 + 2 * EC_COORDINATE_BYTES] = {0x04}; /* uncompressed */
	const char *curve = json_string_value(json_object_get(jwk, "crv"));
	if (curve == NULL || strcmp(curve, "P-256") != 0 ||
		decode_member(jwk, "x", point + 1, EC_COORDINATE_BYTES) != EC_COORDINATE_BYTES ||
		decode_member(jwk, "y", point + 1 + EC_COORDINATE_BYTES, EC_COORDINATE_BYTES) != EC_COORDINATE_BYTES) {
		return NULL;
	}
	EVP_PKEY *key = NULL;
	OSSL_PARAM_BLD *fields = OSSL_PARAM_BLD_new();
	if (fields != NULL && OSSL_PARAM_BLD_push_utf8_string(fields, OSSL_PKEY_PARAM_GROUP_NAME, "prime256v1", 0) == 1 &&
		OSSL_PARAM_BLD_push_octet_string(fields, OSSL_PKEY_PARAM_PUB_KEY, point, sizeof point) == 1) {
		key = build("EC", fields);
	}
	OSSL_PARAM_BLD_free(fields);
	return key;
}

static bool is_absent_or(const json_t *jwk, const char *member, const char *value)
{
	const char *text = json_string_value(json_object_get(jwk, member));
	return text == NULL || strcmp(text, value) == 0;
}

/* Keys for other purposes or algorithms are passed over: a set may serve others, too. */
static bool add_jwk(jwt_key_set *set, const json_t *jwk, err *e)
{
	const char *type = json_string_value(json_object_get(jwk, "kty"));
	const char *kid = json_string_value(json_object_get(jwk, "kid"));
	unsigned char secret[NUMBER_BYTES_MAX];
	kid = kid != NULL ? kid : "";
	if (type == NULL || !is_absent_or(jwk, "use", "sig")) {
		return true;
	}
	if (strcmp(type, "oct") == 0 && is_absent_or(jwk, "alg", "HS256")) {
		size_t len = decode_member(jwk, "k", secret, sizeof secret);
		bool ok = add_secret(set, kid, (const char *)secret, len, e);
		sodium_memzero(secret, sizeof secret);
		return ok;
	}
	EVP_PKEY *key = NULL;
	if (strcmp(type, "RSA") == 0 && is_absent_or(jwk, "alg", "RS256")) {
		key = build_rsa(jwk);
	} else if (strcmp(type, "EC") == 0 && is_absent_or(jwk, "alg", "ES256")) {
		key = build_ec(jwk);
	} else {
		return true;
	}
	bool ok = key != NULL ? add_public_key(set, kid, key, e)
						  : err_set(e, ERR_INVALID_REQUEST, "the key \"%.64s\" of the set is malformed", kid);
	EVP_PKEY_free(key);
	return ok;
}

static bool read_jwks(jwt_key_set *set, const char *bytes, size_t len, err *e)
{
	json_error_t problem;
	json_t *root = json_loadb(bytes, len, JSON_REJECT_DUPLICATES, &problem);
	const json_t *list = json_object_get(root, "keys");
	bool ok = json_is_array(list);
	if (!ok) {
		err_set(e, ERR_INVALID_REQUEST, "it is no JWK set: {\"keys\":[…]}");
	}
	for (size_t i = 0; ok && i < json_array_size(list); i++) {
		ok = add_jwk(set, json_array_get(list, i), e);
	}
	json_decref(root);
	return ok;
}

/* ---- files ---- */

static bool ends_with(const char *path, const char *ending)
{
	size_t path_len = strlen(path);
	size_t len = strlen(ending);
	return path_len >= len && strcmp(path + path_len - len, ending) == 0;
}

/* The file's bytes with a NUL behind them; malloc'd. */
static char *read_file(const char *path, size_t *len, err *e)
{
	char *bytes = malloc(JWT_FILE_BYTES_MAX + 1);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t got = 0;
	*len = 0;
	if (bytes == NULL || fd < 0) {
		err_set(e, ERR_INVALID_REQUEST, "%s", strerror(errno));
		goto fail;
	}
	while (*len <= JWT_FILE_BYTES_MAX && (got = read(fd, bytes + *len, JWT_FILE_BYTES_MAX + 1 - *len)) > 0) {
		*len += (size_t)got;
	}
	if (got < 0 || *len > JWT_FILE_BYTES_MAX) {
		err_set(e, ERR_INVALID_REQUEST, "it cannot be read, or is larger than %d bytes", (int)JWT_FILE_BYTES_MAX);
		goto fail;
	}
	close(fd);
	bytes[*len] = '\0';
	return bytes;
fail:
	if (fd >= 0) {
		close(fd);
	}
	free(bytes);
	return NULL;
}

static bool read_keys(jwt_key_set *set, const char *path, err *e)
{
	size_t len;
	char *bytes = read_file(path, &len, e);
	bool ok = bytes != NULL;
	if (ok && (ends_with(path, ".json") || ends_with(path, ".jwks"))) {
		ok = read_jwks(set, bytes, len, e);
	} else if (ok && ends_with(path, ".secret")) {
		str secret = {bytes, len};
		while (secret.len > 0 && (secret.ptr[secret.len - 1] == '\n' || secret.ptr[secret.len - 1] == '\r')) {
			secret.len--;
		}
		ok = add_secret(set, "", secret.ptr, secret.len, e);
	} else if (ok) {
		ok = read_pem(set, bytes, len, e);
	}
	if (bytes != NULL) {
		sodium_memzero(bytes, len);
		free(bytes);
	}
	return ok;
}

static counted_set *read_all(const jwt_keys *k, err *e)
{
	counted_set *s = calloc(1, sizeof *s);
	bool ok = s != NULL || err_set(e, ERR_NO_MEMORY, "out of memory");
	for (size_t i = 0; ok && i < k->file_count; i++) {
		err why;
		ok = read_keys(&s->set, k->files[i], &why);
		if (!ok) {
			err_set(e, why.code, "the key file %s: %s", k->files[i], why.message);
		}
	}
	if (!ok) {
		set_free(s);
		return NULL;
	}
	s->references = 1;
	return s;
}

/* Caller holds the lock. */
static bool note_changes(jwt_keys *k)
{
	bool has_changed = false;
	for (size_t i = 0; i < k->file_count; i++) {
		has_changed = file_state_note(&k->states[i], k->files[i]) || has_changed;
	}
	return has_changed;
}

/* Caller holds the lock. */
static void drop(counted_set *s)
{
	if (s != NULL && --s->references == 0) {
		set_free(s);
	}
}

/* Caller holds the lock. */
static void reload(jwt_keys *k)
{
	err e;
	counted_set *fresh = read_all(k, &e);
	if (fresh == NULL) {
		slog_err(k->log, SLOG_ERROR, "auth", "token keys were not read again; the ones before stay in force", &e);
		return;
	}
	drop(k->current);
	k->current = fresh;
	SLOG(k->log, SLOG_INFO, "auth", "token keys were read again", F_INT("keys", fresh->set.count));
}

const jwt_key_set *jwt_keys_take(jwt_keys *k)
{
	int64_t now_ms = clock_now_ms();
	pthread_mutex_lock(&k->lock);
	if (now_ms >= k->next_look_ms) {
		k->next_look_ms = now_ms + LOOK_MS;
		if (note_changes(k)) {
			reload(k);
		}
	}
	counted_set *s = k->current;
	s->references++;
	pthread_mutex_unlock(&k->lock);
	return &s->set;
}

void jwt_keys_give_back(jwt_keys *k, const jwt_key_set *set)
{
	pthread_mutex_lock(&k->lock);
	/* The set is the first member of what was taken. */
	drop((counted_set *)(uintptr_t)set);
	pthread_mutex_unlock(&k->lock);
}

/* ---- life ---- */

static bool split_files(jwt_keys *k, str files, err *e)
{
	str rest = files;
	while (rest.len > 0) {
		str path;
		str_split(rest, ',', &path, &rest);
		path = str_trim(path);
		if (path.len == 0) {
			continue;
		}
		if (k->file_count == JWT_FILES_MAX) {
			return err_set(e, ERR_INVALID_REQUEST, "there may be %d files of token keys", (int)JWT_FILES_MAX);
		}
		k->files[k->file_count] = strndup(path.ptr, path.len);
		if (k->files[k->file_count++] == NULL) {
			return err_set(e, ERR_NO_MEMORY, "out of memory");
		}
	}
	return true;
}

bool jwt_keys_new(str files, slog *log, jwt_keys **out, err *e)
{
	jwt_keys *k = calloc(1, sizeof *k);
	if (k == NULL) {
		return err_set(e, ERR_NO_MEMORY, "out of memory");
	}
	k->log = log;
	pthread_mutex_init(&k->lock, NULL);
	if (!split_files(k, files, e)) {
		jwt_keys_free(k);
		return false;
	}
	(void)note_changes(k);
	k->next_look_ms = clock_now_ms() + LOOK_MS;
	k->current = read_all(k, e);
	if (k->current == NULL) {
		jwt_keys_free(k);
		return false;
	}
	*out = k;
	return true;
}

void jwt_keys_free(jwt_keys *k)
{
	if (k != NULL) {
		drop(k->current);
		for (size_t i = 0; i < k->file_count; i++) {
			free(k->files[i]);
		}
		pthread_mutex_destroy(&k->lock);
		free(k);
	}
}
