/** Keys and values: text, or bytes in any of the usual forms. */
export type Bytes = string | Uint8Array | ArrayBuffer;

const encoder = new TextEncoder();
// A byte order mark at the front is data too.
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

const POOL_BYTES = 65_536;
const POOLED_UNITS = 2048; // longer text has bytes of its own
let free = new Uint8Array(POOL_BYTES);

/** Short text becomes a piece of a pool, which takes half the time. */
export function utf8Encode(text: string): Uint8Array {
  if (text.length > POOLED_UNITS) {
    return encoder.encode(text);
  }
  if (free.length < 3 * text.length) {
    free = new Uint8Array(POOL_BYTES);
  }
  const { written } = encoder.encodeInto(text, free);
  const bytes = free.subarray(0, written);
  free = free.subarray(written);
  return bytes;
}

/** What is no UTF-8 becomes U+FFFD. */
export const utf8Decode = (bytes: Uint8Array): string => decoder.decode(bytes);

export function toBytes(data: Bytes): Uint8Array {
  return typeof data === "string" ? utf8Encode(data) : data instanceof Uint8Array ? data : new Uint8Array(data);
}

/*
 * Numbers of 64 bits, big-endian; exact up to 2^53.
 */

export function readInt64(view: DataView, at: number): number {
  return view.getInt32(at) * 2 ** 32 + view.getUint32(at + 4);
}

export function writeInt64(view: DataView, at: number, value: number): void {
  view.setInt32(at, Math.floor(value / 2 ** 32));
  view.setUint32(at + 4, value >>> 0);
}
