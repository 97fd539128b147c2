import { readPieces } from "./body.js";
import type { Body } from "./carrier.js";
import { FluvioError, asFluvioError, errorOfAnswer } from "./error.js";
import { topicPath, type Transport } from "./http.js";
import { PACKETS, PacketReader, type Packet } from "./packet.js";
import { Progress } from "./progress.js";
import { Record } from "./record.js";
import { sleep } from "./retry.js";
import { fetchTopic } from "./topic.js";

/** Records that retention removed before they were read: from `fromOffset` up to, not including, `toOffset`. */
export interface Gap {
  topic: string;
  partition: number;
  fromOffset: number;
  toOffset: number;
}

/** When a stream that was cut off is opened again. Tries are counted anew when one has worked. */
export type RetryMode = "disabled" | "forever" | { tryUntil: number };

export interface SourceOptions {
  transport: Transport;
  topic: string;
  signal: AbortSignal;
  retry: RetryMode;
  onGap: ((gap: Gap) => void) | undefined;
}

export type Source = AsyncGenerator<Record[], void, void>;

/** The gateway breaks a silence of 15 s; after three of those the connection is dead. */
const SILENCE_MS = 45_000;
const RECONNECT_FIRST_MS = 1000;
const RECONNECT_FACTOR = 1.1;
const RECONNECT_MOST_MS = 30_000;

function tellGap({ topic, onGap }: SourceOptions, partition: number, fromOffset: number, toOffset: number): void {
  // Before the records behind it; what it throws is the program's to handle, and no reason to connect again.
  queueMicrotask(() => onGap?.({ topic, partition, fromOffset, toOffset }));
}

async function openStream({ transport, topic, signal, retry }: SourceOptions, partition: number | undefined, progress: Progress): Promise<Body> {
  return transport.open(`${topicPath(topic)}/stream`, {
    // Who does not want to go on behind a gap is told of it as an error.
    query: { partition, offset: progress.offsets.join(","), strict: retry === "disabled" ? "true" : undefined },
    headers: { Accept: PACKETS },
    signal,
    topic,
    partition,
  });
}

/** Takes note of packets; gives the records that are wanted, in runs between gaps. Throws what an error event says. */
function* takePackets(options: SourceOptions, progress: Progress, packets: Packet[]): Generator<Record[], void, void> {
  const { topic } = options;
  let records: Record[] = [];
  for (const packet of packets) {
    if (packet instanceof Record) {
      if (progress.take(packet)) {
        records.push(packet);
      }
    } else if (packet.type === "gap") {
      if (records.length > 0) {
        yield records;
        records = [];
      }
      progress.skip(packet.partition, packet.to);
      tellGap(options, packet.partition, packet.from, packet.to);
    } else if (packet.type === "caught up") {
      progress.catchUp(packet.first, packet.offsets);
    } else if (packet.event === "error") {
      if (records.length > 0) {
        yield records;
      }
      throw errorOfAnswer(0, packet.code, packet.message ?? "the stream failed", { topic });
    }
  }
  if (records.length > 0) {
    yield records;
  }
}

/**
 * The records of one partition of a topic, or of all, from where `progress` is: one long request, opened again where it
 * was cut off. Ends where `progress` does. Throws the signal's reason, an answer that repeating does not help, or
 * MaxRetryReached.
 */
export async function* readStream(options: SourceOptions, partition: number | undefined, progress: Progress): Source {
  const { transport, topic, signal, retry } = options;
  const most = retry === "disabled" ? 0 : retry === "forever" ? Infinity : retry.tryUntil;
  let failures = 0;
  let delay = RECONNECT_FIRST_MS;
  while (!progress.isDone) {
    let cut = new FluvioError("Socket", `the stream of "${topic}" was cut off`, { topic, partition, retryable: true });
    try {
      if (failures > 0 && partition === undefined) {
        progress.grow((await fetchTopic(transport, topic, signal)).partitions);
      }
      const reader = new PacketReader(topic);
      for await (const piece of readPieces(await openStream(options, partition, progress), SILENCE_MS, signal)) {
        const packets = reader.push(piece);
        if (packets.some((packet) => !("event" in packet))) {
          failures = 0;
          delay = RECONNECT_FIRST_MS;
        }
        yield* takePackets(options, progress, packets);
        if (progress.isDone) {
          return;
        }
      }
    } catch (thrown) {
      signal.throwIfAborted();
      cut = asFluvioError(thrown);
      if (!cut.retryable) {
        throw cut;
      }
    }
    signal.throwIfAborted();
    if (++failures > most) {
      throw most === 0
        ? cut
        : new FluvioError("MaxRetryReached", `the stream of "${topic}" could not be opened again in ${most} tries: ${cut.message}`, {
            topic,
            partition,
            cause: cut,
          });
    }
    await sleep(Math.max(delay, cut.retryAfterMs ?? 0), signal);
    delay = Math.min(delay * RECONNECT_FACTOR, RECONNECT_MOST_MS);
  }
}

/**
 * What several sources give, as it comes; the order within each is kept and none starves. Each reads one run of records
 * ahead. Ends when all have ended, or with the first failure.
 */
export async function* mergeSources(sources: Source[]): Source {
  const arrived: { source: Source; result: IteratorResult<Record[], void> }[] = [];
  let failure: { thrown: unknown } | undefined;
  let wake: () => void = () => undefined;
  // A promise race would keep a note of each turn in the promise of a source that is silent for long.
  const pull = (source: Source) =>
    source
      .next()
      .then(
        (result) => arrived.push({ source, result }),
        (thrown: unknown) => (failure ??= { thrown }),
      )
      .then(() => wake());
  sources.forEach(pull);
  for (let open = sources.length; open > 0; ) {
    const next = arrived.shift();
    if (next?.result.done) {
      open--;
    } else if (next) {
      void pull(next.source); // last in line
      yield next.result.value as Record[];
    } else if (failure) {
      throw failure.thrown;
    } else {
      await new Promise<void>((resolve) => (wake = resolve));
    }
  }
}
