/** Metrics of a test's broker, asked for over HTTP. */

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect } from 'node:net'
import type { ExecutionContext } from 'ava'
import type { Broker, CreateBrokerOptions } from '../../lib/index.ts'
import { startBroker, type TestBroker } from './broker.ts'
import { type Family, parseExposition } from './exposition.ts'

export interface MeteredBroker extends TestBroker {
  /** Of its metrics. */
  readonly url: string
  /** The value of a metric, which may have labels: `noctule_packets_total{packet="publish",direction="sent"}`. */
  readonly read: (sample: string) => Promise<number | undefined>
}

/** A broker with metrics on a free port; `metrics` is what they have beside that. */
export async function startMetered(
  t: ExecutionContext,
  options: CreateBrokerOptions = {},
  metrics: NonNullable<NonNullable<CreateBrokerOptions['monitor']>['metrics']> = {},
): Promise<MeteredBroker> {
  const started = await startBroker(t, {
    ...options,
    monitor: { ...options.monitor, metrics: { port: 0, ...metrics } },
  })
  const url = urlOf(started.broker)
  return { ...started, url, read: async (sample) => valueOf(await scrape(url), sample) }
}

export function urlOf({ metricsUrl }: Broker): string {
  assert.ok(metricsUrl)
  return metricsUrl
}

/** What Prometheus would see; every line of it is checked. */
export async function scrape(
  url: string,
  headers: Record<string, string> = {},
): Promise<Map<string, Family>> {
  const response = await fetch(url, { headers })
  assert.equal(response.status, 200)
  return parseExposition(await response.text())
}

export function valueOf(families: Map<string, Family>, sample: string): number | undefined {
  const brace = sample.indexOf('{')
  const name = brace === -1 ? sample : sample.slice(0, brace)
  return families.get(name)?.samples.get(sample.slice(name.length))
}

/** Sends bytes as they are; resolves with all that comes until the connection is closed. */
export async function exchange(url: string, bytes: string): Promise<string> {
  const { hostname, port } = new URL(url)
  const socket = connect({ host: hostname, port: Number(port) })
  socket.on('error', () => {})
  let answer = ''
  socket.setEncoding('utf8').on('data', (chunk: string) => {
    answer += chunk
  })
  socket.write(bytes)
  await once(socket, 'close')
  return answer
}
