/**
 * Memory outside of V8's heap that belongs to short-lived objects in it: chunks that were read, slabs that were
 * written. It is free again when its object is collected.
 *
 * V8 collects the young among its objects when they are many, but messages are few objects and many bytes. So before it
 * does, heap and memory outside have reached what it lets the heap grow to, and it marks all that is in the heap, again
 * and again: a message of 1 KB then costs three times as much. To collect the young in time takes half a millisecond,
 * and the memory that is free then is used again while it is in the processor's cache.
 */

import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

/**
 * What one collection frees is counted with the next, so twice as much and what is in use must have room in what V8 lets
 * a small heap grow by, which may be 8 MiB or so: see decision 17.
 */
const COLLECT_BYTES = 6 * 1024 * 1024

export class OutsideMemory {
  readonly #collect: () => void
  #bytes = 0

  /**
   * `collect` frees what the young objects of V8 have; nothing does if it is absent. It is called once, so that whoever
   * brings one that throws learns it here.
   */
  constructor(collect: () => void = () => {}) {
    collect()
    this.#collect = collect
  }

  /** So many bytes were allocated for an object that will not live long. */
  note(bytes: number): void {
    this.#bytes += bytes
    if (this.#bytes < COLLECT_BYTES) return
    this.#bytes = 0
    this.#collect()
  }
}

/**
 * Returns what collects the young objects of this process, undefined where V8 does not let us. For programs that
 * are alone in their process, as it sets a flag of V8.
 */
export function youngCollector(): (() => void) | undefined {
  setFlagsFromString('--expose-gc')
  const gc: unknown = runInNewContext('globalThis.gc')
  return typeof gc === 'function' ? () => gc({ type: 'minor' }) : undefined
}
