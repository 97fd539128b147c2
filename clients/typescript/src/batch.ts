import { PacketWriter, type RecordParts } from "./packet.js";

/*
 * How large a record is in a batch. Batches end where a Fluvio user expects them to end, so sizes are those of Fluvio's
 * uncompressed encoding, whatever the bytes on our wire are.
 */

/** What a batch without records takes: header and length of the list. */
export const BATCH_FIXED_BYTES = 61;
/** The gateway takes this many records in one request. */
export const BATCH_RECORDS_MAX = 10_000;

/** Bytes of a zigzag varint. */
export function varintSize(number: number): number {
  let rest = number < 0 ? -2 * number - 1 : 2 * number;
  let size = 1;
  while (rest >= 128) {
    rest = Math.floor(rest / 128);
    size++;
  }
  return size;
}

/** Bytes of the record with this index and this time since the batch's first record. Key -1: no key. */
export function recordSize(keyBytes: number, valueBytes: number, timeDeltaMs: number, index: number): number {
  const key = keyBytes < 0 ? 1 : 1 + varintSize(keyBytes) + keyBytes;
  const inner = 1 + varintSize(timeDeltaMs) + varintSize(index) + key + varintSize(valueBytes) + valueBytes + 1;
  return varintSize(inner) + inner;
}

/** Records of one partition that are sent, stored and answered together. */
export class Batch {
  readonly openedMs: number;
  readonly #partition: number;
  readonly #baseTimestampMs: number;
  readonly #packets: PacketWriter;
  #count = 0;
  #bytes = BATCH_FIXED_BYTES;
  #resolve!: (firstOffset: number) => void;
  #reject!: (error: unknown) => void;
  /** The offset of its first record, once all are stored. */
  readonly done: Promise<number>;

  /** `expectedBytes`: of its body, a guess. */
  constructor(partition: number, baseTimestampMs: number, nowMs: number, expectedBytes: number) {
    this.#packets = new PacketWriter(expectedBytes);
    this.openedMs = nowMs;
    this.#partition = partition;
    this.#baseTimestampMs = baseTimestampMs;
    this.done = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    this.done.catch(() => undefined); // who does not wait for a record must not crash its program
  }

  get bytes(): number {
    return this.#bytes;
  }

  get count(): number {
    return this.#count;
  }

  #sizeOf({ key, value, timestampMs }: RecordParts): number {
    return recordSize(key?.length ?? -1, value.length, timestampMs - this.#baseTimestampMs, this.#count);
  }

  /** Whether the record still belongs here: the first always does. */
  fits(record: RecordParts, batchSize: number): boolean {
    return this.#count === 0 || (this.#bytes + this.#sizeOf(record) <= batchSize && this.#count < BATCH_RECORDS_MAX);
  }

  /** Whether anything more could ever fit. */
  hasRoom(batchSize: number): boolean {
    return this.#bytes < batchSize && this.#count < BATCH_RECORDS_MAX;
  }

  /** Copies it to the end; the answer is its index. */
  push(record: RecordParts): number {
    this.#bytes += this.#sizeOf(record);
    this.#packets.write(this.#partition, record);
    return this.#count++;
  }

  /** The body of its request. */
  body(): Uint8Array {
    return this.#packets.bytes;
  }

  succeed(firstOffset: number): void {
    this.#resolve(firstOffset);
  }

  fail(error: unknown): void {
    this.#reject(error);
  }
}
