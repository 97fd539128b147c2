import { partitionForKey } from "./siphash.js";

/** Chooses the partition of each record. One belongs to one producer. */
export interface Partitioner {
  /** key: undefined for a record without one. The answer is 0 to partitionCount - 1. */
  partition(key: Uint8Array | undefined, value: Uint8Array, partitionCount: number): number;
}

/** The default: equal keys go to one partition, records without a key take turns from partition 0 on. */
export class SiphashRoundRobinPartitioner implements Partitioner {
  #turn = 0;

  partition(key: Uint8Array | undefined, _value: Uint8Array, partitionCount: number): number {
    if (key !== undefined) {
      return partitionForKey(key, partitionCount);
    }
    const turn = this.#turn;
    this.#turn = (turn + 1) >>> 0;
    return turn % partitionCount;
  }
}

/** Always the same partition. */
export class SpecificPartitioner implements Partitioner {
  readonly #partition: number;

  constructor(partition: number) {
    this.#partition = partition;
  }

  partition(): number {
    return this.#partition;
  }
}
