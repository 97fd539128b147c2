/** Keys and values: text, or bytes in any of the usual forms. */
export type Bytes = string | Uint8Array | ArrayBuffer;

const encoder = new TextEncoder();
// A byte order mark at the front is data too.
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

export const utf8Encode = (text: string): Uint8Array => encoder.encode(text);
/** What is no UTF-8 becomes U+FFFD. */
export const utf8Decode = (bytes: Uint8Array): string => decoder.decode(bytes);

export function toBytes(data: Bytes): Uint8Array {
  return typeof data === "string" ? encoder.encode(data) : data instanceof Uint8Array ? data : new Uint8Array(data);
}
