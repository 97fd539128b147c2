import { type Bytes, toBytes } from "./bytes.js";

/*
 * SipHash-2-4 with a zero key. Every record with a key is hashed, so a 64-bit word is two 32-bit halves and the rounds are
 * written out: BigInt would be some thirty times slower, words in an array three times.
 */

/** Four bytes of the key, little-endian; what is behind its end counts as 0. */
function wordAt(key: Uint8Array, at: number): number {
  return key[at]! | (key[at + 1]! << 8) | (key[at + 2]! << 16) | (key[at + 3]! << 24);
}

/** 1 when the sum of two halves does not fit in one. */
const carry = (a: number, b: number): number => ((a >>> 0) + (b >>> 0) > 0xffffffff ? 1 : 0);

/** The hash of a key: of its length as 8 bytes, little-endian, then its bytes. Both halves unsigned. */
function hashHalves(key: Uint8Array): { low: number; high: number } {
  let low0 = 0x70736575;
  let high0 = 0x736f6d65;
  let low1 = 0x6e646f6d;
  let high1 = 0x646f7261;
  let low2 = 0x6e657261;
  let high2 = 0x6c796765;
  let low3 = 0x79746573;
  let high3 = 0x74656462;
  const lastWord = key.length & ~7;
  // The word before the key is its length; the one behind its last stands for the end.
  for (let at = -8; at <= lastWord + 8; at += 8) {
    const isEnd = at > lastWord;
    const low = at < 0 ? key.length : isEnd ? 0 : wordAt(key, at);
    let high = at < 0 || isEnd ? 0 : wordAt(key, at + 4);
    if (at === lastWord) {
      high |= (key.length + 8) << 24; // its top byte: the length of the message, the prefix included
    }
    if (isEnd) {
      low2 ^= 0xff;
    }
    low3 ^= low;
    high3 ^= high;
    for (let rounds = isEnd ? 4 : 2; rounds > 0; rounds--) {
      let half: number;
      high0 = (high0 + high1 + carry(low0, low1)) | 0;
      low0 = (low0 + low1) | 0;
      half = ((low1 << 13) | (high1 >>> 19)) ^ low0;
      high1 = ((high1 << 13) | (low1 >>> 19)) ^ high0;
      low1 = half;
      half = low0; // a rotation by 32: the halves change places
      low0 = high0;
      high0 = half;
      high2 = (high2 + high3 + carry(low2, low3)) | 0;
      low2 = (low2 + low3) | 0;
      half = ((low3 << 16) | (high3 >>> 16)) ^ low2;
      high3 = ((high3 << 16) | (low3 >>> 16)) ^ high2;
      low3 = half;
      high0 = (high0 + high3 + carry(low0, low3)) | 0;
      low0 = (low0 + low3) | 0;
      half = ((low3 << 21) | (high3 >>> 11)) ^ low0;
      high3 = ((high3 << 21) | (low3 >>> 11)) ^ high0;
      low3 = half;
      high2 = (high2 + high1 + carry(low2, low1)) | 0;
      low2 = (low2 + low1) | 0;
      half = ((low1 << 17) | (high1 >>> 15)) ^ low2;
      high1 = ((high1 << 17) | (low1 >>> 15)) ^ high2;
      low1 = half;
      half = low2;
      low2 = high2;
      high2 = half;
    }
    low0 ^= low;
    high0 ^= high;
  }
  return { low: (low0 ^ low1 ^ low2 ^ low3) >>> 0, high: (high0 ^ high1 ^ high2 ^ high3) >>> 0 };
}

/** The hash that places a key, as an unsigned 64-bit number. */
export function hashKey(key: Bytes): bigint {
  const { low, high } = hashHalves(toBytes(key));
  return (BigInt(high) << 32n) | BigInt(low);
}

/** The partition of a key among `count`; the same in every client and on the server. */
export function partitionForKey(key: Bytes, count: number): number {
  const { low, high } = hashHalves(toBytes(key));
  // Exact in doubles while count * count fits 53 bits; a topic has at most 1024 partitions.
  return ((high % count) * (2 ** 32 % count) + (low % count)) % count;
}
