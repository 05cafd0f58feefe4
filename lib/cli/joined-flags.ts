/**
 * Joins each flag of a client command with its value, before yargs sees them: `-m -5` sends "-5" and
 * `-m --help` sends "--help" as with mosquitto_pub, where the word after such a flag is its value, always.
 */

import type { Options } from 'yargs'
import { UsageError } from './failures.ts'
import { PROPERTY_SEPARATOR } from './property-flags.ts'

/** Returns `['--message=-5']` for `['-m', '-5']`. */
export function joinFlags(
  words: readonly string[],
  options: Readonly<Record<string, Options>>,
): string[] {
  const names = namesOfFlagsWithValue(options)
  const joined: string[] = []
  for (let i = 0; i < words.length; ) {
    const word = words[i] ?? ''
    const name = names.get(word)
    if (name === undefined) {
      joined.push(word)
      i += 1
    } else {
      const value = words.slice(i + 1, i + 1 + countWords(name, words.slice(i + 1)))
      if (value.length === 0) throw new UsageError(`${word} needs a value`)
      joined.push(`--${name}=${value.join(PROPERTY_SEPARATOR)}`)
      i += 1 + value.length
    }
  }
  return joined
}

/** Maps `-m` and `--message` to `message`. */
function namesOfFlagsWithValue(options: Readonly<Record<string, Options>>): Map<string, string> {
  const names = new Map<string, string>()
  for (const [name, { type, alias }] of Object.entries(options)) {
    if (type === 'boolean') continue
    for (const spelling of [name, alias ?? []].flat()) {
      names.set(spelling.length === 1 ? `-${spelling}` : `--${spelling}`, name)
    }
  }
  return names
}

/** `-D` takes "PACKET NAME VALUE" as one word, or three, and one more for a User Property. */
function countWords(name: string, [first = '', second]: readonly string[]): number {
  if (name !== 'property' || /\s/.test(first)) return 1
  return second === 'user-property' ? 4 : 3
}
