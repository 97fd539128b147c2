import { utf8Decode } from "./bytes.js";

/** Where the parts of a record are in the bytes that brought it. */
interface Places {
  /** undefined: it has no key. */
  key: number | undefined;
  headers: number;
  value: number;
  end: number;
}

/** One record of a stream. Its bytes are views of what was received: copy those that you keep for long, or change. */
export class Record {
  readonly #topic: string;
  readonly #partition: number;
  readonly #offset: number;
  readonly #timestamp: number;
  readonly #bytes: Uint8Array;
  readonly #places: Places;

  /** @internal */
  constructor(topic: string, partition: number, offset: number, timestamp: number, bytes: Uint8Array, places: Places) {
    this.#topic = topic;
    this.#partition = partition;
    this.#offset = offset;
    this.#timestamp = timestamp;
    this.#bytes = bytes;
    this.#places = places;
  }

  /** undefined for a record without a key. */
  key(): Uint8Array | undefined {
    const { key, headers } = this.#places;
    return key === undefined ? undefined : this.#bytes.subarray(key, headers);
  }

  hasKey(): boolean {
    return this.#places.key !== undefined;
  }

  value(): Uint8Array {
    return this.#bytes.subarray(this.#places.value, this.#places.end);
  }

  /** The key as text; "" without one. What is no UTF-8 becomes U+FFFD. */
  keyString(): string {
    const key = this.key();
    return key ? utf8Decode(key) : "";
  }

  /** The value as text. What is no UTF-8 becomes U+FFFD. */
  valueString(): string {
    return utf8Decode(this.value());
  }

  offset(): number {
    return this.#offset;
  }

  partition(): number {
    return this.#partition;
  }

  topic(): string {
    return this.#topic;
  }

  /** ms since 1970: the producer's. */
  timestamp(): number {
    return this.#timestamp;
  }

  headers(): readonly (readonly [string, string])[] {
    const { headers, value } = this.#places;
    return headers === value ? [] : (JSON.parse(utf8Decode(this.#bytes.subarray(headers, value))) as [string, string][]);
  }
}
