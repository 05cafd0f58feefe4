/**
 * Figures as text that Prometheus reads, in its own format or in OpenMetrics. `prom-client`, which writes them, is an
 * optional package: only who wants metrics needs it.
 */

import type { Counter, Gauge, Registry, RegistryContentType } from 'prom-client'
import { ConfigurationError, wrongFile } from '../config/problems.ts'
import type { Clock } from '../util/clock.ts'
import type { Figure, Metric, Reading } from './figure.ts'

type Library = Pick<typeof import('prom-client'), 'Counter' | 'Gauge' | 'Registry'>

/**
 * How long an answer is given again. A scrape walks over all sessions; Prometheus comes every few seconds at most, and
 * whoever asks in a loop gets what is there already.
 */
const FRESH_MS = 1000

/** Rejects with a `ConfigurationError` that says what to install. `load` is there for tests. */
export async function loadLibrary(
  load: () => Promise<Library> = () => import('prom-client'),
): Promise<Library> {
  try {
    return await load()
  } catch {
    const found =
      'metrics need the optional package prom-client. Install it (npm install prom-client), or leave monitor.metrics.port unset'
    throw new ConfigurationError([wrongFile('monitor.metrics', 'prom-client', found)])
  }
}

export interface Answer {
  readonly contentType: RegistryContentType
  readonly text: string
}

export class Exposition {
  readonly #library: Library
  readonly #figures: readonly Figure[]
  readonly #clock: Clock
  readonly #formats = new Map<RegistryContentType, Format>()

  constructor(library: Library, figures: readonly Figure[], clock: Clock) {
    this.#library = library
    this.#figures = figures
    this.#clock = clock
  }

  /** `accept` is the header of that name: OpenMetrics is for those that ask for it. */
  async answer(accept: string | undefined): Promise<Answer> {
    const { Registry: Registries } = this.#library
    const contentType = prefersOpenMetrics(accept ?? '')
      ? Registries.OPENMETRICS_CONTENT_TYPE
      : Registries.PROMETHEUS_CONTENT_TYPE
    return { contentType, text: await this.#formatOf(contentType).text() }
  }

  /** One registry for each: it renames its metrics as its format has them. */
  #formatOf(contentType: RegistryContentType): Format {
    const known = this.#formats.get(contentType)
    if (known !== undefined) return known
    const format = new Format(this.#library, contentType, this.#figures, this.#clock)
    this.#formats.set(contentType, format)
    return format
  }
}

/** All figures in one format, and what was said last. */
class Format {
  readonly #registry: Registry<RegistryContentType>
  readonly #clock: Clock
  #text: Promise<string> | undefined
  #madeAt = 0

  constructor(
    library: Library,
    contentType: RegistryContentType,
    figures: readonly Figure[],
    clock: Clock,
  ) {
    this.#clock = clock
    this.#registry = new library.Registry()
    this.#registry.setContentType(contentType)
    for (const { metric, readings } of figures) {
      if (metric !== undefined) this.#registry.registerMetric(metricOf(library, metric, readings))
    }
  }

  text(): Promise<string> {
    const now = this.#clock.now()
    if (this.#text === undefined || now - this.#madeAt >= FRESH_MS) {
      this.#madeAt = now
      this.#text = this.#registry.metrics()
    }
    return this.#text
  }
}

/** The library asks for present values when it writes; nothing is kept between. */
function metricOf(
  { Counter, Gauge }: Library,
  { name, type, help, labels }: Metric,
  readings: readonly Reading[],
): Counter | Gauge {
  const options = { name, help, labelNames: labels, registers: [] }
  if (type === 'counter') {
    return new Counter({
      ...options,
      collect() {
        this.reset()
        for (const [itsLabels, value] of samples(readings)) this.inc(itsLabels, value)
      },
    })
  }
  return new Gauge({
    ...options,
    collect() {
      this.reset()
      for (const [itsLabels, value] of samples(readings)) this.set(itsLabels, value)
    },
  })
}

function* samples(
  readings: readonly Reading[],
): Generator<[labels: Readonly<Record<string, string>>, value: number]> {
  for (const { labels = {}, value } of readings) {
    const now = value()
    if (typeof now === 'number') yield [labels, now]
  }
}

/** Whether OpenMetrics is accepted (RFC 9110, section 12.5.1), and nothing else is liked better. */
function prefersOpenMetrics(accept: string): boolean {
  let [open, plain] = [0, 0]
  for (const range of accept.toLowerCase().split(',')) {
    const [type = '', ...parameters] = range.split(';').map((part) => part.trim())
    const weight = parameters.find((one) => one.startsWith('q='))?.slice('q='.length)
    const quality = weight === undefined ? 1 : Number(weight)
    if (type === 'application/openmetrics-text') open = Math.max(open, quality)
    if (type === 'text/plain') plain = Math.max(plain, quality)
  }
  return open > 0 && open >= plain
}
