import { FluvioError } from "./error.js";
import { topicPath, type Transport } from "./http.js";
import { Offset } from "./offset.js";
import { fetchStored, Positions, type OffsetStrategy } from "./positions.js";
import { parseIsolation, type Isolation } from "./producer_config.js";
import type { Record } from "./record.js";
import { Progress } from "./progress.js";
import { type Gap, mergeSources, readStream, type RetryMode, type Source, type SourceOptions } from "./source.js";
import { ConsumerStream } from "./stream.js";
import { fetchTopic, partitionOf, type TopicInfo } from "./topic.js";

/** How to read; for PartitionConsumer and MultiplePartitionConsumer. */
export interface ConsumerConfig {
  /** Ends the stream when it has given what was there when it was opened. false. */
  disableContinuous?: boolean;
  /** Accepted for Fluvio's sake: the gateway sends 64 KiB at a time, or one record. */
  maxBytes?: number;
  /** Accepted for Fluvio's sake: only what is committed can be read. */
  isolation?: Isolation | string;
  /** { tryUntil: 100 }: a stream that was cut off goes on where it was. */
  retryMode?: RetryMode;
  /** Aborting it makes the iteration throw its reason. */
  signal?: AbortSignal;
  /** Told of records that retention removed before they were read. */
  onGap?: (gap: Gap) => void;
}

/** For consumerWithConfig. */
export interface ConsumerConfigExt extends ConsumerConfig {
  topic: string;
  /** All when left out. */
  partitions?: readonly number[];
  /** Where to begin; Offset.FromBeginning() when left out. */
  offsetStart?: Offset;
  /** The name under which positions are stored. Every stream of this name gets all records: no sharing. */
  offsetConsumer?: string;
  /** "none". manual: offsetCommit() and offsetFlush(); auto: each record as it is handed out. */
  offsetStrategy?: OffsetStrategy;
  /** ms between flushes of the automatic strategy. 10,000. */
  offsetFlushMs?: number;
}

const DEFAULT_RETRY_MODE: RetryMode = { tryUntil: 100 };

function checkConfig(config: ConsumerConfig): void {
  const { maxBytes, retryMode } = config;
  if (maxBytes !== undefined && !(Number.isInteger(maxBytes) && maxBytes >= 1)) {
    throw new FluvioError("ConsumerConfig", `maxBytes must be an integer from 1, not ${maxBytes}`);
  }
  if (typeof retryMode === "object" && !(Number.isInteger(retryMode.tryUntil) && retryMode.tryUntil >= 0)) {
    throw new FluvioError("ConsumerConfig", `retryMode.tryUntil must be an integer from 0, not ${retryMode.tryUntil}`);
  }
  parseIsolation(config.isolation ?? "read-uncommitted");
}

function checkConfigExt(config: ConsumerConfigExt): void {
  checkConfig(config);
  const { offsetStrategy = "none", offsetConsumer, offsetFlushMs } = config;
  if (!["none", "manual", "auto"].includes(offsetStrategy)) {
    throw new FluvioError("ConsumerConfig", `offsetStrategy is "${offsetStrategy}"; choose "none", "manual" or "auto"`);
  }
  if (offsetStrategy !== "none" && !offsetConsumer) {
    throw new FluvioError("ConsumerConfig", `offsetStrategy "${offsetStrategy}" needs offsetConsumer, the name to store positions under`);
  }
  if (offsetFlushMs !== undefined && !(offsetFlushMs > 0)) {
    throw new FluvioError("ConsumerConfig", `offsetFlushMs must be above 0, not ${offsetFlushMs}`);
  }
}

/** The first offset of a time, per partition. */
async function lookUpTime(transport: Transport, topic: string, timestamp: number, signal: AbortSignal | undefined): Promise<Map<number, number>> {
  const { body } = await transport.request<{ offsets: { partition: number; offset: number }[] }>(`${topicPath(topic)}/offsets`, {
    query: { timestamp },
    topic,
    signal,
  });
  return new Map(body.offsets.map(({ partition, offset }) => [partition, offset]));
}

interface Opening {
  topic: TopicInfo;
  /** undefined: all, those that will be added too. */
  partitions: readonly number[] | undefined;
  offset: Offset;
  stored: Map<number, number>;
  config: ConsumerConfig;
  options: SourceOptions;
}

async function openTopic(opening: Opening): Promise<Source[]> {
  const { topic, offset, stored, config, options } = opening;
  const partitions = opening.partitions ? [...new Set(opening.partitions)] : topic.partitionInfo.map((info) => info.partition);
  const times =
    offset.timestampMs === undefined ? undefined : await lookUpTime(options.transport, topic.name, offset.timestampMs, config.signal);
  const starts = partitions.map((partition) => {
    const info = partitionOf(topic, partition);
    const bounds = { start: info.startOffset, end: info.endOffset, stored: stored.get(partition) };
    const start = times?.get(partition) ?? offset.resolve(bounds, topic.name, partition, config.retryMode !== "disabled");
    return { partition, start, end: info.endOffset };
  });
  const isWhole = opening.partitions === undefined;
  const runs = isWhole ? [starts] : starts.map((start) => [start]);
  return runs.map((run) => {
    const ends = config.disableContinuous ? run.map(({ end }) => end) : undefined;
    const first = run[0]!.partition;
    return readStream(options, isWhole ? undefined : first, new Progress(first, run.map(({ start }) => start), ends));
  });
}

/** Resolves where to begin and gives the stream; requests for records begin with the first one asked for. */
async function openStream(
  transport: Transport,
  wanted: readonly (readonly [topic: string, partitions: readonly number[] | undefined])[],
  offset: Offset,
  config: ConsumerConfig,
  named?: { id: string; strategy: OffsetStrategy; flushMs: number },
): Promise<ConsumerStream> {
  const controller = new AbortController();
  const sources: Source[] = [];
  let positions: Positions | undefined;
  for (const [name, partitions] of wanted) {
    const topic = await fetchTopic(transport, name, config.signal);
    const stored = named ? await fetchStored(transport, name, named.id, config.signal) : new Map<number, number>();
    positions = named && new Positions(transport, name, named.id, named.strategy, named.flushMs);
    sources.push(
      ...(await openTopic({
        topic,
        partitions,
        offset,
        stored,
        config,
        options: { transport, topic: name, signal: controller.signal, retry: config.retryMode ?? DEFAULT_RETRY_MODE, onGap: config.onGap },
      })),
    );
  }
  return new ConsumerStream(mergeSources(sources), controller, config.signal, positions);
}

/** Reads partitions of one or several topics; order holds within a partition. */
export class MultiplePartitionConsumer {
  readonly #transport: Transport;
  readonly #wanted: readonly (readonly [string, readonly number[] | undefined])[];
  readonly #streams = new Set<ConsumerStream>();

  /** @internal */
  constructor(transport: Transport, wanted: readonly (readonly [string, readonly number[] | undefined])[]) {
    this.#transport = transport;
    this.#wanted = wanted;
  }

  /** A stream of records from an offset on, for `for await`. Throws FluvioError when there is no such place. */
  createStream(offset: Offset): Promise<ConsumerStream> {
    return this.streamWithConfig(offset, {});
  }

  async streamWithConfig(offset: Offset, config: ConsumerConfig): Promise<ConsumerStream> {
    checkConfig(config);
    const stream = await openStream(this.#transport, this.#wanted, offset, config);
    this.#streams.add(stream);
    stream.onEnd = () => this.#streams.delete(stream);
    return stream;
  }

  /** Calls back with each record, one at a time; resolves after endStream(), rejects when the stream or a call fails. */
  async stream(offset: Offset, callback: (record: Record) => void | Promise<void>, config: ConsumerConfig = {}): Promise<void> {
    for await (const record of await this.streamWithConfig(offset, config)) {
      await callback(record);
    }
  }

  /** What is there now, from an offset on. */
  async fetch(offset: Offset = Offset.FromBeginning(), config: ConsumerConfig = {}): Promise<Record[]> {
    const records: Record[] = [];
    for await (const record of await this.streamWithConfig(offset, { ...config, disableContinuous: true })) {
      records.push(record);
    }
    return records;
  }

  /** Ends all streams of this consumer. */
  async endStream(): Promise<void> {
    await Promise.all([...this.#streams].map((stream) => stream.close()));
  }
}

/** Reads one partition. */
export class PartitionConsumer extends MultiplePartitionConsumer {
  readonly topic: string;
  readonly partition: number;

  /** @internal */
  constructor(transport: Transport, topic: string, partition: number) {
    super(transport, [[topic, [partition]]]);
    this.topic = topic;
    this.partition = partition;
  }
}

/** @internal */
export async function openConsumer(transport: Transport, config: ConsumerConfigExt): Promise<ConsumerStream> {
  checkConfigExt(config);
  const { topic, partitions, offsetStart = Offset.FromBeginning(), offsetConsumer, offsetStrategy = "none", offsetFlushMs = 10_000 } = config;
  const named = offsetConsumer ? { id: offsetConsumer, strategy: offsetStrategy, flushMs: offsetFlushMs } : undefined;
  return openStream(transport, [[topic, partitions]], offsetStart, config, named);
}
