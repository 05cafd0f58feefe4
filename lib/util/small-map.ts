/**
 * A `Map` of strings that is small where it has one entry, as most have: an empty `Map` takes 320 bytes, this one 48
 * until it has two.
 */
export class SmallMap<V extends object> {
  #key: string | undefined = undefined
  #value: V | undefined = undefined
  /** All entries, as soon as there were two. */
  #all: Map<string, V> | undefined = undefined

  get size(): number {
    if (this.#all !== undefined) return this.#all.size
    return this.#value === undefined ? 0 : 1
  }

  get(key: string): V | undefined {
    if (this.#all !== undefined) return this.#all.get(key)
    return key === this.#key ? this.#value : undefined
  }

  has(key: string): boolean {
    return this.get(key) !== undefined
  }

  set(key: string, value: V): void {
    if (this.#all !== undefined) {
      this.#all.set(key, value)
    } else if (this.#value === undefined || key === this.#key) {
      this.#key = key
      this.#value = value
    } else {
      this.#all = new Map([[this.#key as string, this.#value]])
      this.#all.set(key, value)
      this.#key = undefined
      this.#value = undefined
    }
  }

  /** Says whether it was there. */
  delete(key: string): boolean {
    if (this.#all !== undefined) return this.#all.delete(key)
    if (this.#value === undefined || key !== this.#key) return false
    this.#key = undefined
    this.#value = undefined
    return true
  }

  /** As a `Map` has them, in the order in which they were first set. */
  keys(): Iterable<string> {
    if (this.#all !== undefined) return this.#all.keys()
    return this.#key === undefined ? [] : [this.#key]
  }

  values(): Iterable<V> {
    if (this.#all !== undefined) return this.#all.values()
    return this.#value === undefined ? [] : [this.#value]
  }
}
