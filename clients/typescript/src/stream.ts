import { FluvioError } from "./error.js";
import type { Positions } from "./positions.js";
import type { Record } from "./record.js";
import type { Source } from "./source.js";

type Result = IteratorResult<Record, undefined>;

const DONE: Result = { done: true, value: undefined };

/** Records as they come. Leaving the loop, or close(), ends the requests behind it. */
export class ConsumerStream implements AsyncIterableIterator<Record> {
  readonly #source: Source;
  readonly #controller: AbortController;
  readonly #signal: AbortSignal | undefined;
  readonly #onAbort: () => void;
  readonly #positions: Positions | undefined;
  #buffer: Record[] = [];
  #index = 0;
  #filling: Promise<void> | undefined;
  #isExhausted = false;
  #ended: Promise<void> | undefined;
  /** @internal */
  onEnd: (() => void) | undefined;

  /** @internal */
  constructor(source: Source, controller: AbortController, signal: AbortSignal | undefined, positions: Positions | undefined) {
    this.#source = source;
    this.#controller = controller;
    this.#signal = signal;
    this.#positions = positions;
    this.#onAbort = () => controller.abort(signal!.reason);
    signal?.addEventListener("abort", this.#onAbort, { once: true });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  /** The next record, or the end. Throws FluvioError, or the reason of the signal that was aborted; then it has ended. */
  async next(): Promise<Result> {
    if (this.#signal?.aborted) {
      await this.#end().catch(() => undefined);
      throw this.#signal.reason;
    }
    while (this.#index >= this.#buffer.length && !this.#isExhausted && !this.#ended) {
      this.#filling ??= this.#fill().finally(() => (this.#filling = undefined));
      await this.#filling;
    }
    if (this.#ended || this.#index >= this.#buffer.length) {
      await this.#end();
      return DONE;
    }
    const record = this.#buffer[this.#index++]!;
    this.#positions?.handOut(record.partition(), record.offset());
    return { done: false, value: record };
  }

  async #fill(): Promise<void> {
    try {
      const { done, value } = await this.#source.next();
      this.#isExhausted = done === true;
      this.#buffer = value ?? [];
      this.#index = 0;
    } catch (thrown) {
      if (this.#ended) {
        this.#isExhausted = true; // close() cut it off
        return;
      }
      await this.#end().catch(() => undefined); // the first failure is the one to tell
      throw thrown;
    }
  }

  /** Ends the stream, as leaving a `for await` does. Throws what the last automatic flush of positions throws. */
  async return(): Promise<Result> {
    await this.#end();
    return DONE;
  }

  async close(): Promise<void> {
    await this.#end();
  }

  #end(): Promise<void> {
    if (!this.#ended) {
      this.#signal?.removeEventListener("abort", this.#onAbort);
      this.#ended = this.#positions?.end() ?? Promise.resolve();
      this.#controller.abort(new FluvioError("Closed", "the stream is closed"));
      this.onEnd?.();
    }
    return this.#ended;
  }

  /** Marks the records handed out so far as done. Nothing is sent. Throws OffsetManagementDisabled. */
  offsetCommit(): void {
    this.#managed().commit();
  }

  /** Stores what is marked, in several tries if need be. Throws OffsetManagementDisabled or OffsetFlushRequestError. */
  async offsetFlush(): Promise<void> {
    await this.#managed().flush();
  }

  #managed(): Positions {
    if (!this.#positions) {
      throw new FluvioError("OffsetManagementDisabled", 'this stream stores no positions; give offsetConsumer and offsetStrategy "manual" or "auto"');
    }
    return this.#positions;
  }
}
