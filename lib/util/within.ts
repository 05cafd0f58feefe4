/** Waiting with an end. */

import type { Timers } from './timers.ts'

/** Settles as `promise` does, or rejects with what `makeError` makes when it has not within `timeoutMs`. */
export function within<T>(
  promise: Promise<T>,
  timers: Timers,
  timeoutMs: number,
  makeError: () => Error,
): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = timers.after(timeoutMs, () => reject(makeError()))
    promise.then(resolve, reject).finally(() => timer.cancel())
  })
}
