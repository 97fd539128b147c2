import { BATCH_FIXED_BYTES, recordSize } from "./batch.js";
import { BatchSender } from "./batch_sender.js";
import { toBytes, utf8Encode, type Bytes } from "./bytes.js";
import type { Codec } from "./codec.js";
import { FluvioError } from "./error.js";
import type { Transport } from "./http.js";
import { SiphashRoundRobinPartitioner, type Partitioner } from "./partitioner.js";
import { PartitionQueue, ProduceOutput } from "./partition_queue.js";
import type { ProducerSettings } from "./producer_config.js";
import { fetchTopic, type TopicInfo } from "./topic.js";

/** Of one record; what Fluvio does not have. */
export interface SendOptions {
  /** Instead of the partitioner's choice. */
  partition?: number;
  /** ms since 1970, instead of now. */
  timestamp?: number | Date;
  /** Order and duplicates are kept. */
  headers?: readonly (readonly [string, string])[];
}

const PARTITION_COUNT_AGE_MS = 5000;

function randomId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Sends records to one topic, in batches, from the background. Made by Fluvio.topicProducer(). */
export class TopicProducer {
  readonly topic: string;
  readonly #transport: Transport;
  readonly #settings: ProducerSettings;
  readonly #codec: Codec | undefined;
  readonly #partitioner: Partitioner;
  readonly #id = randomId();
  readonly #queues = new Map<number, PartitionQueue>();
  #info: TopicInfo;
  #countedMs = Date.now();
  #isClosed = false;

  /** @internal */
  constructor(transport: Transport, topic: TopicInfo, settings: ProducerSettings, codec: Codec | undefined) {
    this.#transport = transport;
    this.topic = topic.name;
    this.#info = topic;
    this.#settings = settings;
    this.#codec = codec;
    this.#partitioner = settings.partitioner ?? new SiphashRoundRobinPartitioner();
  }

  /**
   * Queues a record and resolves at once, or when the queue has room again. No key, or an empty one, means none. Throws
   * FluvioError: RecordTooLarge (nothing is queued), PartitionNotFound, BatchQueueWaitTimeout, Closed, or what an earlier
   * batch of the partition failed with, until clearErrors().
   */
  async send(key: Bytes | null | undefined, value: Bytes, options: SendOptions = {}): Promise<ProduceOutput> {
    if (this.#isClosed) {
      throw new FluvioError("Closed", `the producer of "${this.topic}" is closed; make a new one`, { topic: this.topic });
    }
    const keyBytes = key === null || key === undefined ? undefined : toBytes(key);
    const valueBytes = toBytes(value);
    const hasKey = keyBytes !== undefined && keyBytes.length > 0;
    const timestampMs = options.timestamp === undefined ? Date.now() : Number(options.timestamp);
    if (!Number.isSafeInteger(timestampMs)) {
      throw new FluvioError("InvalidConfiguration", `timestamp must be whole ms since 1970, not ${String(options.timestamp)}`);
    }
    const size = BATCH_FIXED_BYTES + recordSize(hasKey ? keyBytes.length : -1, valueBytes.length, 0, 0);
    if (size > this.#settings.maxRequestSize) {
      throw new FluvioError(
        "RecordTooLarge",
        `the record takes ${size} bytes and maxRequestSize is ${this.#settings.maxRequestSize}; send less, or a reference`,
        { topic: this.topic },
      );
    }
    this.#refreshPartitionCount();
    const hashed = hasKey || (keyBytes !== undefined && this.#settings.hashEmptyKey) ? keyBytes : undefined;
    const partition = options.partition ?? this.#partitioner.partition(hashed, valueBytes, this.#info.partitions);
    if (!Number.isInteger(partition) || partition < 0 || partition >= this.#info.partitions) {
      throw new FluvioError(
        "PartitionNotFound",
        `"${this.topic}" has the partitions 0 to ${this.#info.partitions - 1}, not ${partition}`,
        { topic: this.topic, partition },
      );
    }
    const record = { key: hasKey ? keyBytes : undefined, value: valueBytes, headers: encodeHeaders(options.headers), timestampMs };
    return this.#queue(partition).append(record);
  }

  /** Sends each [key, value] in order; stops at the first error. */
  async sendAll(records: Iterable<readonly [Bytes | null | undefined, Bytes]>): Promise<ProduceOutput[]> {
    const outputs: ProduceOutput[] = [];
    for (const [key, value] of records) {
      outputs.push(await this.send(key, value));
    }
    return outputs;
  }

  /** Sends a value without a key to a partition. */
  sendRecord(value: Bytes, partition: number): Promise<ProduceOutput> {
    return this.send(undefined, value, { partition });
  }

  /** Sends all that is queued; resolves when it is stored. Throws when a partition has failed, with one error for each. */
  async flush(): Promise<void> {
    await Promise.all([...this.#queues.values()].map((queue) => queue.flush()));
    this.#throwErrors();
  }

  /** Makes failed partitions usable again. What failed was not sent and is gone. */
  clearErrors(): void {
    for (const queue of this.#queues.values()) {
      queue.clear();
    }
  }

  /**
   * Flushes and ends. Throws what flush throws, and FlushTimeout when the deadline passes: then what was still queued is
   * given up, and batches in flight may be stored or not.
   */
  async close(options: { deadlineMs?: number } = {}): Promise<void> {
    if (this.#isClosed) {
      return;
    }
    this.#isClosed = true;
    const deadlineMs = options.deadlineMs ?? 30_000;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const timeout = new Promise<void>((resolve) => {
      timer = setTimeout(() => {
        const error = new FluvioError("FlushTimeout", `not all records of "${this.topic}" were stored within ${deadlineMs} ms`, {
          topic: this.topic,
          retryable: true,
        });
        for (const queue of this.#queues.values()) {
          if (!queue.isIdle) {
            queue.abandon(error);
          }
        }
        resolve();
      }, deadlineMs);
    });
    const flushed = Promise.all([...this.#queues.values()].map((queue) => queue.flush())).then(() => undefined);
    await Promise.race([flushed, timeout]);
    clearTimeout(timer);
    this.#throwErrors();
  }

  #throwErrors(): void {
    const errors = [...this.#queues.values()].flatMap((queue) => queue.error ?? []);
    const first = errors[0];
    if (first && errors.length === 1) {
      throw first;
    }
    if (first) {
      throw new FluvioError(first.kind, `${errors.length} partitions failed; the first: ${first.message}`, {
        topic: this.topic,
        partition: first.partition,
        status: first.status,
        serverCode: first.serverCode,
        retryable: first.retryable,
        causes: errors,
        cause: first,
      });
    }
  }

  #queue(partition: number): PartitionQueue {
    let queue = this.#queues.get(partition);
    if (!queue) {
      const sender = new BatchSender(this.#transport, this.topic, partition, this.#settings, this.#codec, `${this.#id}-${partition}`);
      queue = new PartitionQueue(this.topic, partition, this.#settings, sender);
      this.#queues.set(partition, queue);
    }
    return queue;
  }

  /** Partitions may be added at any time; a busy producer looks again now and then, without waiting for it. */
  #refreshPartitionCount(): void {
    if (Date.now() - this.#countedMs < PARTITION_COUNT_AGE_MS) {
      return;
    }
    this.#countedMs = Date.now();
    fetchTopic(this.#transport, this.topic, undefined, this.#info).then(
      (topic) => {
        this.#info = topic.partitions < this.#info.partitions ? this.#info : topic;
      },
      () => undefined, // the old count serves; what is wrong with the topic the next batch will tell
    );
  }
}

const NO_HEADERS = new Uint8Array();

function encodeHeaders(headers: SendOptions["headers"]): Uint8Array {
  return headers && headers.length > 0 ? utf8Encode(JSON.stringify(headers)) : NO_HEADERS;
}
