#include "base/siphash.h"
#include "suite.h"

/* The wire contract: clients in other languages place a key on the same partition. */
typedef struct vector {
	str key;
	uint64_t hash;
	uint32_t partition[6]; /* of 2, 3, 4, 5, 16, 100 */
} vector;

static const uint32_t counts[6] = {2, 3, 4, 5, 16, 100};

static const vector vectors[] = {
	{{"", 0}, 0xe849e8bb6ffe2567, {1, 2, 3, 4, 7, 19}},
	{{"1", 1}, 0x61580903e47368e6, {0, 1, 2, 4, 6, 34}},
	{{"2", 1}, 0xa7de8d28328e8c96, {0, 2, 2, 2, 6, 2}},
	{{"3", 1}, 0x64a20f97086eeda2, {0, 0, 2, 0, 2, 30}},
	{{"4", 1}, 0x519a590c490ead91, {1, 0, 1, 1, 1, 61}},
	{{"8", 1}, 0x144af4ad484232ff, {1, 0, 3, 4, 15, 99}},
	{{"a", 1}, 0xfeb15081b68ca86b, {1, 1, 3, 2, 11, 87}},
	{{"rafael", 6}, 0xd71649290711ca56, {0, 0, 2, 3, 6, 78}},
	{{"samuel", 6}, 0xf4a330467079ad99, {1, 1, 1, 4, 9, 69}},
	{{"tabitha", 7}, 0x8bd215568451dccb, {1, 0, 3, 2, 11, 67}},
	{{"user-123", 8}, 0x8590a70f377cd237, {1, 0, 3, 3, 7, 43}},
	{{"user-456", 8}, 0x16ed48024288cc03, {1, 1, 3, 2, 3, 7}},
	{{"\xD0\xBA\xD0\xBB\xD1\x8E\xD1\x87", 8}, 0x92cd3338e703169d, {1, 1, 1, 1, 13, 81}},
	{{"0123456789abcdef", 16}, 0xc4d0363f590e0c1b, {1, 0, 3, 3, 11, 83}},
	{{"\x00\xFF\x80\x0A", 4}, 0xb0f7aedb51f4f2c7, {1, 1, 3, 2, 7, 47}},
};

START_TEST(hash_agrees_with_the_published_vectors)
{
	for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++) {
		ck_assert_msg(siphash_key(vectors[i].key) == vectors[i].hash, "vector %zu", i);
	}
}
END_TEST

START_TEST(partition_agrees_with_the_published_vectors)
{
	for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++) {
		for (size_t k = 0; k < 6; k++) {
			uint32_t partition = siphash_partition(vectors[i].key, counts[k]);
			ck_assert_msg(partition == vectors[i].partition[k], "vector %zu of %u partitions", i, counts[k]);
		}
	}
}
END_TEST

/* Whole blocks and a rest; computed with OpenSSL's SipHash. */
START_TEST(long_keys_with_a_rest_are_hashed_whole)
{
	ck_assert(siphash_key(STR("0123456789a")) == 0x2e0cfc76febf6c1e);
	ck_assert(siphash_key(STR("0123456789abcdef01234")) == 0x816e41605b8fa964);
}
END_TEST

START_TEST(an_absent_key_hashes_like_an_empty_one)
{
	ck_assert_uint_eq(siphash_key(STR_NONE), vectors[0].hash);
}
END_TEST

START_TEST(hash_does_not_depend_on_alignment)
{
	char room[40];
	for (size_t shift = 0; shift < 8; shift++) {
		for (size_t i = 0; i < 16; i++) {
			room[shift + i] = "0123456789abcdef"[i];
		}
		ck_assert(siphash_key((str){room + shift, 16}) == 0xc4d0363f590e0c1b);
	}
}
END_TEST

START_TEST(partition_count_may_be_as_large_as_its_type)
{
	ck_assert_uint_eq(siphash_partition(STR("a"), 1), 0);
	ck_assert_uint_eq(siphash_partition(STR("a"), UINT32_MAX), 0xfeb15081b68ca86b % UINT32_MAX);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		hash_agrees_with_the_published_vectors, partition_agrees_with_the_published_vectors,
		long_keys_with_a_rest_are_hashed_whole, an_absent_key_hashes_like_an_empty_one,
		hash_does_not_depend_on_alignment,      partition_count_may_be_as_large_as_its_type,
	};
	return SUITE_RUN("base/siphash", tests);
}
