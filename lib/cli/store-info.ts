/** `noctule store info`: what a store keeps, in numbers. */

import type { Argv, CommandModule } from 'yargs'
import { kindOf } from '../storage/load.ts'
import type { OpenedReader } from '../storage/reading.ts'
import { type QueueLength, type StoreSummary, summarize } from '../storage/summary.ts'
import { isoTime } from './local-time.ts'
import {
  type NamedStore,
  nameStore,
  quoted,
  type StoreFlags,
  warnOfDamage,
  withReader,
  withStoreFlags,
} from './store-access.ts'

interface InfoFlags extends StoreFlags {
  readonly json: boolean
}

const LONGEST_QUEUES_MAX = 10

export const storeInfoCommand: CommandModule<object, InfoFlags> = {
  command: 'info',
  describe: 'Show what a store keeps, and the longest queues',
  builder: (yargs: Argv<object>): Argv<InfoFlags> =>
    withStoreFlags(yargs)
      .option('json', { type: 'boolean', default: false, describe: 'For programs' })
      .example('noctule store info --store disk:/var/lib/noctule', 'also beside a running broker')
      .epilogue('A store in Redis can be looked into while its broker is stopped.'),
  handler: (flags) => {
    const named = nameStore(flags)
    return withReader(named, async (opened) => {
      const summary = await summarize(opened.reader, LONGEST_QUEUES_MAX)
      console.log(flags.json ? asJson(named, opened, summary) : asText(named, opened, summary))
      warnOfDamage(opened.damagedRecords())
    })
  },
}

function asJson(
  { configuration, name }: NamedStore,
  { durability, detail, damagedRecords }: OpenedReader,
  { firstToEnd, ...summary }: StoreSummary,
): string {
  const store = { store: name, kind: kindOf(configuration.url), durability, detail }
  const shown = { ...store, ...summary, firstToEnd: firstToEnd ?? null }
  return JSON.stringify({ ...shown, damagedRecords: damagedRecords() }, undefined, 2)
}

function asText(
  { configuration, name }: NamedStore,
  { durability, detail }: OpenedReader,
  summary: StoreSummary,
): string {
  const { sessions, queued, retained, firstToEnd } = summary
  const { connected, offline, willOnly } = sessions
  const all = connected + offline + willOnly
  const rows: (readonly [string, string])[] = [
    ['Store', name],
    ['Kind', kindOf(configuration.url)],
    ['Durability', `${durability}: ${detail}`],
    ['Sessions', number(all)],
    ['  connected', `${number(connected)}, those cut off with their broker included`],
    ['  offline', number(offline)],
    ['  will only', number(willOnly)],
    ['Subscriptions', number(summary.subscriptions)],
    ['Queued', content(queued)],
    ['Retained', content(retained)],
    ['Wills', number(summary.wills)],
    ['QoS 2', `${number(summary.inbound)} inbound, ${number(summary.released)} released`],
  ]
  if (firstToEnd !== undefined) {
    const { at, clientIdentifier } = firstToEnd
    rows.push(['Ends first', `${quoted(clientIdentifier)} at ${isoTime(at)}`])
  }
  const lines = rows.map(([label, value]) => `${label.padEnd(15)} ${value}`)
  return [...lines, ...longest(summary.longestQueues)].join('\n')
}

function longest(queues: readonly QueueLength[]): string[] {
  if (queues.length === 0) return []
  const lines = queues.map((queue) => `  ${quoted(queue.clientIdentifier)}: ${content(queue)}`)
  return ['Longest queues', ...lines]
}

function content(held: { readonly messages: number; readonly bytes: number }): string {
  const messages = held.messages === 1 ? 'message' : 'messages'
  return `${number(held.messages)} ${messages}, ${bytes(held.bytes)}`
}

function bytes(count: number): string {
  const units = ['KiB', 'MiB', 'GiB', 'TiB']
  let size = count
  let unit = 'bytes'
  while (size >= 1024 && units.length > 0) {
    size /= 1024
    unit = units.shift()!
  }
  return unit === 'bytes' ? `${count} bytes` : `${size.toFixed(1)} ${unit}`
}

function number(value: number): string {
  return value.toLocaleString('en')
}
