/** How a running command comes to its end: of all the causes the first one wins. */

export class Ending {
  readonly #result: Promise<number>
  #isSettled = false
  #resolve: (exitCode: number) => void = () => {}
  #reject: (failure: unknown) => void = () => {}

  constructor() {
    this.#result = new Promise((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
    })
    // A failure that comes while nobody waits yet is no crash: `wait` tells it.
    this.#result.catch(() => {})
  }

  get isSettled(): boolean {
    return this.#isSettled
  }

  end(exitCode: number): void {
    this.#isSettled = true
    this.#resolve(exitCode)
  }

  fail(failure: unknown): void {
    this.#isSettled = true
    this.#reject(failure)
  }

  /** Resolves with the exit code, rejects with what made the command fail. */
  wait(): Promise<number> {
    return this.#result
  }
}

/**
 * Calls `stop` at the first SIGINT or SIGTERM; the second one kills the process as it always did.
 * Returns what ends the listening.
 */
export function onStopSignal(stop: () => void): () => void {
  const off = () => {
    process.off('SIGINT', once)
    process.off('SIGTERM', once)
  }
  const once = () => {
    off()
    stop()
  }
  process.on('SIGINT', once)
  process.on('SIGTERM', once)
  return off
}
