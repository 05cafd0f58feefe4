/** A system has 28,000 ports or so for each pair of addresses; Linux has many addresses for itself. */

import type { Target } from './load.ts'

/** Of 127.0.0.2 to 127.0.0.9. */
const ADDRESSES = 8

/** Where the client of this index connects from; undefined where the system chooses. */
export function sourceAddress({ host }: Target, index: number): string | undefined {
  if (process.platform !== 'linux' || !host.startsWith('127.')) return undefined
  return `127.0.0.${2 + (index % ADDRESSES)}`
}
