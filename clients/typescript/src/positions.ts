import { FluvioError, asFluvioError } from "./error.js";
import { topicPath, type Transport } from "./http.js";

export type OffsetStrategy = "none" | "manual" | "auto";

interface GroupJson {
  group_id: string;
  partitions: { partition: number; committed_offset: number | null }[];
}

/** Where a named consumer goes on, per partition that it has a position in. The gateway keeps the next offset wanted. */
export async function fetchStored(transport: Transport, topic: string, id: string, signal?: AbortSignal): Promise<Map<number, number>> {
  try {
    const { body } = await transport.request<GroupJson>(`${topicPath(topic)}/groups/${encodeURIComponent(id)}`, { topic, signal });
    return storedOf(body);
  } catch (thrown) {
    if (thrown instanceof FluvioError && thrown.serverCode === "group_not_found") {
      return new Map();
    }
    throw thrown;
  }
}

function storedOf(group: GroupJson): Map<number, number> {
  const stored = new Map<number, number>();
  for (const { partition, committed_offset } of group.partitions) {
    if (committed_offset !== null) {
      stored.set(partition, committed_offset);
    }
  }
  return stored;
}

/** The positions of all named consumers of a topic. */
export async function fetchAllStored(transport: Transport, topic: string): Promise<{ id: string; stored: Map<number, number> }[]> {
  const { body } = await transport.request<{ groups: GroupJson[] }>(`${topicPath(topic)}/groups`, { topic });
  return body.groups.map((group) => ({ id: group.group_id, stored: storedOf(group) }));
}

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

  /** Stores what is marked. Throws OffsetManagementDisabled or OffsetFlushRequestError; then it is still marked. */
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
      await this.#transport.request(`${topicPath(this.#topic)}/commit`, {
        method: "POST",
        json: { group_id: this.#id, offsets: sent.map(([partition, offset]) => ({ partition, offset })) },
        topic: this.#topic,
      });
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
