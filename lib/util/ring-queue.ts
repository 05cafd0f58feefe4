/**
 * A first-in first-out queue on a ring that grows by doubling and is given up when empty, so that a
 * queue that was long once costs nothing when idle.
 */

const CAPACITY_MIN = 8

export class RingQueue<T> {
  #items: (T | undefined)[] = []
  #head = 0
  #length = 0

  get length(): number {
    return this.#length
  }

  push(item: T): void {
    if (this.#length === this.#items.length) this.#grow()
    this.#items[(this.#head + this.#length) & (this.#items.length - 1)] = item
    this.#length++
  }

  shift(): T | undefined {
    if (this.#length === 0) return undefined
    const item = this.#items[this.#head]
    this.#items[this.#head] = undefined
    this.#head = (this.#head + 1) & (this.#items.length - 1)
    this.#length--
    if (this.#length === 0) this.#giveUp()
    return item
  }

  peek(): T | undefined {
    return this.#length === 0 ? undefined : this.#items[this.#head]
  }

  /** The item at `index`, counted from the front. */
  at(index: number): T | undefined {
    if (index < 0 || index >= this.#length) return undefined
    return this.#items[(this.#head + index) & (this.#items.length - 1)]
  }

  clear(): void {
    this.#items = []
    this.#head = 0
    this.#length = 0
  }

  /** Removes the item at `index`; costs a move of each item in front of it. */
  removeAt(index: number): T | undefined {
    const item = this.at(index)
    if (index < 0 || index >= this.#length) return undefined
    const mask = this.#items.length - 1
    for (let i = index; i > 0; i--) {
      this.#items[(this.#head + i) & mask] = this.#items[(this.#head + i - 1) & mask]
    }
    this.shift()
    return item
  }

  /** Removes every item for which `matches` holds; the others keep their order. */
  removeIf(matches: (item: T) => boolean): void {
    const length = this.#length
    const mask = this.#items.length - 1
    let kept = 0
    for (let i = 0; i < length; i++) {
      const item = this.#items[(this.#head + i) & mask]!
      if (!matches(item)) this.#items[(this.#head + kept++) & mask] = item
    }
    for (let i = kept; i < length; i++) this.#items[(this.#head + i) & mask] = undefined
    this.#length = kept
    if (kept === 0) this.#giveUp()
  }

  *[Symbol.iterator](): IterableIterator<T> {
    for (let i = 0; i < this.#length; i++) yield this.at(i)!
  }

  /** Starts anew when the last item has left its place. A small ring is kept: it is filled again soon. */
  #giveUp(): void {
    if (this.#items.length > CAPACITY_MIN) this.#items = []
    this.#head = 0
  }

  #grow(): void {
    const items: (T | undefined)[] = []
    items.length = Math.max(CAPACITY_MIN, this.#items.length * 2)
    for (let i = 0; i < this.#length; i++) items[i] = this.at(i)
    this.#items = items
    this.#head = 0
  }
}
