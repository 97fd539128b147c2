/** First in, first out. An array's own shift() moves all the others, which counts when a hundred thousand wait. */
export class Fifo<T> {
  #items: (T | undefined)[] = [];
  #head = 0;

  get length(): number {
    return this.#items.length - this.#head;
  }

  get first(): T | undefined {
    return this.#items[this.#head];
  }

  get last(): T | undefined {
    return this.#items.at(-1);
  }

  push(item: T): void {
    this.#items.push(item);
  }

  shift(): T | undefined {
    if (this.length === 0) {
      return undefined;
    }
    const item = this.#items[this.#head];
    this.#items[this.#head++] = undefined;
    if (2 * this.#head >= this.#items.length) {
      this.#items = this.#items.slice(this.#head); // each item moves once for every other one that leaves, at most
      this.#head = 0;
    }
    return item;
  }
}
