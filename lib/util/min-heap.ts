/**
 * A binary heap: the item with the smallest key comes first. Items know their place, so that any of them
 * can be removed in logarithmic time. Items of equal keys come in no particular order.
 */

export interface HeapItem {
  /** Belongs to the heap: where the item stands, -1 while it is in none. An item is in one heap only. */
  heapIndex: number
}

export class MinHeap<T extends HeapItem> {
  // Two arrays: comparing walks plain numbers and touches no item.
  readonly #keys: number[] = []
  readonly #items: T[] = []

  get length(): number {
    return this.#items.length
  }

  /** The smallest key; Infinity when the heap is empty. */
  get minKey(): number {
    return this.#keys[0] ?? Number.POSITIVE_INFINITY
  }

  peek(): T | undefined {
    return this.#items[0]
  }

  /** Adds an item that is in no heap. */
  push(key: number, item: T): void {
    const index = this.#items.length
    this.#keys.push(key)
    this.#items.push(item)
    this.#rise(index, key, item)
  }

  /** Removes and returns the item with the smallest key. */
  pop(): T | undefined {
    const first = this.#items[0]
    if (first !== undefined) this.remove(first)
    return first
  }

  /** Removes an item; says whether it was in the heap. */
  remove(item: T): boolean {
    const index = item.heapIndex
    if (index === -1) return false
    const lastKey = this.#keys.pop()!
    const last = this.#items.pop()!
    item.heapIndex = -1
    if (last === item) return true
    // The last item fills the hole; from there it may have to go either way.
    if (index > 0 && lastKey < this.#keys[(index - 1) >> 1]!) {
      this.#rise(index, lastKey, last)
    } else {
      this.#sink(index, lastKey, last)
    }
    return true
  }

  clear(): void {
    for (const item of this.#items) item.heapIndex = -1
    this.#keys.length = 0
    this.#items.length = 0
  }

  #rise(from: number, key: number, item: T): void {
    let index = from
    while (index > 0) {
      const parent = (index - 1) >> 1
      const parentKey = this.#keys[parent]!
      if (parentKey <= key) break
      this.#put(index, parentKey, this.#items[parent]!)
      index = parent
    }
    this.#put(index, key, item)
  }

  #sink(from: number, key: number, item: T): void {
    const keys = this.#keys
    let index = from
    for (;;) {
      let child = 2 * index + 1
      if (child >= keys.length) break
      const isRightLess = child + 1 < keys.length && keys[child + 1]! < keys[child]!
      if (isRightLess) child++
      const childKey = keys[child]!
      if (key <= childKey) break
      this.#put(index, childKey, this.#items[child]!)
      index = child
    }
    this.#put(index, key, item)
  }

  #put(index: number, key: number, item: T): void {
    this.#keys[index] = key
    this.#items[index] = item
    item.heapIndex = index
  }
}
