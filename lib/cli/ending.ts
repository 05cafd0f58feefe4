/** How a running command comes to its end: of all the causes the first one wins. */

import { ExitCode } from './exit-codes.ts'

export class Ending {
  readonly #controller = new AbortController()
  readonly #result: Promise<number>
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

  /** Aborted as soon as the command shall stop. */
  get signal(): AbortSignal {
    return this.#controller.signal
  }

  get isSettled(): boolean {
    return this.#controller.signal.aborted
  }

  end(exitCode: number): void {
    this.#resolve(exitCode)
    this.#controller.abort()
  }

  fail(failure: unknown): void {
    this.#reject(failure)
    this.#controller.abort()
  }

  /** Resolves with the exit code, rejects with what made the command fail. */
  wait(): Promise<number> {
    return this.#result
  }

  /** SIGINT and SIGTERM end the command well; a second one kills the process as it always did. */
  endOnSignals(): void {
    const stop = () => {
      process.off('SIGINT', stop)
      process.off('SIGTERM', stop)
      this.end(ExitCode.Success)
    }
    process.on('SIGINT', stop)
    process.on('SIGTERM', stop)
    this.signal.addEventListener('abort', () => {
      process.off('SIGINT', stop)
      process.off('SIGTERM', stop)
    })
  }
}
