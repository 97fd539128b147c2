import { FluvioError, asFluvioError, errorOfAnswer } from "./error.js";
import { topicPath, type Transport } from "./http.js";
import { readLines } from "./lines.js";
import { Record, type MessageJson } from "./record.js";
import { sleep } from "./retry.js";

/** Records that retention removed before they were read: from `fromOffset` up to, not including, `toOffset`. */
export interface Gap {
  topic: string;
  partition: number;
  fromOffset: number;
  toOffset: number;
}

/** When a stream that was cut off is opened again. Tries are counted anew with each record. */
export type RetryMode = "disabled" | "forever" | { tryUntil: number };

export interface SourceOptions {
  transport: Transport;
  topic: string;
  signal: AbortSignal;
  onGap: ((gap: Gap) => void) | undefined;
}

export type Source = AsyncGenerator<Record[], void, void>;

interface GapJson {
  partition: number;
  from_offset: number;
  to_offset: number;
}

interface EventJson extends GapJson {
  event?: "gap" | "end" | "error";
  cursor?: string;
  code?: string;
  message?: string;
}

/** The gateway breaks a silence of 15 s; after three of those the connection is dead. */
const SILENCE_MS = 45_000;
const RECONNECT_FIRST_MS = 1000;
const RECONNECT_FACTOR = 1.1;
const RECONNECT_MOST_MS = 30_000;
const PAGE_MESSAGES = 10_000;

function tellGap(options: SourceOptions, gap: GapJson): void {
  options.onGap?.({ topic: options.topic, partition: gap.partition, fromOffset: gap.from_offset, toOffset: gap.to_offset });
}

/**
 * What is in partitions of one topic and what comes: one long request, opened again where it was cut off. `offsets` are
 * those of `partition`, or of all partitions in order. Ends never; throws the signal's reason, an answer that repeating
 * does not help, or MaxRetryReached.
 */
export async function* readLive(options: SourceOptions, partition: number | undefined, offsets: number[], retry: RetryMode): Source {
  const { transport, topic, signal } = options;
  const most = retry === "disabled" ? 0 : retry === "forever" ? Infinity : retry.tryUntil;
  let cursor: string | undefined;
  let failures = 0;
  let delay = RECONNECT_FIRST_MS;
  for (;;) {
    let cut = new FluvioError("Socket", `the stream of "${topic}" was cut off`, { topic, partition, retryable: true });
    try {
      const response = await transport.open(`${topicPath(topic)}/stream`, {
        query: cursor === undefined ? { partition, offset: offsets.join(",") } : { partition, cursor },
        headers: { Accept: "application/x-ndjson" },
        signal,
        topic,
      });
      for await (const lines of readLines(response.body!, SILENCE_MS, signal)) {
        const records: Record[] = [];
        let failure: FluvioError | undefined;
        for (const line of lines) {
          if (line === "") {
            continue;
          }
          const message = JSON.parse(line) as MessageJson & EventJson;
          cursor = message.cursor ?? cursor;
          if (message.event === undefined) {
            records.push(new Record(topic, message));
          } else if (message.event === "gap") {
            tellGap(options, message);
          } else if (message.event === "error") {
            failure = errorOfAnswer(0, message.code, message.message ?? "the stream failed", { topic, partition });
          }
        }
        if (records.length > 0) {
          failures = 0;
          delay = RECONNECT_FIRST_MS;
          yield records;
        }
        if (failure) {
          throw failure;
        }
      }
    } catch (thrown) {
      signal.throwIfAborted();
      cut = thrown instanceof TypeError ? cut : asFluvioError(thrown); // fetch's word for a broken connection
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

interface PageJson {
  messages: MessageJson[];
  next_offset: number;
  gaps?: GapJson[];
}

/** What one partition holds from `start` up to, not including, `end`; then it ends. Throws what a request throws. */
export async function* readBounded(options: SourceOptions, partition: number, start: number, end: number, maxBytes: number): Source {
  const { transport, topic, signal } = options;
  for (let next = start; next < end; ) {
    const { body } = await transport.request<PageJson>(`${topicPath(topic)}/consume`, {
      method: "POST",
      json: { partition, offset: next, max_messages: Math.min(PAGE_MESSAGES, end - next), max_bytes: maxBytes },
      signal,
      topic,
      partition,
    });
    for (const gap of body.gaps ?? []) {
      tellGap(options, gap);
    }
    const messages = body.messages.filter((message) => message.offset < end);
    if (messages.length > 0) {
      yield messages.map((message) => new Record(topic, message));
    }
    if (body.next_offset <= next) {
      return; // the topic was made anew and is shorter now
    }
    next = body.next_offset;
  }
}

/** What several sources give, as it comes; the order within each is kept and none starves. Ends when all have ended. */
export async function* mergeSources(sources: Source[]): Source {
  const pull = (source: Source) => {
    const pulled = source.next().then((result) => ({ source, result }));
    pulled.catch(() => undefined); // only the first failure is thrown
    return pulled;
  };
  const pending = new Map(sources.map((source) => [source, pull(source)]));
  while (pending.size > 0) {
    const { source, result } = await Promise.race(pending.values());
    pending.delete(source);
    if (!result.done) {
      pending.set(source, pull(source)); // last in line
      yield result.value;
    }
  }
}
