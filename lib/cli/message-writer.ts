/**
 * Writes what `sub` shows to standard output, no faster than it is read: `sub | less` must not fill our
 * memory, `sub | head -1` must end without a complaint.
 */

import type { Writable } from 'node:stream'

export class MessageWriter {
  readonly #output: Writable
  #isFull = false

  /** `onClosed` is called when nobody reads any longer, `onError` when writing fails otherwise. */
  constructor(output: Writable, onClosed: () => void, onError: (error: Error) => void) {
    this.#output = output
    output.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EPIPE') onClosed()
      else onError(error)
    })
    output.on('drain', () => {
      this.#isFull = false
    })
  }

  get isFull(): boolean {
    return this.#isFull
  }

  write(bytes: Buffer): void {
    if (!this.#output.write(bytes)) this.#isFull = true
  }

  /** Calls `go` when there is room again. */
  whenRoom(go: () => void): void {
    if (this.#isFull) this.#output.once('drain', go)
    else go()
  }
}
