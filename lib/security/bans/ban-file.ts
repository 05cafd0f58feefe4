/**
 * The text of a file of bans: one a line, comments after `#`. Who is meant: an address or range, a user, a
 * client, or whoever is all that the line names.
 *
 * ```
 * address=192.0.2.0/24 reason="scans us"
 * user=alice address=2001:db8::/64 until=2026-11-27T10:00:00Z by=broker reason="wrong passwords"
 * client="pump 7" until=2026-12-01T00:00:00Z
 * ```
 */

import { type AddressRange, parseAddressRange } from '../../util/address.ts'
import { escapeHidden } from '../../util/logger.ts'
import { didYouMean } from '../../util/nearest.ts'
import { FileProblem } from '../file-problem.ts'

export interface Ban {
  readonly address: AddressRange | undefined
  readonly user: string | undefined
  readonly client: string | undefined
  /** Milliseconds since 1970; Infinity: for ever. */
  readonly until: number
  /** Whether the broker made it. */
  readonly isAutomatic: boolean
  readonly reason: string | undefined
}

/** More are no list that people keep. */
const BANS_PER_FILE_MAX = 100_000

const WORD = /\s*(?:([a-z]+)=("(?:[^"\\]|\\.)*"|[^\s"]+))(?=\s|$)/y
const PLAIN = /^[\w.:/@+-]+$/
const keys = ['address', 'user', 'client', 'until', 'by', 'reason']

/** Understands a whole file; throws a `FileProblem` that names the first wrong line. */
export function parseBanFile(text: string): Ban[] {
  const bans: Ban[] = []
  for (const [index, line] of text.split(/\r?\n/).entries()) {
    if (isEmpty(line)) continue
    try {
      bans.push(parseBan(line))
    } catch (error) {
      throw new FileProblem(index + 1, (error as Error).message)
    }
    if (bans.length > BANS_PER_FILE_MAX) {
      throw new FileProblem(index + 1, `there are more than ${BANS_PER_FILE_MAX} bans`)
    }
  }
  return bans
}

/** Understands one line; throws an `Error` that says what is wrong. */
export function parseBan(line: string): Ban {
  const words = wordsOf(line)
  for (const key of words.keys()) {
    if (!keys.includes(key)) throw new Error(`there is no ${key}=${didYouMean(key, keys)}`)
  }
  const [address, user, client] = ['address', 'user', 'client'].map((key) => words.get(key))
  if (address === undefined && user === undefined && client === undefined) {
    throw new Error('nobody is named: address=, user= or client=')
  }
  const by = words.get('by') ?? 'hand'
  if (by !== 'hand' && by !== 'broker') throw new Error('by= is hand or broker')
  return {
    address: address === undefined ? undefined : rangeOf(address),
    user,
    client,
    until: untilOf(words.get('until')),
    isAutomatic: by === 'broker',
    reason: words.get('reason'),
  }
}

/** Returns the line of a ban, in which nothing is hidden that a stranger chose. */
export function formatBan(ban: Ban): string {
  return [subjectOf(ban), ...detailsOf(ban)].join(' ')
}

/** Who is meant, as the beginning of the line: what is the same for two bans of the same. */
export function subjectOf({ address, user, client }: Ban): string {
  return [
    ...(address === undefined ? [] : [`address=${address.text}`]),
    ...(user === undefined ? [] : [`user=${quoted(user)}`]),
    ...(client === undefined ? [] : [`client=${quoted(client)}`]),
  ].join(' ')
}

function detailsOf({ until, isAutomatic, reason }: Ban): string[] {
  return [
    ...(until === Number.POSITIVE_INFINITY ? [] : [`until=${timeText(until)}`]),
    ...(isAutomatic ? ['by=broker'] : []),
    ...(reason === undefined ? [] : [`reason=${quoted(reason)}`]),
  ]
}

/**
 * Returns the text with `added` in the places of bans of the same, or at its end, and without those of the broker
 * that are over at `now`. Comments, and lines that cannot be understood, stay.
 */
export function withBans(text: string, added: readonly Ban[], now: number): string {
  const rest = new Map(added.map((ban) => [subjectOf(ban), ban]))
  const lines = linesOf(text).flatMap((line) => {
    const known = banIn(line)
    if (known === undefined) return [line]
    const subject = subjectOf(known)
    const next = rest.get(subject)
    rest.delete(subject)
    if (next !== undefined) return [formatBan(next)]
    return known.isAutomatic && known.until <= now ? [] : [line]
  })
  return join([...lines, ...[...rest.values()].map(formatBan)])
}

/** Returns the text without the bans that `isGone`. */
export function withoutBans(text: string, isGone: (ban: Ban) => boolean): string {
  return join(
    linesOf(text).filter((line) => {
      const ban = banIn(line)
      return ban === undefined || !isGone(ban)
    }),
  )
}

function banIn(line: string): Ban | undefined {
  if (isEmpty(line)) return undefined
  try {
    return parseBan(line)
  } catch {
    return undefined
  }
}

function linesOf(text: string): string[] {
  return text === '' ? [] : text.replace(/\r?\n$/, '').split(/\r?\n/)
}

function join(lines: readonly string[]): string {
  return lines.map((line) => `${line}\n`).join('')
}

function isEmpty(line: string): boolean {
  return line.trim() === '' || line.startsWith('#')
}

function wordsOf(line: string): ReadonlyMap<string, string> {
  const words = new Map<string, string>()
  WORD.lastIndex = 0
  const end = line.trimEnd().length
  while (WORD.lastIndex < end) {
    const [, key, value] = WORD.exec(line) ?? []
    if (key === undefined || value === undefined) throw new Error('not KEY=VALUE KEY="VALUE"')
    if (words.has(key)) throw new Error(`${key}= stands there twice`)
    words.set(key, value.startsWith('"') ? unquoted(value) : value)
  }
  return words
}

function unquoted(text: string): string {
  try {
    return JSON.parse(text) as string
  } catch {
    throw new Error(`${text.slice(0, 64)} is not a text in quotes as JSON has it`)
  }
}

function quoted(text: string): string {
  return PLAIN.test(text) ? text : escapeHidden(JSON.stringify(text))
}

function rangeOf(written: string): AddressRange {
  const range = parseAddressRange(written)
  if (range !== undefined) return range
  throw new Error(`${written.slice(0, 64)} is neither an IP address nor a range such as 10.0.0.0/8`)
}

function untilOf(written: string | undefined): number {
  if (written === undefined) return Number.POSITIVE_INFINITY
  const time = /^\d{4}-\d\d-\d\dT[\d:.]+Z$/.test(written) ? Date.parse(written) : Number.NaN
  if (Number.isNaN(time)) throw new Error('until= wants a time such as 2026-12-01T00:00:00Z')
  return time
}

function timeText(time: number): string {
  return new Date(time).toISOString().replace(/\.\d+Z$/, 'Z')
}
