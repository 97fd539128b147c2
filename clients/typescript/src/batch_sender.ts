import type { Batch } from "./batch.js";
import type { Codec } from "./codec.js";
import { FluvioError, asFluvioError } from "./error.js";
import { topicPath, type Transport } from "./http.js";
import { PACKETS } from "./packet.js";
import type { ProducerSettings } from "./producer_config.js";
import { retryDelays, sleep } from "./retry.js";

interface ProduceAnswer {
  partitions: { partition: number; offset: number; count: number }[];
}

const NETWORK_ALLOWANCE_MS = 5000;
const NETWORK_MS_PER_KIB = 10;

/**
 * Brings the batches of one partition to the gateway, one at a time: the order is kept across repeats. As a producer of
 * its own (id, epoch, sequence) it makes a repeated batch be stored once, whatever happened to the first answer.
 */
export class BatchSender {
  readonly #transport: Transport;
  readonly #topic: string;
  readonly #partition: number;
  readonly #settings: ProducerSettings;
  readonly #codec: Codec | undefined;
  readonly #producerId: string;
  #epoch = 0;
  #sequence = 0;

  constructor(transport: Transport, topic: string, partition: number, settings: ProducerSettings, codec: Codec | undefined, producerId: string) {
    this.#transport = transport;
    this.#topic = topic;
    this.#partition = partition;
    this.#settings = settings;
    this.#codec = codec;
    this.#producerId = producerId;
  }

  /** After a failure it is unknown which sequence comes next; a new epoch begins at 0 in any case. */
  startEpoch(): void {
    this.#epoch++;
    this.#sequence = 0;
  }

  /** The offset of the first record; the others follow it. Throws FluvioError; ProduceRequestRetryTimeout when the tries or their time are over. */
  async send(batch: Batch, signal: AbortSignal): Promise<number> {
    const { retry, deliverySemantic } = this.#settings;
    const body = this.#codec ? await this.#codec(batch.body()) : batch.body();
    const delays = deliverySemantic === "at-most-once" ? [] : retryDelays(retry);
    const deadline = Date.now() + retry.timeoutMs;
    let hasBegunAnew = false;
    for (let tries = 0; ; tries++) {
      try {
        const offset = await this.#try(body, signal);
        this.#sequence++;
        return offset;
      } catch (thrown) {
        signal.throwIfAborted();
        const error = asFluvioError(thrown);
        if (error.kind === "ProducerSequenceGap" && !hasBegunAnew) {
          // All before was answered: the gateway has forgotten a producer that was silent for long.
          hasBegunAnew = true;
          this.startEpoch();
          continue;
        }
        if (!error.retryable || deliverySemantic === "at-most-once") {
          throw error;
        }
        const delay = Math.max(delays[tries] ?? 0, error.retryAfterMs ?? 0);
        if (tries >= delays.length || Date.now() + delay > deadline) {
          throw new FluvioError(
            "ProduceRequestRetryTimeout",
            `partition ${this.#partition} of "${this.#topic}" took no batch in ${tries + 1} tries; the last: ${error.message}`,
            { topic: this.#topic, partition: this.#partition, status: error.status, serverCode: error.serverCode, retryable: true, cause: error },
          );
        }
        await sleep(delay, signal);
      }
    }
  }

  async #try(body: Uint8Array, signal: AbortSignal): Promise<number> {
    const { timeoutMs, compression, deliverySemantic, idempotent } = this.#settings;
    const headers: Record<string, string> = { "Content-Type": PACKETS, Prefer: "return=minimal" };
    if (compression !== "none") {
      headers["Content-Encoding"] = compression;
    }
    if (idempotent && deliverySemantic === "at-least-once") {
      headers["Producer-Id"] = this.#producerId;
      headers["Producer-Epoch"] = String(this.#epoch);
      headers["Producer-Seq"] = String(this.#sequence);
    }
    const answer = await this.#transport.request<ProduceAnswer>(`${topicPath(this.#topic)}/produce`, {
      method: "POST",
      body,
      headers,
      signal,
      timeoutMs: timeoutMs + NETWORK_ALLOWANCE_MS + Math.ceil((body.length / 1024) * NETWORK_MS_PER_KIB),
      topic: this.#topic,
      partition: this.#partition,
    });
    return answer.body.partitions[0]!.offset;
  }
}
