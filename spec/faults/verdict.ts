/** What became of every message, and the table that says so. */

import type { Audience } from './audience.ts'
import type { Report } from './fault.ts'

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
  /** Acknowledged, and did not come, as is said of the fault beforehand. */
  readonly conceded: number
  /** Came after a later one of its topic did. */
  readonly misordered: number
  /** Exchanges of publishers that did not come to their end. */
  readonly unfinished: number
  readonly lostSessions: number
  readonly lostRetained: number
}

/** What is missing, for people: `s1: t/3 17, 18`. */
export function listLost(audiences: readonly Audience[]): string[] {
  return audiences.flatMap((audience) => {
    const names = audience.subscribers.map(({ clientId }) => clientId).join(' and ')
    return audience.expected.flatMap((expected) => {
      const numbers = audience.missing([expected]).map(({ number }) => number)
      if (numbers.length === 0) return []
      return [`${names}: ${expected.topic} ${numbers.slice(0, 10).join(', ')}`]
    })
  })
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
    conceded: sum('conceded'),
    misordered: sum('misordered'),
  }
}

function judgeAudience(audience: Audience): Judged {
  const { subscribers, expected } = audience
  let [acknowledged, delivered, repeated, duplicated, misordered, conceded] = [0, 0, 0, 0, 0, 0]
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
    for (const number of numbers)
      if (!seen.has(number) && audience.isConceded({ topic, number })) conceded++
  }
  const lost = audience.missing().length
  return { acknowledged, delivered, repeated, duplicated, lost, conceded, misordered }
}

export interface Row extends Verdict, Report {
  /** What is missing, for people. */
  readonly missing: readonly string[]
  readonly fault: string
  readonly store: string
  readonly strikes: number
}

/** Whether all promises were kept. */
export function isKept({ broken, ...verdict }: Row): boolean {
  const { duplicated, lost, misordered, unfinished, lostSessions, lostRetained } = verdict
  const failures = duplicated + lost + misordered + unfinished + lostSessions + lostRetained
  return failures === 0 && broken.length === 0
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
    'conceded',
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
