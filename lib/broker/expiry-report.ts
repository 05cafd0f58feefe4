/** Tells in time, once a day, which certificates and lists of the listeners end, and at once when one has ended. */

import type { ListenerConfiguration } from '../config/options.ts'
import type { EndingFigure } from '../monitor/node-figures.ts'
import type { Clock } from '../util/clock.ts'
import type { Logger } from '../util/logger.ts'
import type { Timer, Timers } from '../util/timers.ts'
import type { EncryptedListener, EndingFile } from './credentials.ts'

const DAY_MS = 86_400_000

/** A file of a listener, and when it ends, in ms since 1970. */
export interface FileEnd {
  readonly listener: string
  readonly option: EndingFile
  readonly endsAt: number
}

export interface ExpiryParts {
  readonly clock: Clock
  readonly timers: Timers
  readonly log: Logger
  readonly ends: () => readonly FileEnd[]
  readonly warningDays: () => number
}

const kinds = [
  ['certFile', 'certificate'],
  ['caFile', 'ca'],
  ['crlFile', 'crl'],
] as const

const ended: Readonly<Record<EndingFile, string>> = {
  certFile: 'a certificate has expired: clients that verify it do not connect',
  caFile: 'an authority has expired: certificates that it has signed are refused',
  crlFile: 'a revocation list has ended: client certificates are refused until there is a new one',
}

export class ExpiryReport {
  readonly #parts: ExpiryParts
  /** What was told of a file, and when. */
  #told = new Map<string, number>()
  #timer: Timer | undefined

  constructor(parts: ExpiryParts) {
    this.#parts = parts
  }

  /** When a file ends, in ms since 1970, and in how many whole days, negative since it has; undefined: never. */
  endOf(
    listener: string,
    option: EndingFile,
  ): { readonly endsAt: number; readonly daysLeft: number } | undefined {
    const found = this.#parts
      .ends()
      .find((end) => end.listener === listener && end.option === option)
    return found && { endsAt: found.endsAt, daysLeft: this.#daysUntil(found) }
  }

  /** Looks now, and from then on when it is time. Also to be called when files have changed. */
  check(): void {
    const { clock, timers } = this.#parts
    const all = this.#parts.ends()
    if (all.length === 0) return
    const now = clock.now()
    const told = new Map<string, number>()
    for (const end of all) this.#tell(end, told)
    this.#told = told
    const ends = all.map(({ endsAt }) => endsAt).filter((endsAt) => endsAt > now)
    const dueAgain = [...told.values()].map((toldAt) => toldAt + DAY_MS)
    const next = Math.min(now + DAY_MS, ...ends, ...dueAgain)
    this.#timer?.cancel()
    this.#timer = timers.after(next - now, () => this.check())
  }

  stop(): void {
    this.#timer?.cancel()
  }

  /** Keeps in `told` what still counts as told. */
  #tell(end: FileEnd, told: Map<string, number>): void {
    const { clock, log, warningDays } = this.#parts
    const { listener, option, endsAt } = end
    const hasEnded = endsAt <= clock.now()
    const days = this.#daysUntil(end)
    if (endsAt - clock.now() > warningDays() * DAY_MS) return
    const key = [listener, option, endsAt, hasEnded].join(' ')
    const toldAt = this.#told.get(key) ?? Number.NEGATIVE_INFINITY
    const isDue = clock.now() - toldAt >= DAY_MS
    told.set(key, isDue ? clock.now() : toldAt)
    if (!isDue) return
    const fields = { listener, option, days, endsAt: new Date(endsAt).toISOString() }
    if (hasEnded) log.error(fields, ended[option])
    else log.warn(fields, 'ends soon: renew it')
  }

  #daysUntil({ endsAt }: FileEnd): number {
    return Math.floor((endsAt - this.#parts.clock.now()) / DAY_MS)
  }
}

/** What can be told of the files of all listeners. */
export function endingFiles(
  listeners: readonly ListenerConfiguration[],
  report: ExpiryReport,
): EndingFigure[] {
  return listeners.flatMap((listener) =>
    kinds.flatMap(([option, kind]): EndingFigure[] => {
      if (!(option in listener) || (listener as EncryptedListener)[option] === undefined) return []
      const { name } = listener
      return [{ listener: name, kind, end: () => report.endOf(name, option) }]
    }),
  )
}
