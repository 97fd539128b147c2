import { type Bytes, toBytes } from "./bytes.js";

/*
 * SipHash-2-4 with a zero key. A 64-bit word is two 32-bit halves in a Uint32Array (low half first): BigInt would be
 * some thirty times slower, and every record with a key is hashed.
 */
const INITIAL = [0x70736575, 0x736f6d65, 0x6e646f6d, 0x646f7261, 0x6e657261, 0x6c796765, 0x79746573, 0x74656462];

/** words[2a] += words[2b], as 64 bits. */
function add(words: Uint32Array, a: number, b: number): void {
  const low = words[2 * a]! + words[2 * b]!;
  words[2 * a] = low;
  words[2 * a + 1] = words[2 * a + 1]! + words[2 * b + 1]! + (low > 0xffffffff ? 1 : 0);
}

/** words[a] = rotl(words[a], bits) ^ words[b]; 0 < bits < 32. */
function rotateXor(words: Uint32Array, a: number, bits: number, b: number): void {
  const low = words[2 * a]!;
  const high = words[2 * a + 1]!;
  words[2 * a] = ((low << bits) | (high >>> (32 - bits))) ^ words[2 * b]!;
  words[2 * a + 1] = ((high << bits) | (low >>> (32 - bits))) ^ words[2 * b + 1]!;
}

/** Rotates by 32: the halves change places. */
function swap(words: Uint32Array, a: number): void {
  const low = words[2 * a]!;
  words[2 * a] = words[2 * a + 1]!;
  words[2 * a + 1] = low;
}

function round(v: Uint32Array): void {
  add(v, 0, 1);
  rotateXor(v, 1, 13, 0);
  swap(v, 0);
  add(v, 2, 3);
  rotateXor(v, 3, 16, 2);
  add(v, 0, 3);
  rotateXor(v, 3, 21, 0);
  add(v, 2, 1);
  rotateXor(v, 1, 17, 2);
  swap(v, 2);
}

function compress(v: Uint32Array, low: number, high: number): void {
  v[6] = v[6]! ^ low;
  v[7] = v[7]! ^ high;
  round(v);
  round(v);
  v[0] = v[0]! ^ low;
  v[1] = v[1]! ^ high;
}

/** The hash of a key: of its length as 8 bytes, little-endian, then its bytes. Both halves unsigned. */
function hashHalves(key: Uint8Array): { low: number; high: number } {
  const v = Uint32Array.from(INITIAL);
  const view = new DataView(key.buffer, key.byteOffset, key.byteLength);
  const whole = key.length & ~7;
  compress(v, key.length >>> 0, Math.floor(key.length / 2 ** 32));
  for (let i = 0; i < whole; i += 8) {
    compress(v, view.getUint32(i, true), view.getUint32(i + 4, true));
  }
  // The last word holds what is left and, in its top byte, the length of the message (the prefix included).
  const rest = new Uint8Array(8);
  rest.set(key.subarray(whole));
  rest[7] = (key.length + 8) & 0xff;
  const last = new DataView(rest.buffer);
  compress(v, last.getUint32(0, true), last.getUint32(4, true));
  v[4] = v[4]! ^ 0xff;
  for (let i = 0; i < 4; i++) {
    round(v);
  }
  return { low: (v[0]! ^ v[2]! ^ v[4]! ^ v[6]!) >>> 0, high: (v[1]! ^ v[3]! ^ v[5]! ^ v[7]!) >>> 0 };
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
