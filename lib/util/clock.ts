/** Time as a parameter: the broker reads no clock of its own, so that tests can move it. */

export interface Clock {
  /** Milliseconds since 1970, never going back within one process. */
  now(): number
  /** Calls `callback` once, `delayMs` from now; returns the way to prevent it. */
  after(delayMs: number, callback: () => void): () => void
}

// Wall time as the process started, moved on by the monotonic clock: a step of the system clock must
// not expire sessions or kill connections.
const origin = Date.now() - performance.now()

// Node runs a longer timer at once, see setTimeout's documentation.
const TIMEOUT_MAX_MS = 2 ** 31 - 1

export const systemClock: Clock = {
  now: () => Math.floor(origin + performance.now()),
  after(delayMs, callback) {
    const timer = setTimeout(callback, Math.min(delayMs, TIMEOUT_MAX_MS))
    timer.unref()
    return () => clearTimeout(timer)
  },
}
