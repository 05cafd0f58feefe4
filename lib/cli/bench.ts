/** `noctule bench`: what a broker costs, by the message. */

import type { Argv, CommandModule } from 'yargs'
import { chooseCores } from './bench/cores.ts'
import { faultsOf } from './bench/figures.ts'
import { measure, placeOf } from './bench/measure.ts'
import {
  type BenchFlags,
  benchOptions,
  chosenScenarios,
  targetOf,
  timingOf,
} from './bench/options.ts'
import { startOwnBroker } from './bench/own-broker.ts'
import { showJson, tableOutput } from './bench/result-output.ts'
import { type Scenario, scenarios } from './bench/scenarios.ts'
import type { Subject } from './bench/subject.ts'
import { textTable } from './bench/text-table.ts'
import { onStopSignal } from './ending.ts'
import { ExitCode } from './exit-codes.ts'
import { UsageError } from './failures.ts'

export const benchCommand: CommandModule<object, BenchFlags> = {
  command: 'bench',
  describe: 'Measure what a broker costs, and whether all messages come',
  builder: (yargs: Argv<object>): Argv<BenchFlags> =>
    yargs
      .usage('noctule bench [--url URL [--pid PID]] [--scenario NAME …] [flags]')
      .options(benchOptions)
      .example('noctule bench -s qos0-pairs -s trickle', 'two scenarios, a broker started for each')
      .example('noctule bench --url mqtt://localhost --pid $(pidof mosquitto)', 'any broker')
      .epilogue(
        'Each message says when it was due, by whom, and as which one, so all that is lost, doubled, late or damaged is counted.\n' +
          'A broker is loaded as far as it goes, and topics below bench/ are used: nothing for one that others need.\n' +
          'Exit codes: 0 all came as it should, 1 something did not, or there is no connection, 2 mistakes in the command line.',
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
  const cores = chooseCores()
  const chosen = chosenScenarios(flags)
  const timing = timingOf(flags)
  const start = subjectsOf(flags, cores.broker)
  const show = flags.json ? showJson : tableOutput()
  let hasFaults = false
  // With us go those that we have started.
  const offSignals = onStopSignal(() => process.exit(ExitCode.Failure))
  for (const scenario of chosen) {
    const subject = await start(scenario)
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
  offSignals()
  return hasFaults ? ExitCode.Failure : ExitCode.Success
}

/** The broker of `--url` for all scenarios, or a fresh one of ours for each. */
function subjectsOf(
  flags: BenchFlags,
  core: number | undefined,
): (scenario: Scenario) => Promise<Subject> {
  const { url, pid, storePid, store, insecure = false } = flags
  const storePids = storePid === undefined ? [] : [storePid]
  if (url === undefined) {
    if (pid !== undefined) throw new UsageError('--pid is the process of a broker that --url names')
    return ({ transport, isGuarded = false }) => {
      const wantsTls = transport === 'tls'
      return startOwnBroker({ store: store ?? 'memory', storePids, core, wantsTls, isGuarded })
    }
  }
  if (store !== undefined) throw new UsageError('--store is for a broker of ours; leave out --url')
  const [transport, target] = targetOf(url, insecure)
  const subject: Subject = {
    targets: { [transport]: target },
    watched: { broker: pid === undefined ? [] : [pid], store: storePids },
    stop: async () => {},
  }
  return async () => subject
}
