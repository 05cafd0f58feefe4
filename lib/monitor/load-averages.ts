/** Rates per minute over the last 1, 5 and 15 minutes, as the load average of Unix is computed. */

const periods = [
  { name: '1min', minutes: 1 },
  { name: '5min', minutes: 5 },
  { name: '15min', minutes: 15 },
] as const

export type LoadPeriod = (typeof periods)[number]['name']

export class LoadAverage {
  readonly #total: () => number
  #lastTotal = 0
  readonly #averages = new Map<LoadPeriod, number>(periods.map(({ name }) => [name, 0]))

  /** `total` is a counter that only grows. */
  constructor(total: () => number) {
    this.#total = total
  }

  /** Takes in what has come since the last call, `elapsedMs` ago. */
  update(elapsedMs: number): void {
    const total = this.#total()
    const perMinute = ((total - this.#lastTotal) * 60_000) / elapsedMs
    this.#lastTotal = total
    for (const { name, minutes } of periods) {
      const keep = Math.exp(-elapsedMs / (minutes * 60_000))
      this.#averages.set(name, perMinute + keep * (this.get(name) - perMinute))
    }
  }

  get(period: LoadPeriod): number {
    return this.#averages.get(period) as number
  }
}

export const loadPeriods: readonly LoadPeriod[] = periods.map(({ name }) => name)
