/** A real Prometheus reads the metrics, configured as docs/metrics.md says. */

import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { type AddressInfo, createServer } from 'node:net'
import { join } from 'node:path'
import test from 'ava'
import { createBroker } from '../../lib/index.ts'
import { connectClient } from '../support/client.ts'
import { urlOf } from '../support/metrics.ts'
import { temporaryDirectory } from '../support/processes.ts'
import { Program, requireProgram } from '../support/programs.ts'
import { nextTurn } from '../support/turns.ts'

const TOKEN = 'a-token-of-the-test'

/** Prometheus takes no port 0. */
async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

/** What Prometheus answers to a query, as soon as it has one. */
async function answerTo(api: string, query: string): Promise<string> {
  for (;;) {
    await nextTurn()
    const response = await fetch(`${api}/api/v1/query?query=${encodeURIComponent(query)}`).catch(
      () => undefined,
    )
    if (response?.status !== 200) continue
    const { data } = (await response.json()) as { data: { result: { value: [number, string] }[] } }
    const [first] = data.result
    if (first !== undefined) return first.value[1]
  }
}

test('Prometheus reads the metrics with the token', async (t) => {
  const prometheus = requireProgram(t, 'prometheus', 'prometheus')
  if (prometheus === undefined) return
  const folder = temporaryDirectory(t)
  const tokenFile = join(folder, 'metrics-token')
  writeFileSync(tokenFile, `${TOKEN}\n`)
  const monitor = { metrics: { port: 0, tokenFile } }
  const broker = await createBroker({ listeners: [], monitor })
  t.teardown(() => broker.close())
  const client = await connectClient(t, broker)
  client.publish('a', 'x')
  await client.settled()
  const manual = readFileSync('docs/metrics.md', 'utf8')
  const [, shown = ''] = /```yaml\n# prometheus\.yml\n([^]*?)rule_files/.exec(manual) ?? []
  const { host } = new URL(urlOf(broker))
  writeFileSync(
    join(folder, 'prometheus.yml'),
    `global: { scrape_interval: 500ms, scrape_timeout: 500ms }\n${shown.replace('broker.example:9464', host)}`,
  )
  const where = `127.0.0.1:${await freePort()}`
  const program = new Program(t, prometheus, [
    `--config.file=${join(folder, 'prometheus.yml')}`,
    `--storage.tsdb.path=${join(folder, 'data')}`,
    `--web.listen-address=${where}`,
    '--log.level=error',
  ])
  const ended = program.exited.then(({ stderr }) => {
    throw new Error(`prometheus has ended: ${stderr}`)
  })
  ended.catch(() => {})
  const ask = (query: string) => Promise.race([answerTo(`http://${where}`, query), ended])

  t.is(await ask('up{job="noctule"} == 1'), '1')
  t.is(await ask('noctule_clients_connected'), '1')
  t.is(await ask('noctule_packets_total{packet="publish",direction="received"}'), '1')
  t.is(await ask('count(noctule_refused_total) > bool 20'), '1')

  program.kill()
  await program.exited
})
