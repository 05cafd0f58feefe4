/**
 * Pre-shared keys by identity, from a file that is live (`pskFile` of a listener): `IDENTITY:HEXKEY`, a line
 * each, as in a psk_file of Mosquitto.
 */

import { Buffer } from 'node:buffer'
import { createHmac, randomBytes } from 'node:crypto'
import { FileProblem } from './file-problem.ts'

export const IDENTITIES_MAX: number = 100_000
/** OpenSSL takes no more. */
export const IDENTITY_BYTES_MAX: number = 128
export const KEY_BYTES_MAX: number = 64
/** A shorter one can be guessed by whoever has listened, as nothing slows the guessing down. */
const KEY_BYTES_SAFE: number = 16

const DECOY_SECRET_BYTES = 32

type Keys = ReadonlyMap<string, Buffer>

/** Returns the key of each identity. Throws a `FileProblem` for the first line that is wrong. */
export function parsePreSharedKeys(text: string): Keys {
  const keys = new Map<string, Buffer>()
  for (const [index, line] of text.split('\n').entries()) {
    const content = line.trim()
    if (content === '' || content.startsWith('#')) continue
    const fail = (sentence: string) => new FileProblem(index + 1, sentence)
    const colon = content.lastIndexOf(':')
    if (colon < 1) throw fail('not IDENTITY:HEXKEY')
    const identity = content.slice(0, colon)
    const digits = content.slice(colon + 1)
    if (Buffer.byteLength(identity) > IDENTITY_BYTES_MAX) {
      throw fail(`the identity has more than ${IDENTITY_BYTES_MAX} bytes`)
    }
    if (!/^([0-9a-f]{2})+$/i.test(digits)) throw fail('the key is not pairs of hexadecimal digits')
    if (digits.length > KEY_BYTES_MAX * 2)
      throw fail(`the key has more than ${KEY_BYTES_MAX} bytes`)
    if (keys.has(identity)) throw fail(`${JSON.stringify(identity)} stands there twice`)
    if (keys.size === IDENTITIES_MAX) throw fail(`there are more than ${IDENTITIES_MAX} identities`)
    keys.set(identity, Buffer.from(digits, 'hex'))
  }
  return keys
}

export class PskIdentities {
  readonly #secret = randomBytes(DECOY_SECRET_BYTES)
  #keys: Keys = new Map()

  /**
   * Takes a file's text into force and returns the identities that are gone or have another key; throws a
   * `FileProblem`, and then nothing has changed.
   */
  use(text: string): ReadonlySet<string> {
    const keys = parsePreSharedKeys(text)
    const changed = [...this.#keys].filter(([identity, key]) => !keys.get(identity)?.equals(key))
    this.#keys = keys
    return new Set(changed.map(([identity]) => identity))
  }

  /** How many keys are shorter than they should be. */
  get weakCount(): number {
    return [...this.#keys.values()].filter(({ length }) => length < KEY_BYTES_SAFE).length
  }

  /** Of an identity that nobody has, a key that nobody can know: it fails as a wrong key does. */
  keyOf(identity: string): Buffer {
    const decoy = createHmac('sha256', this.#secret).update(identity).digest()
    return this.#keys.get(identity) ?? decoy
  }
}
