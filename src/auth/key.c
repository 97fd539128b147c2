#include "auth/key.h"

#include <sodium.h>
#include <string.h>

static const char DIGITS[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

enum { BASE = 62, HASHED_LENGTH = AUTH_KEY_LENGTH - 1 - AUTH_KEY_CHECKSUM_LENGTH };

/* IEEE 802.3, reflected: crc32 of zlib, and of everyone else. */
static uint32_t crc32_ieee(str bytes)
{
	uint32_t crc = ~(uint32_t)0;
	for (size_t i = 0; i < bytes.len; i++) {
		crc ^= (uint8_t)bytes.ptr[i];
		for (int bit = 0; bit < 8; bit++) {
			crc = (crc >> 1) ^ (0xEDB88320U & (0U - (crc & 1U)));
		}
	}
	return ~crc;
}

static void put_checksum(str hashed, char out[AUTH_KEY_CHECKSUM_LENGTH])
{
	uint32_t rest = crc32_ieee(hashed);
	for (size_t i = AUTH_KEY_CHECKSUM_LENGTH; i > 0; i--) {
		out[i - 1] = DIGITS[rest % BASE];
		rest /= BASE;
	}
}

static void put_random(char *out, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		out[i] = DIGITS[randombytes_uniform(BASE)];
	}
}

static bool is_base62(str text)
{
	for (size_t i = 0; i < text.len; i++) {
		char c = text.ptr[i];
		if (!((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z'))) {
			return false;
		}
	}
	return true;
}

bool auth_key_generate(auth_key *out, err *e)
{
	if (sodium_init() < 0) {
		return err_set(e, ERR_INTERNAL, "libsodium cannot be used on this machine");
	}
	memset(out, 0, sizeof *out);
	put_random(out->id, AUTH_KEY_ID_LENGTH);
	char *at = out->text;
	memcpy(at, "tg_", 3);
	memcpy(at + 3, out->id, AUTH_KEY_ID_LENGTH);
	at += 3 + AUTH_KEY_ID_LENGTH;
	*at++ = '_';
	put_random(at, AUTH_KEY_SECRET_LENGTH);
	at += AUTH_KEY_SECRET_LENGTH;
	*at++ = '_';
	put_checksum((str){out->text, HASHED_LENGTH}, at);
	auth_key_hash((str){out->text, AUTH_KEY_LENGTH}, out->hash);
	return true;
}

void auth_key_wipe(auth_key *key)
{
	sodium_memzero(key, sizeof *key);
}

auth_key_form auth_key_parse(str text, str *id)
{
	char checksum[AUTH_KEY_CHECKSUM_LENGTH];
	str id_part;
	str secret;
	str check;
	if (text.len != AUTH_KEY_LENGTH || !str_starts_with(text, AUTH_KEY_PREFIX) ||
		!str_split(str_skip(text, 3), '_', &id_part, &secret) || !str_split(secret, '_', &secret, &check) ||
		id_part.len != AUTH_KEY_ID_LENGTH || secret.len != AUTH_KEY_SECRET_LENGTH || !is_base62(id_part) ||
		!is_base62(secret) || !is_base62(check)) {
		return AUTH_KEY_MALFORMED;
	}
	put_checksum(str_take(text, HASHED_LENGTH), checksum);
	if (!str_equal(check, (str){checksum, sizeof checksum})) {
		return AUTH_KEY_TYPO;
	}
	*id = id_part;
	return AUTH_KEY_GOOD;
}

void auth_key_hash(str text, uint8_t hash[AUTH_KEY_HASH_BYTES])
{
	crypto_generichash(hash, AUTH_KEY_HASH_BYTES, (const unsigned char *)text.ptr, HASHED_LENGTH, NULL, 0);
}

bool auth_key_hash_equal(const uint8_t hash[AUTH_KEY_HASH_BYTES], str stored)
{
	return stored.len == AUTH_KEY_HASH_BYTES && sodium_memcmp(hash, stored.ptr, AUTH_KEY_HASH_BYTES) == 0;
}

bool auth_key_id_is_valid(str id)
{
	return id.len == AUTH_KEY_ID_LENGTH && is_base62(id);
}
