import { readInt64, utf8Decode } from "./bytes.js";

/** Packets that were received together, and how to look at them. */
export interface Run {
  topic: string;
  bytes: Uint8Array;
  view: DataView;
}

/** Of a record, before its key: partition, offset, timestamp, length of the key (-1: none), length of the headers. */
export const RECORD_FIELD_BYTES = 28;

/** One record of a stream. Its bytes are views of what was received: copy those that you keep for long, or change. */
export class Record {
  readonly #run: Run;
  readonly #at: number;
  readonly #end: number;

  /** @internal Its fields begin `at` and its value ends at `end` of the run. */
  constructor(run: Run, at: number, end: number) {
    this.#run = run;
    this.#at = at;
    this.#end = end;
  }

  get #keyLength(): number {
    return this.#run.view.getInt32(this.#at + 20);
  }

  get #headersAt(): number {
    return this.#at + RECORD_FIELD_BYTES + Math.max(this.#keyLength, 0);
  }

  /** @internal */
  get valueAt(): number {
    return this.#headersAt + this.#run.view.getInt32(this.#at + 24);
  }

  /** undefined for a record without a key. */
  key(): Uint8Array | undefined {
    return this.hasKey() ? this.#run.bytes.subarray(this.#at + RECORD_FIELD_BYTES, this.#headersAt) : undefined;
  }

  hasKey(): boolean {
    return this.#keyLength >= 0;
  }

  value(): Uint8Array {
    return this.#run.bytes.subarray(this.valueAt, this.#end);
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
    return readInt64(this.#run.view, this.#at + 4);
  }

  partition(): number {
    return this.#run.view.getInt32(this.#at);
  }

  topic(): string {
    return this.#run.topic;
  }

  /** ms since 1970: the producer's. */
  timestamp(): number {
    return readInt64(this.#run.view, this.#at + 12);
  }

  headers(): readonly (readonly [string, string])[] {
    const text = utf8Decode(this.#run.bytes.subarray(this.#headersAt, this.valueAt));
    return text === "" ? [] : (JSON.parse(text) as [string, string][]);
  }
}
