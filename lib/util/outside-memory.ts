/**
 * Memory outside of V8's heap that belongs to short-lived objects in it: chunks that were read, slabs that were
 * written. It is free again when its object is collected.
 *
 * V8 collects the young among its objects when they are many, but messages are few objects and many bytes. So before it
 * does, it sees more outside of its heap than it likes, takes that for a shortage, and marks all that is in the heap, again
 * and again. Node 24 does so whenever payloads are large, Node 20 in some processes: a message of 1 KB then costs
 * twice as much. To collect the young in time takes less than a millisecond.
 */

import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

/** V8 begins to mark at 64 MiB; what is in use must have room beside what is not. */
const COLLECT_BYTES = 24 * 1024 * 1024

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
