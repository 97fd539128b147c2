/** Keys and values: text, or bytes in any of the usual forms. */
export type Bytes = string | Uint8Array | ArrayBuffer;

const encoder = new TextEncoder();
// A byte order mark at the front is data too.
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
const LONE_SURROGATE = /\p{Surrogate}/u;

export const utf8Encode = (text: string): Uint8Array => encoder.encode(text);
/** What is no UTF-8 becomes U+FFFD. */
export const utf8Decode = (bytes: Uint8Array): string => decoder.decode(bytes);

export function toBytes(data: Bytes): Uint8Array {
  return typeof data === "string" ? encoder.encode(data) : data instanceof Uint8Array ? data : new Uint8Array(data);
}

/** A copy that later changes of the caller's buffer do not reach. */
export function toOwnBytes(data: Bytes): Uint8Array {
  return typeof data === "string" ? encoder.encode(data) : new Uint8Array(data instanceof Uint8Array ? data : new Uint8Array(data));
}

/** Text as it survives UTF-8: half a surrogate pair has no bytes. */
export function wellFormed(text: string): string {
  return LONE_SURROGATE.test(text) ? decoder.decode(encoder.encode(text)) : text;
}

const CHUNK = 0x8000; // arguments of one call

export function base64Encode(bytes: Uint8Array): string {
  let binary = "";
  for (let i = 0; i < bytes.length; i += CHUNK) {
    binary += String.fromCharCode(...bytes.subarray(i, i + CHUNK));
  }
  return btoa(binary);
}

export function base64Decode(text: string): Uint8Array {
  const binary = atob(text);
  const bytes = new Uint8Array(binary.length);
  for (let i = 0; i < binary.length; i++) {
    bytes[i] = binary.charCodeAt(i);
  }
  return bytes;
}
