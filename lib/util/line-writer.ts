/**
 * Writes lines to a file descriptor without waiting for its reader: the log's way to the standard output.
 *
 * One write is under way at a time, what comes meanwhile is the next one. A reader that has gone silences
 * the writer, a slow one loses lines: neither stops the broker, nor makes it grow.
 */

import { write, writeSync } from 'node:fs'

/** How much waits for a slow reader. */
export const PENDING_BYTES_MAX: number = 16 * 1024 ** 2

const RETRY_MS = 20

// A process that ends gives a slow reader one second more.
const EXIT_RETRIES_MAX = 50

export class LineWriter {
  /** Called when the reader has caught up after lines were lost, with their number. */
  onLost: (lines: number) => void = () => {}
  readonly #descriptor: number
  #pending: string[] = []
  #pendingBytes = 0
  #lost = 0
  /** What the write under way has not written. */
  #current: Buffer | undefined
  #isRetrying = false
  #isClosed = false

  constructor(descriptor: number) {
    this.#descriptor = descriptor
  }

  write(line: string): void {
    if (this.#isClosed) return
    const size = Buffer.byteLength(line)
    if (this.#pendingBytes + size > PENDING_BYTES_MAX) {
      this.#lost++
      return
    }
    this.#pending.push(line)
    this.#pendingBytes += size
    if (this.#current === undefined) this.#next()
  }

  /** Writes what is pending and blocks meanwhile; for the end of the process. */
  flushSync(): void {
    // A write under way belongs to a thread of Node's, which finishes it.
    const waiting = this.#isRetrying ? [this.#current ?? Buffer.alloc(0)] : []
    let rest = Buffer.concat([...waiting, Buffer.from(this.#pending.join(''))])
    this.#current = undefined
    this.#pending = []
    for (let retries = 0; rest.length > 0 && !this.#isClosed; ) {
      try {
        rest = rest.subarray(writeSync(this.#descriptor, rest))
      } catch (error) {
        if (!isBusy(error) || ++retries > EXIT_RETRIES_MAX) return
        sleep(RETRY_MS)
      }
    }
  }

  #next(): void {
    if (this.#pending.length === 0) return
    this.#current = Buffer.from(this.#pending.join(''))
    this.#pending = []
    this.#writeCurrent()
  }

  #writeCurrent(): void {
    const current = this.#current
    if (current === undefined) return
    this.#isRetrying = false
    write(this.#descriptor, current, (error, written) => {
      if (isBusy(error)) {
        this.#isRetrying = true
        setTimeout(() => this.#writeCurrent(), RETRY_MS)
      } else if (error === null) {
        this.#written(current, written)
      } else {
        this.#isClosed = true
        this.#pending = []
      }
    })
  }

  #written(current: Buffer, written: number): void {
    this.#pendingBytes -= written
    if (written < current.length) {
      this.#current = current.subarray(written)
      this.#writeCurrent()
      return
    }
    this.#current = undefined
    this.#next()
    if (this.#lost === 0 || this.#current !== undefined) return
    const lost = this.#lost
    this.#lost = 0
    this.onLost(lost)
  }
}

let shared: LineWriter | undefined

/** Returns the one writer of the standard output, which is flushed when the process exits. */
export function standardOutput(): LineWriter {
  if (shared === undefined) {
    const writer = new LineWriter(1)
    process.once('exit', () => writer.flushSync())
    shared = writer
  }
  return shared
}

/** A pipe without room whose descriptor does not block. */
function isBusy(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'EAGAIN'
}

function sleep(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms)
}
