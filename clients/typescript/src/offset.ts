import { FluvioError } from "./error.js";

export enum OffsetFrom {
  Beginning = "beginning",
  End = "end",
}

type Anchor = "beginning" | "end" | "absolute" | "timestamp";

/** The facts about one partition that a start is found from. */
export interface PartitionBounds {
  /** First kept offset. */
  start: number;
  /** Next offset to be assigned. */
  end: number;
  /** Where a named consumer goes on, if it has a position. */
  stored: number | undefined;
}

function checkIndex(value: number | bigint): number {
  const index = Number(value);
  if (index < 0) {
    throw new FluvioError("NegativeOffset", `an offset must not be negative; this one is ${value}`);
  }
  if (!Number.isSafeInteger(index)) {
    throw new FluvioError("ConsumerConfig", `an offset must be an integer of at most 2^53 - 1; this one is ${value}`);
  }
  return index;
}

const clamp = (offset: number, { start, end }: PartitionBounds): number => Math.min(Math.max(offset, start), end);

/** Where a stream begins. */
export class Offset {
  #anchor: Anchor;
  readonly #index: number;

  /** `index` records after the beginning or before the end; the end itself by default. Throws NegativeOffset. */
  constructor(options: { index?: number | bigint; from?: OffsetFrom | "beginning" | "end" } = {}) {
    const from = options.from ?? "end";
    if (from !== "beginning" && from !== "end") {
      throw new FluvioError("ConsumerConfig", `from is "${String(from)}"; choose "beginning" or "end"`);
    }
    this.#anchor = from;
    this.#index = checkIndex(options.index ?? 0);
  }

  static #at(anchor: Anchor, index: number | bigint): Offset {
    const offset = new Offset({ index });
    offset.#anchor = anchor;
    return offset;
  }

  /** The first kept record, or the one `index` after it. */
  static FromBeginning(index: number = 0): Offset {
    return new Offset({ index, from: "beginning" });
  }

  /** Only what is written from now on; with an index, also the newest `index` records. */
  static FromEnd(index: number = 0): Offset {
    return new Offset({ index, from: "end" });
  }

  /** Exactly this offset, whatever a named consumer has stored. */
  static Absolute(index: number | bigint): Offset {
    return Offset.#at("absolute", index);
  }

  /** The first record that was stored at this time (ms since 1970) or later. */
  static Timestamp(time: number | Date): Offset {
    return Offset.#at("timestamp", Number(time));
  }

  /** @internal The time to look up first, if there is one. */
  get timestampMs(): number | undefined {
    return this.#anchor === "timestamp" ? this.#index : undefined;
  }

  /**
   * @internal The offset to begin at. A stored position takes the place of beginning and end, not of an absolute offset.
   * Throws OffsetOutOfRange (beyond the end) and, unless gaps are skipped, OffsetEvicted (lost to retention): else the
   * gateway tells of the gap when reading begins.
   */
  resolve(bounds: PartitionBounds, topic: string, partition: number, skipsGaps: boolean): number {
    switch (this.#anchor) {
      case "beginning":
        return clamp((bounds.stored ?? bounds.start) + this.#index, bounds);
      case "end":
        return clamp((bounds.stored ?? bounds.end) - this.#index, bounds);
      case "timestamp":
        throw new FluvioError("Internal", "a time is looked up, not computed", { topic, partition });
      case "absolute":
        break;
    }
    if (this.#index > bounds.end) {
      throw new FluvioError(
        "OffsetOutOfRange",
        `offset ${this.#index} is beyond the end of partition ${partition} of "${topic}", ${bounds.end}`,
        { topic, partition, startOffset: bounds.start, endOffset: bounds.end },
      );
    }
    if (this.#index < bounds.start && !skipsGaps) {
      throw new FluvioError(
        "OffsetEvicted",
        `offset ${this.#index} of partition ${partition} of "${topic}" is not kept any more; the first that is: ${bounds.start}`,
        { topic, partition, nextAvailable: bounds.start },
      );
    }
    return this.#index;
  }
}
