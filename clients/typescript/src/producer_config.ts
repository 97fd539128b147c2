import type { Compression } from "./codec.js";
import { parseCompression } from "./codec.js";
import { FluvioError } from "./error.js";
import type { Partitioner } from "./partitioner.js";
import { DEFAULT_RETRY, type RetryPolicy } from "./retry.js";

export type DeliverySemantic = "at-least-once" | "at-most-once";
export type Isolation = "read-uncommitted" | "read-committed";

/** What onBatch is told after a batch was stored. */
export interface BatchEvent {
  /** ms since 1970 when its first record was sent. */
  createdAt: number;
  elapsedMs: number;
  partition: number;
  records: number;
  bytes: number;
}

export interface TopicProducerConfig {
  /** A batch of this many bytes (uncompressed) is closed. 16,384. */
  batchSize?: number;
  /** The largest record, in bytes; larger ones are refused at send. 1,048,576. */
  maxRequestSize?: number;
  /** Batches that wait for one partition before send waits too. 100. */
  batchQueueSize?: number;
  /** The age in ms at which a batch that is not full is sent. 100. */
  lingerMs?: number;
  /** none, gzip, snappy, lz4 or zstd, per batch. */
  compression?: Compression | Uppercase<Compression>;
  /** Where records go; keys by SipHash and the others in turns, by default. One partitioner belongs to one producer. */
  partitioner?: Partitioner;
  /** ms that the gateway may take for a batch; 1,500. What the network needs for it is added: 5 s, and 10 ms a KiB. */
  timeoutMs?: number;
  /** Accepted for Fluvio's sake: an answer always means that the batch is committed. */
  isolation?: Isolation | string;
  /** at-least-once: each batch is repeated until it is answered. at-most-once: one try. */
  deliverySemantic?: DeliverySemantic | string;
  retry?: RetryPolicy;
  /** A repeated batch is stored once (at-least-once only). true. */
  idempotent?: boolean;
  /** Hashes an empty key, as Fluvio's bindings do, where we let it mean no key. false. */
  hashEmptyKey?: boolean;
  /** ms that send may wait for room in the queue. 30,000. */
  queueTimeoutMs?: number;
  onBatch?: (event: BatchEvent) => void;
}

export interface ProducerSettings {
  batchSize: number;
  maxRequestSize: number;
  batchQueueSize: number;
  lingerMs: number;
  compression: Compression;
  partitioner: Partitioner | undefined;
  timeoutMs: number;
  deliverySemantic: DeliverySemantic;
  retry: Required<RetryPolicy>;
  idempotent: boolean;
  hashEmptyKey: boolean;
  queueTimeoutMs: number;
  onBatch: ((event: BatchEvent) => void) | undefined;
}

function refuse(message: string): never {
  throw new FluvioError("InvalidConfiguration", message);
}

/** The platform's timers know no longer time, in ms, and no batch is larger. */
const INTEGER_MAX = 2 ** 31 - 1;

function integer(name: string, value: number | undefined, least: number, otherwise: number): number {
  if (value === undefined) {
    return otherwise;
  }
  const isGood = Number.isInteger(value) && value >= least && value <= INTEGER_MAX;
  return isGood ? value : refuse(`${name} must be an integer from ${least} to ${INTEGER_MAX}, not ${value}`);
}

/** Fluvio takes at_least_once, at-least-once, AtLeastOnce, atLeastOnce, atleastonce. */
const plain = (name: string): string => name.toLowerCase().replace(/[-_]/g, "");

function parseDelivery(name: string): DeliverySemantic {
  switch (plain(name)) {
    case "atleastonce":
      return "at-least-once";
    case "atmostonce":
      return "at-most-once";
    default:
      return refuse(`deliverySemantic is "${name}"; choose at-least-once or at-most-once`);
  }
}

export function parseIsolation(name: string): Isolation {
  switch (plain(name)) {
    case "readuncommitted":
      return "read-uncommitted";
    case "readcommitted":
      return "read-committed";
    default:
      return refuse(`isolation is "${name}"; choose read-uncommitted or read-committed`);
  }
}

function parseRetry(policy: RetryPolicy): Required<RetryPolicy> {
  const retry = { ...DEFAULT_RETRY, ...policy };
  integer("retry.maxRetries", retry.maxRetries, 0, 0);
  if (retry.maxRetries > 10_000) {
    refuse("retry.maxRetries must be at most 10000");
  }
  if (!(retry.initialDelayMs >= 0) || !(retry.maxDelayMs >= 0) || !(retry.timeoutMs > 0)) {
    refuse("the times of retry must be ms from 0, and retry.timeoutMs above 0");
  }
  return retry;
}

/** Checks a config and fills in what it leaves out. Throws InvalidConfiguration or Compression. */
export function parseProducerConfig(config: TopicProducerConfig): ProducerSettings {
  const settings: ProducerSettings = {
    batchSize: integer("batchSize", config.batchSize, 1, 16_384),
    maxRequestSize: integer("maxRequestSize", config.maxRequestSize, 1, 1_048_576),
    batchQueueSize: integer("batchQueueSize", config.batchQueueSize, 1, 100),
    lingerMs: integer("lingerMs", config.lingerMs, 0, 100),
    compression: parseCompression(config.compression ?? "none"),
    partitioner: config.partitioner,
    timeoutMs: integer("timeoutMs", config.timeoutMs, 1, 1500),
    deliverySemantic: parseDelivery(config.deliverySemantic ?? "at-least-once"),
    retry: parseRetry(config.retry ?? {}),
    idempotent: config.idempotent ?? true,
    hashEmptyKey: config.hashEmptyKey ?? false,
    queueTimeoutMs: integer("queueTimeoutMs", config.queueTimeoutMs, 0, 30_000),
    onBatch: config.onBatch,
  };
  parseIsolation(config.isolation ?? "read-uncommitted");
  if (settings.batchSize > settings.maxRequestSize) {
    refuse(`batchSize (${settings.batchSize}) must not be above maxRequestSize (${settings.maxRequestSize})`);
  }
  return settings;
}
