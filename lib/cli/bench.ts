/** `noctule bench`: what a broker costs, by the message. */

import type { Argv, CommandModule } from 'yargs'
import { chooseCores } from './bench/cores.ts'
import { faultsOf, figuresOf, isGeneratorBound, operationOf } from './bench/figures.ts'
import type { Outcome } from './bench/load.ts'
import { measure, placeOf } from './bench/measure.ts'
import {
  type BenchFlags,
  benchOptions,
  chosenScenarios,
  targetOf,
  timingOf,
} from './bench/options.ts'
import { startOwnBroker } from './bench/own-broker.ts'
import { type Scenario, scenarios } from './bench/scenarios.ts'
import type { Subject } from './bench/subject.ts'
import { byteFigure, figure, textTable } from './bench/text-table.ts'
import { ExitCode } from './exit-codes.ts'
import { UsageError } from './failures.ts'

export const benchCommand: CommandModule<object, BenchFlags> = {
  command: 'bench',
  describe: 'Measure what a broker costs, and whether all messages come',
  builder: (yargs: Argv<object>): Argv<BenchFlags> =>
    yargs
      .usage('noctule bench [--url URL [--pid PID]] [--scenario NAME …] [flags]')
      .options(benchOptions)
      .example(
        'noctule bench -s qos0-pairs -s qos1-pairs',
        'two scenarios, a broker started for them',
      )
      .example('noctule bench --url mqtt://localhost --pid $(pidof mosquitto)', 'any broker')
      .epilogue(
        'Each message says when it was due, by whom, and as which one; so what is lost, doubled, late or damaged is counted.\n' +
          'Without --pid nothing is known of the CPU time of a broker that was not started for it.\n' +
          'Exit codes: 0 all came as it should, 1 something did not, or the connection failed, 2 mistakes in the command line.',
      ),
  handler: async (flags) => {
    process.exitCode = flags.list ? listScenarios() : await bench(flags)
  },
}

function listScenarios(): number {
  console.log(textTable(scenarios.map(({ name, title }) => [name, title])))
  return ExitCode.Success
}

async function bench(flags: BenchFlags): Promise<number> {
  const chosen = chosenScenarios(flags)
  const timing = timingOf(flags)
  const cores = chooseCores()
  const show = flags.json ? showJson : tablePrinter()
  let hasFaults = false
  for (const scenario of chosen) {
    const subject = await subjectOf(flags, scenario, cores.broker)
    try {
      const place = placeOf(scenario, subject)
      if (typeof place === 'string') {
        console.error(`${scenario.name} is left out: ${place}`)
        continue
      }
      const outcome = await measure(scenario.load, place, subject, timing, cores.generator)
      show(scenario, outcome)
      hasFaults ||= faultsOf(outcome, scenario.load).length > 0
    } finally {
      await subject.stop()
    }
  }
  return hasFaults ? ExitCode.Failure : ExitCode.Success
}

/** The broker of `--url`, or a fresh one of ours. */
async function subjectOf(
  flags: BenchFlags,
  scenario: Scenario,
  core: number | undefined,
): Promise<Subject> {
  const { url, pid, storePid, store, insecure = false } = flags
  const storePids = storePid === undefined ? [] : [storePid]
  if (url === undefined) {
    if (pid !== undefined) throw new UsageError('--pid is the process of a broker that --url names')
    const wantsTls = scenario.transport === 'tls'
    return startOwnBroker({ store: store ?? 'memory', storePids, core, wantsTls })
  }
  if (store !== undefined) throw new UsageError('--store is for a broker of ours; leave out --url')
  const [transport, target] = targetOf(url, insecure)
  return {
    targets: { [transport]: target },
    watched: { broker: pid === undefined ? [] : [pid], store: storePids },
    stop: async () => {},
  }
}

function showJson({ name, load }: Scenario, outcome: Outcome): void {
  const { span, filling, ...rest } = outcome
  const result = {
    scenario: name,
    operation: operationOf(load),
    ...figuresOf(span),
    ...rest,
    seconds: span.seconds,
    operations: span.operations,
    ...(filling === undefined ? {} : { filling: figuresOf(filling) }),
    faults: faultsOf(outcome, load),
  }
  console.log(JSON.stringify(result))
}

const HEAD = ['', 'per s', 'broker', 'store', 'generator', 'p50', 'p99', 'p99.9', 'max', 'memory']

/** Prints row by row, as they come: the names are known, so widths are too. */
function tablePrinter(): (scenario: Scenario, outcome: Outcome) => void {
  const nameWidth = Math.max(...scenarios.map(({ name }) => name.length))
  const widths = [nameWidth, 11, 8, 8, 9, 8, 8, 8, 8, 8]
  const print = (cells: readonly string[]) => {
    const line = cells.map((cell, i) =>
      i === 0 ? cell.padEnd(nameWidth) : cell.padStart(widths[i] ?? 0),
    )
    console.log(line.join(' '))
  }
  console.log('CPU microseconds for each message (connection), latencies in microseconds')
  print(HEAD)
  return ({ name, load }, outcome) => {
    const { perSecond, brokerUs, storeUs, generatorUs } = figuresOf(outcome.span)
    const { latency } = outcome
    print([
      name,
      figure(Math.round(perSecond)),
      figure(brokerUs),
      figure(storeUs),
      figure(generatorUs),
      ...[latency?.p50Us, latency?.p99Us, latency?.p999Us, latency?.maxUs].map(figure),
      byteFigure(outcome.residentBytes),
    ])
    const remarks = [
      ...faultsOf(outcome, load).map((fault) => `! ${fault}`),
      ...outcome.notes,
      ...(isGeneratorBound(outcome, load) ? ['the generator was the limit'] : []),
    ]
    for (const remark of remarks) console.log(`  ${remark}`)
  }
}
