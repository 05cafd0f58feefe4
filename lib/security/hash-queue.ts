/**
 * A gate before work that threads do: so much of it at once, so much waiting, and no more. The threads are
 * those that also read and write files for the store, so passwords must not take them all.
 */

export class HashQueue {
  readonly #concurrency: number
  readonly #waitingMax: number
  readonly #waiting: (() => void)[] = []
  #running = 0

  constructor(concurrency: number, waitingMax: number) {
    this.#concurrency = concurrency
    this.#waitingMax = waitingMax
  }

  /** Whether `run` would refuse. */
  get isFull(): boolean {
    return this.#running >= this.#concurrency && this.#waiting.length >= this.#waitingMax
  }

  /** Does `work` when its turn comes; returns undefined, at once, if the queue is full. */
  run<T>(work: () => Promise<T>): Promise<T> | undefined {
    if (this.isFull) return undefined
    return this.#turn()
      .then(work)
      .finally(() => this.#next())
  }

  #turn(): Promise<void> {
    if (this.#running < this.#concurrency) {
      this.#running++
      return Promise.resolve()
    }
    return new Promise((resolve) => this.#waiting.push(resolve))
  }

  /** Hands the place on, or gives it back. */
  #next(): void {
    const first = this.#waiting.shift()
    if (first === undefined) this.#running--
    else first()
  }
}
