/** Results as they come: a table for people, lines of JSON for programs. */

import { faultsOf, figuresOf, isGeneratorBound, operationOf } from './figures.ts'
import type { Outcome } from './load.ts'
import { type Scenario, scenarios } from './scenarios.ts'
import { byteFigure, figure } from './text-table.ts'

export type ResultOutput = (scenario: Scenario, outcome: Outcome) => void

export function showJson({ name, load }: Scenario, outcome: Outcome): void {
  const { span, filling, ...rest } = outcome
  const result = {
    scenario: name,
    operation: operationOf(load),
    operations: span.operations,
    seconds: span.seconds,
    ...figuresOf(span),
    ...rest,
    ...(filling === undefined ? {} : { filling: figuresOf(filling) }),
    faults: faultsOf(outcome, load),
  }
  console.log(JSON.stringify(result))
}

const COLUMNS = ['per s', 'broker', 'store', 'generator', 'p50', 'p99', 'p99.9', 'max', 'memory']

/** All names are known, so rows can be printed one by one. */
const NAME_WIDTH = Math.max(...scenarios.map(({ name }) => name.length))
const COLUMN_WIDTH = 10

/** Prints the head before the first row. */
export function tableOutput(): ResultOutput {
  let hasHead = false
  return (scenario, outcome) => {
    if (!hasHead) {
      console.log('CPU microseconds for each message (connection), latencies in microseconds')
      console.log(row('', COLUMNS))
    }
    hasHead = true
    const { perSecond, brokerUs, storeUs, generatorUs } = figuresOf(outcome.span)
    const { p50Us, p99Us, p999Us, maxUs } = outcome.latency ?? {}
    const cells = [
      ...[Math.round(perSecond), brokerUs, storeUs, generatorUs].map(figure),
      ...[p50Us, p99Us, p999Us, maxUs].map(figure),
      byteFigure(outcome.residentBytes),
    ]
    console.log(row(scenario.name, cells))
    for (const remark of remarksOn(scenario, outcome)) console.log(`  ${remark}`)
  }
}

function row(name: string, cells: readonly string[]): string {
  return [name.padEnd(NAME_WIDTH), ...cells.map((cell) => cell.padStart(COLUMN_WIDTH))].join(' ')
}

function remarksOn({ load }: Scenario, outcome: Outcome): string[] {
  return [
    ...faultsOf(outcome, load).map((fault) => `! ${fault}`),
    ...outcome.notes,
    ...(isGeneratorBound(outcome, load) ? ['the generator was the limit'] : []),
  ]
}
