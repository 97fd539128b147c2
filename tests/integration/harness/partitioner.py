"""The key-to-partition rule of the clients contract, section 4: its table, as printed there."""

COUNTS = (2, 3, 4, 5, 16, 100)

# key, SipHash-2-4 in hex, partition with 2, 3, 4, 5, 16 and 100 partitions
VECTORS = [
    (b"1", 0x61580903E47368E6, (0, 1, 2, 4, 6, 34)),
    (b"2", 0xA7DE8D28328E8C96, (0, 2, 2, 2, 6, 2)),
    (b"3", 0x64A20F97086EEDA2, (0, 0, 2, 0, 2, 30)),
    (b"4", 0x519A590C490EAD91, (1, 0, 1, 1, 1, 61)),
    (b"8", 0x144AF4AD484232FF, (1, 0, 3, 4, 15, 99)),
    (b"a", 0xFEB15081B68CA86B, (1, 1, 3, 2, 11, 87)),
    (b"rafael", 0xD71649290711CA56, (0, 0, 2, 3, 6, 78)),
    (b"samuel", 0xF4A330467079AD99, (1, 1, 1, 4, 9, 69)),
    (b"tabitha", 0x8BD215568451DCCB, (1, 0, 3, 2, 11, 67)),
    (b"user-123", 0x8590A70F377CD237, (1, 0, 3, 3, 7, 43)),
    (b"user-456", 0x16ED48024288CC03, (1, 1, 3, 2, 3, 7)),
    ("ключ".encode(), 0x92CD3338E703169D, (1, 1, 1, 1, 13, 81)),
    (b"0123456789abcdef", 0xC4D0363F590E0C1B, (1, 0, 3, 3, 11, 83)),
    (b"\x00\xff\x80\x0a", 0xB0F7AEDB51F4F2C7, (1, 1, 3, 2, 7, 47)),
]


def _rotate(x, by):
    return (x << by | x >> (64 - by)) & 0xFFFFFFFFFFFFFFFF


def siphash24(message):
    """SipHash-2-4 with key 0, 0."""
    mask = 0xFFFFFFFFFFFFFFFF
    v0, v1, v2, v3 = 0x736F6D6570736575, 0x646F72616E646F6D, 0x6C7967656E657261, 0x7465646279746573

    def rounds(count):
        nonlocal v0, v1, v2, v3
        for _ in range(count):
            v0 = (v0 + v1) & mask
            v1 = _rotate(v1, 13) ^ v0
            v0 = _rotate(v0, 32)
            v2 = (v2 + v3) & mask
            v3 = _rotate(v3, 16) ^ v2
            v0 = (v0 + v3) & mask
            v3 = _rotate(v3, 21) ^ v0
            v2 = (v2 + v1) & mask
            v1 = _rotate(v1, 17) ^ v2
            v2 = _rotate(v2, 32)

    full = len(message) - len(message) % 8
    words = [int.from_bytes(message[at:at + 8], "little") for at in range(0, full, 8)]
    words.append(int.from_bytes(message[full:], "little") | (len(message) & 0xFF) << 56)
    for word in words:
        v3 ^= word
        rounds(2)
        v0 ^= word
    v2 ^= 0xFF
    rounds(4)
    return v0 ^ v1 ^ v2 ^ v3


def partition_of(key, partitions):
    return siphash24(len(key).to_bytes(8, "little") + key) % partitions
