/** docs/metrics.md, with its table of all metrics made from what the broker measures. */

import { readFileSync } from 'node:fs'
import type { ConnectionContext } from '../../lib/connection/context.ts'
import type { Figure, Metric, Reading } from '../../lib/monitor/figure.ts'
import { createFigures } from '../../lib/monitor/figures.ts'
import { Counters } from '../../lib/util/counters.ts'
import { ManualClock } from './clock.ts'

const PATH = 'docs/metrics.md'
const MADE = /(?<=`npm run generate`\. -->\n\n)[^]*(?=<!-- The end of what is made\. -->)/

/** A label with more values has only its name there. */
const VALUES_SHOWN_MAX = 7

export function metricsDocument(): string {
  const rows = figures().flatMap(({ metric, readings }) =>
    metric === undefined ? [] : [rowOf(metric, readings)],
  )
  const table = ['| metric | type | labels | what it says |', '| --- | --- | --- | --- |', ...rows]
  return readFileSync(PATH, 'utf8').replace(MADE, () => `${table.join('\n')}\n\n`)
}

/** Figures say what they are before they are asked for a value: so they need no broker. */
function figures(): readonly Figure[] {
  const context = {
    counters: new Counters(),
    clock: new ManualClock(),
    protection: {},
  } as unknown as ConnectionContext
  const kinds = ['certificate', 'ca', 'crl'] as const
  return createFigures({
    context,
    version: 'VERSION',
    nodeName: 'NODE',
    durability: () => 'volatile',
    endingFiles: kinds.map((kind) => ({ listener: 'NAME', kind, end: () => undefined })),
  }).all
}

function rowOf({ name, type, help, labels }: Metric, readings: readonly Reading[]): string {
  const described = labels.map((label) => {
    const values = [...new Set(readings.map((reading) => reading.labels?.[label] ?? ''))]
    const areShown = values.length > 1 && values.length <= VALUES_SHOWN_MAX
    return areShown ? `\`${label}\` (${values.join(', ')})` : `\`${label}\``
  })
  return `| \`${name}\` | ${type} | ${described.join('; ')} | ${help} |`
}
