import { Batch } from "./batch.js";
import type { BatchSender } from "./batch_sender.js";
import { FluvioError, asFluvioError } from "./error.js";
import { Fifo } from "./fifo.js";
import type { RecordParts } from "./packet.js";
import type { ProducerSettings } from "./producer_config.js";

export interface RecordMetadata {
  offset: number;
  partitionId: number;
}

/** The fate of one record. */
export class ProduceOutput {
  readonly #batch: Batch;
  readonly #index: number;
  readonly #partition: number;

  constructor(batch: Batch, index: number, partition: number) {
    this.#batch = batch;
    this.#index = index;
    this.#partition = partition;
  }

  /** Resolves when the record is stored. It hurries nothing: a lone record waits for the linger. Throws FluvioError. */
  async wait(): Promise<RecordMetadata> {
    return { offset: (await this.#batch.done) + this.#index, partitionId: this.#partition };
  }
}

/** A send that waits for room. */
interface Blocked {
  record: RecordParts;
  deadlineMs: number;
  output: Promise<ProduceOutput>;
  resolve: (output: ProduceOutput) => void;
  reject: (error: FluvioError) => void;
}

/** What the body of a batch is expected to take: at first, and more than the one before it did. */
const FIRST_BATCH_BYTES = 4096;
const SLACK_BYTES = 256;

/** One that later changes of the caller's buffers do not reach. */
function copyRecord(record: RecordParts): RecordParts {
  return { ...record, key: record.key && new Uint8Array(record.key), value: new Uint8Array(record.value) };
}

/**
 * The batches of one partition: one open, at most batchQueueSize waiting, one being sent. After a failure everything
 * that was queued behind it fails too, and so does every send, until clear().
 */
export class PartitionQueue {
  readonly #partition: number;
  readonly #topic: string;
  readonly #settings: ProducerSettings;
  readonly #sender: BatchSender;
  readonly #abort = new AbortController();
  #open: Batch | undefined;
  #expectedBytes = FIRST_BATCH_BYTES;
  #linger: ReturnType<typeof setTimeout> | undefined;
  #waiting: Batch[] = [];
  #inFlight: Batch | undefined;
  #isRunning = false;
  readonly #blocked = new Fifo<Blocked>();
  #patience: ReturnType<typeof setTimeout> | undefined; // until the deadline of the first that is blocked
  #error: FluvioError | undefined;

  constructor(topic: string, partition: number, settings: ProducerSettings, sender: BatchSender) {
    this.#topic = topic;
    this.#partition = partition;
    this.#settings = settings;
    this.#sender = sender;
  }

  /** What it failed with, until clear(). */
  get error(): FluvioError | undefined {
    return this.#error;
  }

  get isIdle(): boolean {
    return !this.#open && !this.#inFlight && this.#waiting.length === 0 && this.#blocked.length === 0;
  }

  /** Queues a record; waits only while the queue is full. Throws the partition's error, or BatchQueueWaitTimeout. */
  append(record: RecordParts): ProduceOutput | Promise<ProduceOutput> {
    if (this.#error) {
      throw this.#error;
    }
    if (this.#hasRoom && this.#blocked.length === 0) {
      return this.#push(record);
    }
    return this.#block(record);
  }

  get #hasRoom(): boolean {
    return this.#waiting.length < this.#settings.batchQueueSize;
  }

  #push(record: RecordParts): ProduceOutput {
    const { batchSize, lingerMs } = this.#settings;
    if (this.#open && !this.#open.fits(record, batchSize)) {
      this.#close();
    }
    let batch = this.#open;
    if (!batch) {
      batch = this.#open = new Batch(this.#partition, record.timestampMs, Date.now(), this.#expectedBytes);
      if (lingerMs > 0) {
        this.#linger = setTimeout(() => this.#close(), lingerMs);
      }
    }
    const output = new ProduceOutput(batch, batch.push(record), this.#partition);
    if (!batch.hasRoom(batchSize)) {
      this.#close();
    }
    this.#wake();
    return output;
  }

  #block(record: RecordParts): Promise<ProduceOutput> {
    const { queueTimeoutMs } = this.#settings;
    let resolve!: Blocked["resolve"];
    let reject!: Blocked["reject"];
    const output = new Promise<ProduceOutput>((...both) => ([resolve, reject] = both));
    this.#blocked.push({ record: copyRecord(record), deadlineMs: Date.now() + queueTimeoutMs, output, resolve, reject });
    this.#patience ??= setTimeout(() => this.#losePatience(), queueTimeoutMs);
    return output;
  }

  /** Refuses those that have waited long enough, the first ones. */
  #losePatience(): void {
    const { queueTimeoutMs, batchQueueSize } = this.#settings;
    const now = Date.now();
    while ((this.#blocked.first?.deadlineMs ?? Infinity) <= now) {
      this.#blocked.shift()!.reject(
        new FluvioError(
          "BatchQueueWaitTimeout",
          `${batchQueueSize} batches wait for partition ${this.#partition} of "${this.#topic}" and none left within ${queueTimeoutMs} ms; send less, or raise batchQueueSize`,
          { topic: this.#topic, partition: this.#partition, retryable: true },
        ),
      );
    }
    const { first } = this.#blocked;
    this.#patience = first && setTimeout(() => this.#losePatience(), first.deadlineMs - now);
  }

  /** Ends the open batch: it waits to be sent now. */
  #close(): void {
    clearTimeout(this.#linger);
    if (this.#open) {
      this.#expectedBytes = this.#open.body().length + SLACK_BYTES;
      this.#waiting.push(this.#open);
      this.#open = undefined;
      this.#wake();
    }
  }

  #wake(): void {
    if (!this.#isRunning && (this.#waiting.length > 0 || this.#settings.lingerMs === 0)) {
      this.#isRunning = true;
      void this.#run();
    }
  }

  async #run(): Promise<void> {
    await Promise.resolve(); // what the same turn of the program sends goes together
    for (;;) {
      if (this.#waiting.length === 0 && this.#settings.lingerMs === 0) {
        this.#close();
      }
      const batch = this.#waiting.shift();
      if (!batch) {
        break;
      }
      this.#inFlight = batch;
      this.#admit();
      await this.#deliver(batch);
      this.#inFlight = undefined;
    }
    this.#isRunning = false;
  }

  async #deliver(batch: Batch): Promise<void> {
    try {
      batch.succeed(await this.#sender.send(batch, this.#abort.signal));
    } catch (thrown) {
      const error = asFluvioError(thrown);
      batch.fail(error);
      this.fail(error);
      return;
    }
    const { onBatch } = this.#settings;
    const event = {
      createdAt: batch.openedMs,
      elapsedMs: Date.now() - batch.openedMs,
      partition: this.#partition,
      records: batch.count,
      bytes: batch.bytes,
    };
    // What it throws is the program's to handle, not the queue's.
    queueMicrotask(() => onBatch?.(event));
  }

  /** Lets blocked sends in, first come first. */
  #admit(): void {
    while (this.#hasRoom && this.#blocked.first) {
      const { record, resolve } = this.#blocked.shift()!;
      resolve(this.#push(record));
    }
    this.#stopWaiting();
  }

  #stopWaiting(): void {
    if (!this.#blocked.first) {
      clearTimeout(this.#patience);
      this.#patience = undefined;
    }
  }

  /** Everything queued fails with this error, and the request in flight is given up. */
  fail(error: FluvioError): void {
    this.#error ??= error;
    clearTimeout(this.#linger);
    const lost = [...this.#waiting, ...(this.#open ? [this.#open] : [])];
    this.#waiting = [];
    this.#open = undefined;
    for (const batch of lost) {
      batch.fail(this.#error);
    }
    while (this.#blocked.first) {
      this.#blocked.shift()!.reject(this.#error);
    }
    this.#stopWaiting();
  }

  /** Gives up, the request in flight included. */
  abandon(error: FluvioError): void {
    this.fail(error);
    this.#abort.abort(error);
  }

  /** Sends what is queued whatever its age; resolves when all of it was stored or has failed. */
  async flush(): Promise<void> {
    for (;;) {
      this.#close();
      const batches = [...(this.#inFlight ? [this.#inFlight] : []), ...this.#waiting];
      const lastBlocked = this.#blocked.last;
      await Promise.allSettled([...batches.map((batch) => batch.done), lastBlocked?.output]);
      if (!lastBlocked) {
        return;
      }
    }
  }

  /** Forgets the error; what is sent from now on is sent again. */
  clear(): void {
    if (this.#error && !this.#abort.signal.aborted) {
      this.#error = undefined;
      this.#sender.startEpoch();
    }
  }
}
