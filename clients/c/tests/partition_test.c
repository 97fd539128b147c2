#include "suite.h"
#include "tidegate.h"

#include <stdint.h>

static const uint32_t counts[] = {2, 3, 4, 5, 16, 100};

/* The table of the clients contract, section 4. */
static const struct {
	const char *key;
	size_t len;
	uint64_t hash;
	uint32_t partitions[6];
} vectors[] = {
	{"", 0, 0xe849e8bb6ffe2567, {1, 2, 3, 4, 7, 19}},
	{"1", 1, 0x61580903e47368e6, {0, 1, 2, 4, 6, 34}},
	{"2", 1, 0xa7de8d28328e8c96, {0, 2, 2, 2, 6, 2}},
	{"3", 1, 0x64a20f97086eeda2, {0, 0, 2, 0, 2, 30}},
	{"4", 1, 0x519a590c490ead91, {1, 0, 1, 1, 1, 61}},
	{"8", 1, 0x144af4ad484232ff, {1, 0, 3, 4, 15, 99}},
	{"a", 1, 0xfeb15081b68ca86b, {1, 1, 3, 2, 11, 87}},
	{"rafael", 6, 0xd71649290711ca56, {0, 0, 2, 3, 6, 78}},
	{"samuel", 6, 0xf4a330467079ad99, {1, 1, 1, 4, 9, 69}},
	{"tabitha", 7, 0x8bd215568451dccb, {1, 0, 3, 2, 11, 67}},
	{"user-123", 8, 0x8590a70f377cd237, {1, 0, 3, 3, 7, 43}},
	{"user-456", 8, 0x16ed48024288cc03, {1, 1, 3, 2, 3, 7}},
	{"\xd0\xba\xd0\xbb\xd1\x8e\xd1\x87", 8, 0x92cd3338e703169d, {1, 1, 1, 1, 13, 81}},
	{"0123456789abcdef", 16, 0xc4d0363f590e0c1b, {1, 0, 3, 3, 11, 83}},
	{"\x00\xff\x80\x0a", 4, 0xb0f7aedb51f4f2c7, {1, 1, 3, 2, 7, 47}},
};

START_TEST(every_key_of_the_contract_has_its_hash_and_partitions)
{
	for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++) {
		ck_assert_uint_eq(tg_key_hash(vectors[i].key, vectors[i].len), vectors[i].hash);
		for (size_t k = 0; k < 6; k++) {
			ck_assert_uint_eq(tg_partition_for_key(vectors[i].key, vectors[i].len, counts[k]),
							  vectors[i].partitions[k]);
		}
	}
}
END_TEST

START_TEST(no_key_hashes_as_the_empty_one_and_no_partitions_give_0)
{
	ck_assert_uint_eq(tg_key_hash(NULL, 0), 0xe849e8bb6ffe2567);
	ck_assert_uint_eq(tg_partition_for_key("a", 1, 0), 0);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {every_key_of_the_contract_has_its_hash_and_partitions,
								  no_key_hashes_as_the_empty_one_and_no_partitions_give_0};
	return SUITE_RUN("client/partition", tests);
}
