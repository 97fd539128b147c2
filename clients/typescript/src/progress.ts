import type { Record } from "./record.js";

/** Where a stream is in each of its partitions, and where it ends if it does. */
export class Progress {
  readonly #first: number;
  readonly #next: number[];
  readonly #ends: readonly number[] | undefined;

  /** Of the partitions from `first` on: the next offset of each, and the offset before which it ends. */
  constructor(first: number, next: number[], ends: readonly number[] | undefined) {
    this.#first = first;
    this.#next = next;
    this.#ends = ends;
  }

  /** To go on from. */
  get offsets(): readonly number[] {
    return this.#next;
  }

  get isDone(): boolean {
    return this.#ends !== undefined && this.#ends.every((end, i) => this.#next[i]! >= end);
  }

  /** Whether the record is to be given: one that came before the end. */
  take(record: Record): boolean {
    const index = record.partition() - this.#first;
    const offset = record.offset();
    this.#set(index, offset + 1);
    return this.#ends === undefined || offset < (this.#ends[index] ?? 0);
  }

  skip(partition: number, to: number): void {
    this.#set(partition - this.#first, to);
  }

  /** All that is there was sent. What is said to end later was there when the stream began, and is not there any more. */
  catchUp(first: number, offsets: readonly number[]): void {
    offsets.forEach((offset, i) => {
      const index = first + i - this.#first;
      this.#set(index, Math.max(offset, this.#ends?.[index] ?? 0));
    });
  }

  /** There are so many partitions now: the new ones are read from their beginning. */
  grow(partitions: number): void {
    while (this.#next.length < partitions) {
      this.#next.push(0);
    }
  }

  #set(index: number, next: number): void {
    this.grow(index);
    this.#next[index] = next;
  }
}
