/** The flags of `noctule bench`, and what they make of scenarios. */

import type { Options } from 'yargs'
import type { Qos } from '../../protocol/packets.ts'
import { nearest } from '../../util/nearest.ts'
import { parseBrokerUrl } from '../broker-url.ts'
import { PORT_DEFAULTS, WS_PATH_DEFAULT } from '../client-options.ts'
import { UsageError } from '../failures.ts'
import { list, oneOf, seconds, text, toggle, wholeNumber } from '../flag-values.ts'
import type { Load, Target } from './load.ts'
import { PAYLOAD_BYTES_MIN } from './payload.ts'
import { type Scenario, scenarios, type Transport } from './scenarios.ts'

export interface BenchFlags {
  readonly url?: string
  readonly insecure?: boolean
  readonly pid?: number
  readonly storePid?: number
  readonly store?: string
  readonly scenario?: readonly string[]
  readonly list?: boolean
  readonly json?: boolean
  readonly duration?: number
  readonly warmup?: number
  readonly qos?: Qos
  readonly protocolVersion?: 4 | 5
  readonly payload?: number
  readonly publishers?: number
  readonly subscribers?: number
  readonly window?: number
  readonly rate?: number
}

const DURATION_DEFAULT_SECONDS = 3
const WARMUP_DEFAULT_SECONDS = 1
const SECONDS_MAX = 3000
const CLIENTS_MAX = 65_000
const PID_MAX = 2 ** 31

export const benchOptions: Readonly<Record<string, Options>> = {
  url: text('--url', {
    describe:
      'Broker to measure: mqtt, mqtts, ws or wss://[user:password@]host[:port] [one of ours, started for it]',
  }),
  pid: wholeNumber('--pid', 1, PID_MAX, {
    describe: 'Process of that broker, if it is on this machine, to read its CPU time',
  }),
  'store-pid': wholeNumber('--store-pid', 1, PID_MAX, {
    describe: 'Process of the store behind it, for the same',
  }),
  store: text('--store', { describe: 'Store of our own broker [memory]' }),
  insecure: toggle({ describe: 'Take any certificate' }),
  scenario: list({
    alias: 's',
    describe: 'What to measure, as --list names it; may be given several times [all]',
  }),
  list: toggle({ describe: 'Say what can be measured' }),
  duration: seconds('--duration', SECONDS_MAX, { describe: 'Seconds to measure each [3]' }),
  warmup: seconds('--warmup', SECONDS_MAX, { describe: 'Seconds before that [1]' }),
  qos: oneOf('--qos', { 0: 0, 1: 1, 2: 2 }, { alias: 'q', describe: 'Another QoS' }),
  'protocol-version': oneOf(
    '--protocol-version',
    { 311: 4, 4: 4, 5: 5 },
    {
      alias: 'V',
      describe: 'Another version of MQTT: 311 or 5',
    },
  ),
  payload: wholeNumber('--payload', PAYLOAD_BYTES_MIN, 1_000_000, {
    describe: 'Other payloads, in bytes',
  }),
  publishers: wholeNumber('--publishers', 1, CLIENTS_MAX, {
    describe: 'Another number of publishers',
  }),
  subscribers: wholeNumber('--subscribers', 1, CLIENTS_MAX, {
    describe: 'Another number of subscribers',
  }),
  window: wholeNumber('--window', 1, 65_535, {
    describe: 'QoS 1 and 2: unacknowledged messages of each publisher',
  }),
  rate: wholeNumber('--rate', 1, 10_000_000, {
    describe: 'Messages a second in all, whatever the broker does',
  }),
  json: toggle({ describe: 'Show each result as a line of JSON' }),
}

export function timingOf(flags: BenchFlags): { warmupMs: number; durationMs: number } {
  const { warmup = WARMUP_DEFAULT_SECONDS, duration = DURATION_DEFAULT_SECONDS } = flags
  if (duration === 0) throw new UsageError('--duration takes more than nothing')
  return { warmupMs: warmup * 1000, durationMs: duration * 1000 }
}

/** Throws a sentence when one is not known. */
export function chosenScenarios({ scenario: names = [], ...flags }: BenchFlags): Scenario[] {
  const chosen = names.length === 0 ? scenarios : names.map(findScenario)
  return chosen.map((scenario) => {
    const load = changed(scenario.load, flags)
    if (streamsOf(load) <= STREAMS_MAX) return { ...scenario, load }
    throw new UsageError(
      `${scenario.name} with ${load.publishers} publishers and ${load.subscribers} subscribers is too much to keep books of`,
    )
  })
}

/** The broker of `--url`. */
export function targetOf(url: string, isInsecure: boolean): readonly [Transport, Target] {
  const { protocol, host, port, username, password, rest } = parseBrokerUrl(url, '--url')
  const isWebSocket = protocol.startsWith('ws')
  if (!isWebSocket && rest !== undefined) throw new UsageError('--url has no topic behind its port')
  const target: Target = {
    protocol,
    host,
    port: port ?? PORT_DEFAULTS[protocol],
    path: rest === undefined ? WS_PATH_DEFAULT : `/${rest}`,
    ...(username === undefined ? {} : { username }),
    ...(password === undefined ? {} : { password }),
    isInsecure,
  }
  return [isWebSocket ? 'ws' : protocol === 'mqtts' ? 'tls' : 'tcp', target]
}

function findScenario(name: string): Scenario {
  const names = scenarios.map((scenario) => scenario.name)
  const found = scenarios.find((scenario) => scenario.name === name)
  if (found !== undefined) return found
  const near = nearest(name, names)
  const suggestion = near === undefined ? 'See them with --list' : `Did you mean "${near}"?`
  throw new UsageError(`There is no scenario "${name}". ${suggestion}`)
}

/** What is remembered of each is 256 bytes. */
const STREAMS_MAX = 2_000_000

function streamsOf({ topology, publishers, subscribers }: Load): number {
  const isEachWithEach = topology === 'fan-out' || topology === 'table'
  return isEachWithEach ? publishers * subscribers : publishers
}

function changed(load: Load, flags: BenchFlags): Load {
  const { qos, protocolVersion, payload, publishers, subscribers, window, rate } = flags
  return {
    ...load,
    // At QoS 0 nothing waits for a client that is away.
    ...(qos === undefined || (qos === 0 && load.shape === 'queue') ? {} : { qos }),
    ...(protocolVersion === undefined ? {} : { protocolVersion }),
    ...(payload === undefined ? {} : { payloadBytes: payload }),
    ...(publishers === undefined ? {} : { publishers }),
    ...(subscribers === undefined ? {} : { subscribers }),
    ...(window === undefined ? {} : { windowMessages: window }),
    ...(rate === undefined ? {} : { ratePerSecond: rate }),
  }
}
