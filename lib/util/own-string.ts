/** Strings that are kept longer than what they were cut from. */

import { Buffer } from 'node:buffer'

/**
 * V8 makes a slice of this many characters or more a view that pins the whole string it was cut from
 * (Node 20: 20 characters of a string of 2,000 keep 2,048 bytes, as a copy 47).
 */
const SLICE_LENGTH_MIN = 13

/** Returns an equal string that shares no memory with another. */
export function ownString(text: string): string {
  if (text.length < SLICE_LENGTH_MIN) return text
  const copy = Buffer.from(text, 'latin1').toString('latin1')
  // UTF-16 rather than UTF-8 for the rest: it keeps even what is not well-formed, so the copy is equal.
  return copy === text ? copy : Buffer.from(text, 'utf16le').toString('utf16le')
}

const POOLED_MAX = 4096
const POOLED_LENGTH_MAX = 64

/** Gives strings of their own as `ownString` does, but the same one for equal texts that come often. */
export class StringPool {
  readonly #strings = new Map<string, string>()

  own(text: string): string {
    if (text.length > POOLED_LENGTH_MAX) return ownString(text)
    const pooled = this.#strings.get(text)
    if (pooled !== undefined) return pooled
    // Starting afresh bounds the pool; what comes often is soon back.
    if (this.#strings.size === POOLED_MAX) this.#strings.clear()
    const own = ownString(text)
    this.#strings.set(own, own)
    return own
  }
}
