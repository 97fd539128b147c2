#include "auth/key.h"

#include <check.h>

#include "suite.h"

static auth_key made;

static void make(void)
{
	err e;
	ck_assert(auth_key_generate(&made, &e));
}

static str text(void)
{
	return (str){made.text, AUTH_KEY_LENGTH};
}

START_TEST(a_new_key_parses_and_names_its_id)
{
	str id;
	make();
	ck_assert_uint_eq(strlen(made.text), AUTH_KEY_LENGTH);
	ck_assert_int_eq(auth_key_parse(text(), &id), AUTH_KEY_GOOD);
	ck_assert(str_equal(id, str_from_c(made.id)));
	ck_assert(auth_key_id_is_valid(id));
}
END_TEST

START_TEST(a_double_click_selects_the_whole_key)
{
	make();
	for (size_t i = 0; i < AUTH_KEY_LENGTH; i++) {
		char c = made.text[i];
		ck_assert(c == '_' || (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z'));
	}
}
END_TEST

/* So that whoever writes a scanner from the description agrees with us. The checksum is crc32 of zlib, in base62. */
START_TEST(the_checksum_is_the_documented_one)
{
	str id;
	str good = STR("tg_000000000000_00000000000000000000000000000000_2tCSgW");
	ck_assert_int_eq(auth_key_parse(good, &id), AUTH_KEY_GOOD);
	ck_assert(str_equal(id, STR("000000000000")));
}
END_TEST

START_TEST(every_wrong_character_is_a_typo)
{
	str id;
	make();
	for (size_t i = 3; i < AUTH_KEY_LENGTH; i++) {
		char was = made.text[i];
		if (was != '_') {
			made.text[i] = was == 'x' ? 'y' : 'x';
			ck_assert_msg(auth_key_parse(text(), &id) == AUTH_KEY_TYPO, "at %zu", i);
			made.text[i] = was;
		}
	}
}
END_TEST

START_TEST(two_exchanged_characters_are_a_typo)
{
	str id;
	make();
	for (size_t i = 16; i + 1 < 16 + AUTH_KEY_SECRET_LENGTH; i++) {
		char first = made.text[i];
		if (first != made.text[i + 1]) {
			made.text[i] = made.text[i + 1];
			made.text[i + 1] = first;
			ck_assert_int_eq(auth_key_parse(text(), &id), AUTH_KEY_TYPO);
			made.text[i + 1] = made.text[i];
			made.text[i] = first;
		}
	}
}
END_TEST

static const char *const MALFORMED[] = {
	"",
	"tg_",
	"hello",
	"tg_000000000000_00000000000000000000000000000000_2tCSg",
	"tg_000000000000_00000000000000000000000000000000_2tCSgW0",
	"tg_00000000000_000000000000000000000000000000000_2tCSgW",
	"tg_000000000000_0000000000000000000000000000000_02tCSgW",
	"TG_000000000000_00000000000000000000000000000000_2tCSgW",
	"tg-000000000000-00000000000000000000000000000000-2tCSgW",
	"tg_00000000000-_00000000000000000000000000000000_2tCSgW",
	"tg_000000000000_0000000000000000_000000000000000_2tCSgW",
	"tg_000000000000_00000000000000000000000000000000_2tCSg\n",
	"tg_000000000000_00000000000000000000000000000000 2tCSgW",
};

START_TEST(other_forms_are_malformed)
{
	for (size_t i = 0; i < sizeof MALFORMED / sizeof MALFORMED[0]; i++) {
		str id = STR("untouched");
		ck_assert_int_eq(auth_key_parse(str_from_c(MALFORMED[i]), &id), AUTH_KEY_MALFORMED);
		ck_assert(str_equal(id, STR("untouched")));
	}
}
END_TEST

START_TEST(a_nul_inside_is_malformed)
{
	str id;
	make();
	made.text[30] = '\0';
	ck_assert_int_eq(auth_key_parse(text(), &id), AUTH_KEY_MALFORMED);
}
END_TEST

START_TEST(the_hash_proves_id_and_secret_and_nothing_else)
{
	uint8_t hash[AUTH_KEY_HASH_BYTES];
	make();
	str stored = {(const char *)made.hash, sizeof made.hash};
	auth_key_hash(text(), hash);
	ck_assert(auth_key_hash_equal(hash, stored));
	made.text[5] ^= 1; /* the id */
	auth_key_hash(text(), hash);
	ck_assert(!auth_key_hash_equal(hash, stored));
	made.text[5] ^= 1;
	made.text[30] ^= 1; /* the secret */
	auth_key_hash(text(), hash);
	ck_assert(!auth_key_hash_equal(hash, stored));
	ck_assert(!auth_key_hash_equal(made.hash, str_take(stored, sizeof made.hash - 1)));
	ck_assert(!auth_key_hash_equal(made.hash, STR_NONE));
}
END_TEST

START_TEST(keys_differ_in_id_and_secret)
{
	auth_key other;
	err e;
	make();
	ck_assert(auth_key_generate(&other, &e));
	ck_assert_str_ne(made.id, other.id);
	ck_assert_int_ne(memcmp(made.text + 16, other.text + 16, AUTH_KEY_SECRET_LENGTH), 0);
}
END_TEST

START_TEST(a_wiped_key_is_gone)
{
	static const auth_key ZERO;
	make();
	auth_key_wipe(&made);
	ck_assert_mem_eq(&made, &ZERO, sizeof made);
}
END_TEST

START_TEST(ids_are_told_from_other_words)
{
	ck_assert(auth_key_id_is_valid(STR("0123456789aZ")));
	ck_assert(!auth_key_id_is_valid(STR("0123456789a")));
	ck_assert(!auth_key_id_is_valid(STR("0123456789aZ0")));
	ck_assert(!auth_key_id_is_valid(STR("0123456789a%")));
	ck_assert(!auth_key_id_is_valid(STR_NONE));
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		a_new_key_parses_and_names_its_id,   a_double_click_selects_the_whole_key,
		the_checksum_is_the_documented_one,  every_wrong_character_is_a_typo,
		two_exchanged_characters_are_a_typo, other_forms_are_malformed,
		a_nul_inside_is_malformed,           the_hash_proves_id_and_secret_and_nothing_else,
		keys_differ_in_id_and_secret,        a_wiped_key_is_gone,
		ids_are_told_from_other_words,
	};
	return SUITE_RUN("auth/key", tests);
}
