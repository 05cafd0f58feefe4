/** What became of every message, and the table that says so. */

import type { Publisher } from './publisher.ts'
import type { Subscriber, WillClient } from './subscriber.ts'

export interface Verdict {
  /** Messages that publishers were told are taken over, wills of clients that were connected. */
  readonly acknowledged: number
  /** Messages that came, all subscribers together. */
  readonly delivered: number
  /** Came again, at QoS 1: allowed. */
  readonly repeated: number
  /** Came again, at QoS 2: never allowed. */
  readonly duplicated: number
  /** Acknowledged, and did not come. */
  readonly lost: number
  /** Came after a later one of its topic did. */
  readonly misordered: number
  /** Exchanges of publishers that did not come to their end. */
  readonly unfinished: number
  readonly lostSessions: number
  readonly lostRetained: number
}

/** Everything that somebody waits for on a topic. */
export interface Expected {
  readonly topic: string
  readonly qos: 1 | 2
  readonly numbers: ReadonlySet<number>
}

/** Those who are to get `expected`: one subscriber, or all members of a group together. */
export interface Audience {
  readonly subscribers: readonly Subscriber[]
  readonly expected: readonly Expected[]
}

export function expectedOf(publishers: readonly Publisher[]): Expected[] {
  return publishers.map(({ topic, qos, acknowledged }) => ({ topic, qos, numbers: acknowledged }))
}

export function expectedWills(wills: readonly WillClient[]): Expected[] {
  const connected = wills.filter(({ hasConnected }) => hasConnected)
  return connected.map(({ topic }) => ({ topic, qos: 2, numbers: new Set([1]) }))
}

/** How many expected messages have not come. */
export function countLost(audiences: readonly Audience[]): number {
  return audiences.reduce((sum, audience) => sum + judgeAudience(audience).lost, 0)
}

/** What is missing, for people: `s1: t/3 17, 18`. */
export function listLost(audiences: readonly Audience[]): string[] {
  return audiences.flatMap(({ subscribers, expected }) =>
    expected.flatMap(({ topic, numbers }) => {
      const seen = new Set(subscribers.flatMap(({ got }) => got.get(topic) ?? []))
      const missing = [...numbers].filter((number) => !seen.has(number))
      const names = subscribers.map(({ clientId }) => clientId).join(' and ')
      return missing.length === 0 ? [] : [`${names}: ${topic} ${missing.slice(0, 10).join(', ')}`]
    }),
  )
}

type Judged = Omit<Verdict, 'unfinished' | 'lostSessions' | 'lostRetained'>

export function judge(audiences: readonly Audience[]): Judged {
  const all = audiences.map((audience) => judgeAudience(audience))
  const sum = (name: keyof Judged): number => all.reduce((total, each) => total + each[name], 0)
  return {
    // What several audiences wait for was acknowledged once.
    acknowledged: Math.max(...all.map(({ acknowledged }) => acknowledged)),
    delivered: sum('delivered'),
    repeated: sum('repeated'),
    duplicated: sum('duplicated'),
    lost: sum('lost'),
    misordered: sum('misordered'),
  }
}

function judgeAudience({ subscribers, expected }: Audience): Judged {
  let [acknowledged, delivered, repeated, duplicated, lost, misordered] = [0, 0, 0, 0, 0, 0]
  for (const { topic, qos, numbers } of expected) {
    const seen = new Set<number>()
    let count = 0
    for (const { got } of subscribers) {
      let last = 0
      for (const number of got.get(topic) ?? []) {
        count++
        // A member of a group may be handed what another had before; alone, order is strict.
        if (subscribers.length === 1 && !seen.has(number) && number < last) misordered++
        seen.add(number)
        last = Math.max(last, number)
      }
    }
    acknowledged += numbers.size
    delivered += count
    if (qos === 1) repeated += count - seen.size
    else duplicated += count - seen.size
    for (const number of numbers) if (!seen.has(number)) lost++
  }
  return { acknowledged, delivered, repeated, duplicated, lost, misordered }
}

/** Whether all promises were kept. */
export function isKept(verdict: Verdict): boolean {
  const { duplicated, lost, misordered, unfinished, lostSessions, lostRetained } = verdict
  return duplicated + lost + misordered + unfinished + lostSessions + lostRetained === 0
}

export interface Row extends Verdict {
  /** What is missing, for people. */
  readonly missing: readonly string[]
  readonly fault: string
  readonly store: string
  readonly strikes: number
}

/** Draws the rows as a table for a terminal. */
export function tableOf(rows: readonly Row[]): string {
  const heads = [
    'fault',
    'store',
    'strikes',
    'acknowledged',
    'delivered',
    'repeated',
    'duplicated',
    'lost',
    'misordered',
    'unfinished',
    'lostSessions',
    'lostRetained',
  ] as const
  const lines = [heads.map(titleOf), ...rows.map((row) => heads.map((head) => String(row[head])))]
  const widths = heads.map((_, i) => Math.max(...lines.map((line) => line[i]!.length)))
  return lines.map((line) => line.map((cell, i) => cell.padEnd(widths[i]!)).join('  ')).join('\n')
}

function titleOf(head: string): string {
  return head.replaceAll(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`)
}
