import { base64Decode, utf8Decode, utf8Encode } from "./bytes.js";

/** A message as the gateway sends it. */
export interface MessageJson {
  partition: number;
  offset: number;
  key: string | null;
  value: string;
  timestamp: number;
  headers: [string, string][];
  encoding?: "base64";
}

/** One record of a stream. Bytes are decoded when they are asked for. */
export class Record {
  readonly #topic: string;
  readonly #message: MessageJson;

  /** @internal */
  constructor(topic: string, message: MessageJson) {
    this.#topic = topic;
    this.#message = message;
  }

  #bytes(text: string): Uint8Array {
    return this.#message.encoding === "base64" ? base64Decode(text) : utf8Encode(text);
  }

  #text(text: string): string {
    return this.#message.encoding === "base64" ? utf8Decode(base64Decode(text)) : text;
  }

  /** undefined for a record without a key. */
  key(): Uint8Array | undefined {
    return this.#message.key === null ? undefined : this.#bytes(this.#message.key);
  }

  hasKey(): boolean {
    return this.#message.key !== null;
  }

  value(): Uint8Array {
    return this.#bytes(this.#message.value);
  }

  /** The key as text; "" without one. What is no UTF-8 becomes U+FFFD. */
  keyString(): string {
    return this.#message.key === null ? "" : this.#text(this.#message.key);
  }

  /** The value as text. What is no UTF-8 becomes U+FFFD. */
  valueString(): string {
    return this.#text(this.#message.value);
  }

  offset(): number {
    return this.#message.offset;
  }

  partition(): number {
    return this.#message.partition;
  }

  topic(): string {
    return this.#topic;
  }

  /** ms since 1970: the producer's. */
  timestamp(): number {
    return this.#message.timestamp;
  }

  headers(): readonly (readonly [string, string])[] {
    return this.#message.headers;
  }
}
