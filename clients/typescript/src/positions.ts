import { FluvioError, asFluvioError } from "./error.js";
import { topicPath, type Transport } from "./http.js";
import { repeat } from "./retry.js";

export type OffsetStrategy = "none" | "manual" | "auto";

/** The position of a named consumer in one partition. */
export interface ConsumerOffset {
  consumerId: string;
  topic: string;
  partition: number;
  /** The last record that was marked as done; -1: none, it begins at 0. */
  offset: number;
  /** ms since 1970 when it was stored last. */
  modifiedTime: number;
}

interface GroupJson {
  partitions: { partition: number; committed_offset: number | null }[];
}

interface PositionPage {
  positions: { topic: string; group_id: string; partition: number; offset: number; committed_at: number | null }[];
  next_cursor?: string;
}

const PAGE_POSITIONS = 1000;
/** Ten seconds: a gateway may restart. Storing a position twice does no harm. */
const FLUSH_DELAYS_MS = Array<number>(20).fill(500);

/** Where a named consumer goes on, per partition that it has a position in. The gateway keeps the next offset wanted. */
export async function fetchStored(transport: Transport, topic: string, id: string, signal?: AbortSignal): Promise<Map<number, number>> {
  const stored = new Map<number, number>();
  try {
    const { body } = await transport.request<GroupJson>(groupPath(topic, id), { topic, signal });
    for (const { partition, committed_offset } of body.partitions) {
      if (committed_offset !== null) {
        stored.set(partition, committed_offset);
      }
    }
  } catch (thrown) {
    if (!(thrown instanceof FluvioError) || thrown.serverCode !== "group_not_found") {
      throw thrown;
    }
  }
  return stored;
}

/** What is stored over all topics, of one named consumer or of all. */
export async function listPositions(transport: Transport, consumerId?: string): Promise<ConsumerOffset[]> {
  const found: ConsumerOffset[] = [];
  let cursor: string | undefined;
  do {
    const query = { group_id: consumerId, page_size: PAGE_POSITIONS, cursor };
    const { body } = await transport.request<PositionPage>("/positions", { query });
    for (const { topic, group_id, partition, offset, committed_at } of body.positions) {
      if (committed_at !== null) {
        found.push({ consumerId: group_id, topic, partition, offset: offset - 1, modifiedTime: committed_at });
      }
    }
    cursor = body.next_cursor;
  } while (cursor !== undefined);
  return found;
}

/** Stores next offsets wanted; the answer is what stands, since without `force` a position never goes back. */
export async function storePositions(transport: Transport, topic: string, id: string, next: Iterable<readonly [partition: number, offset: number]>, force = false): Promise<Map<number, number>> {
  const { body } = await transport.request<{ committed: { partition: number; offset: number }[] }>(`${topicPath(topic)}/commit`, {
    method: "POST",
    json: { group_id: id, offsets: Array.from(next, ([partition, offset]) => ({ partition, offset })), force },
    topic,
  });
  return new Map(body.committed.map(({ partition, offset }) => [partition, offset]));
}

/** Of one partition, or of all of a topic. */
export async function deletePositions(transport: Transport, topic: string, id: string, partition?: number): Promise<void> {
  const path = groupPath(topic, id) + (partition === undefined ? "" : `/partitions/${partition}`);
  await transport.request(path, { method: "DELETE", topic, partition });
}

const groupPath = (topic: string, id: string): string => `${topicPath(topic)}/groups/${encodeURIComponent(id)}`;

/**
 * The position of one stream of a named consumer: what was handed out, what of that is marked as done, what is stored.
 * Stored positions never go back.
 */
export class Positions {
  readonly #transport: Transport;
  readonly #topic: string;
  readonly #id: string;
  readonly #strategy: OffsetStrategy;
  readonly #flushMs: number;
  readonly #handedOut = new Map<number, number>(); // partition: next offset wanted
  readonly #marked = new Map<number, number>(); // those that are not stored yet
  #flushing: Promise<void> = Promise.resolve();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #isFirst = true;

  constructor(transport: Transport, topic: string, id: string, strategy: OffsetStrategy, flushMs: number) {
    this.#transport = transport;
    this.#topic = topic;
    this.#id = id;
    this.#strategy = strategy;
    this.#flushMs = flushMs;
  }

  handOut(partition: number, offset: number): void {
    this.#handedOut.set(partition, offset + 1);
    if (this.#strategy !== "auto") {
      return;
    }
    this.#marked.set(partition, offset + 1);
    if (this.#isFirst) {
      this.#isFirst = false;
      this.#flushLater(0);
    } else {
      this.#flushLater(this.#flushMs);
    }
  }

  /** In the background; what fails is tried again with the next record, and last when the stream ends. */
  #flushLater(ms: number): void {
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      this.#flush().catch(() => undefined);
    }, ms);
  }

  /** Marks what was handed out as done. Throws OffsetManagementDisabled. */
  commit(): void {
    this.#checkEnabled();
    for (const [partition, next] of this.#handedOut) {
      this.#marked.set(partition, next);
    }
    this.#handedOut.clear();
  }

  /** Stores what is marked; waits for a gateway that restarts. Throws OffsetManagementDisabled or OffsetFlushRequestError;
   * then it is still marked. */
  async flush(): Promise<void> {
    this.#checkEnabled();
    await this.#flush();
  }

  /** The last flush of the automatic strategy. */
  async end(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#strategy === "auto") {
      await this.#flush();
    }
  }

  #checkEnabled(): void {
    if (this.#strategy === "none") {
      throw new FluvioError("OffsetManagementDisabled", 'this stream stores no positions; give offsetConsumer and offsetStrategy "manual" or "auto"', {
        topic: this.#topic,
      });
    }
  }

  /** One at a time. */
  #flush(): Promise<void> {
    const flushed = this.#flushing.then(() => this.#store());
    this.#flushing = flushed.catch(() => undefined);
    return flushed;
  }

  async #store(): Promise<void> {
    const sent = [...this.#marked];
    if (sent.length === 0) {
      return;
    }
    try {
      await repeat(() => storePositions(this.#transport, this.#topic, this.#id, sent), FLUSH_DELAYS_MS);
    } catch (thrown) {
      const error = asFluvioError(thrown);
      throw new FluvioError("OffsetFlushRequestError", `the position of "${this.#id}" was not stored: ${error.message}`, {
        topic: this.#topic,
        status: error.status,
        serverCode: error.serverCode,
        retryable: error.retryable,
        cause: error,
      });
    }
    for (const [partition, next] of sent) {
      if (this.#marked.get(partition) === next) {
        this.#marked.delete(partition);
      }
    }
  }
}
