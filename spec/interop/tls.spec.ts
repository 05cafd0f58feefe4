/** TLS with certificate files on the disk: Mosquitto's clients, MQTT.js over mqtts and wss, and reloads. */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect, type TLSSocket } from 'node:tls'
import type { ExecutionContext } from 'ava'
import test from 'ava'
import {
  type Broker,
  type ClientInfo,
  type CreateBrokerOptions,
  createBroker,
  ListenError,
  type ListenerInput,
} from '../../lib/index.ts'
import { type Certificates, certificates, type KeyAndCertificate } from '../support/certificates.ts'
import { leadingTo, mosquittoClients } from '../support/mosquitto.ts'
import { connectMqttJs, openMqttJs, speaking } from '../support/mqtt-js.ts'
import { Program, requireProgram } from '../support/programs.ts'

/** A folder of PEM files, as an operator has it. */
interface Files {
  readonly made: Certificates
  readonly keyFile: string
  readonly certFile: string
  readonly caFile: string
  /** Puts other files in the place of the server's. */
  readonly replaceServer: (pair: KeyAndCertificate) => void
  /** Writes a pair and returns the arguments by which Mosquitto's clients use it. */
  readonly argumentsFor: (pair: KeyAndCertificate) => string[]
}

async function writeFiles(t: ExecutionContext): Promise<Files> {
  const made = await certificates()
  const folder = mkdtempSync(join(tmpdir(), 'noctule-tls-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  const write = (name: string, text: string): string => {
    writeFileSync(join(folder, name), text)
    return join(folder, name)
  }
  const files = {
    made,
    caFile: write('ca.crt', made.ca.cert),
    keyFile: join(folder, 'server.key'),
    certFile: join(folder, 'server.crt'),
    replaceServer({ key, cert }: KeyAndCertificate) {
      write('server.key', key)
      write('server.crt', cert)
    },
    argumentsFor: ({ key, cert }: KeyAndCertificate) => [
      '--key',
      write('client.key', key),
      '--cert',
      write('client.crt', cert),
    ],
  }
  files.replaceServer(made.server)
  return files
}

function listenerOf(type: 'tls' | 'wss', { keyFile, certFile }: Files): ListenerInput {
  return { type, port: 0, keyFile, certFile }
}

async function start(t: ExecutionContext, options: CreateBrokerOptions): Promise<Broker> {
  const broker = await createBroker(options)
  t.teardown(() => broker.close())
  return broker
}

/** Connects with TLS alone and returns the Common Name of the certificate that is served. */
async function servedName(t: ExecutionContext, url: string | undefined): Promise<string> {
  const { made } = await writeFiles(t)
  const { port } = new URL(url ?? '')
  const socket = await new Promise<TLSSocket>((resolve, reject) => {
    const opening = connect({ host: '127.0.0.1', port: Number(port), ca: made.ca.cert })
    opening.once('secureConnect', () => resolve(opening))
    opening.once('error', reject)
  })
  const { subject } = socket.getPeerCertificate()
  socket.destroy()
  return String(subject.CN)
}

for (const protocol of ['mqttv31', 'mqttv311', 'mqttv5'] as const) {
  test(`Mosquitto's clients trust the broker by --cafile (${protocol})`, async (t) => {
    const { keyFile, certFile, caFile } = await writeFiles(t)
    const broker = await start(t, { listeners: [{ type: 'tls', port: 0, keyFile, certFile }] })
    const where = [...leadingTo(broker.urls[0], protocol), '--cafile', caFile]
    const clients = mosquittoClients(t, broker, where)
    if (clients === undefined) return
    const subscriber = await clients.subscribe(['-t', 'secret', '-q', '2'])

    await clients.publish(['-t', 'secret', '-q', '2', '-m', 'whispered'])

    t.is(await subscriber.nextLine(), 'whispered')
  })
}

test("Mosquitto's clients show their certificates, and the broker knows their names", async (t) => {
  const { made, argumentsFor, ...files } = await writeFiles(t)
  const { keyFile, certFile, caFile } = files
  const seen: ClientInfo[] = []
  const broker = await start(t, {
    listeners: [
      { type: 'tls', port: 0, keyFile, certFile, caFile, requestClientCertificate: 'required' },
    ],
    hooks: { authenticate: (client) => seen.push(client) > 0 },
  })
  const where = [...leadingTo(broker.urls[0]), '--cafile', caFile, ...argumentsFor(made.client)]
  const clients = mosquittoClients(t, broker, where)
  if (clients === undefined) return

  await clients.publish(['-t', 'a', '-q', '1', '-m', 'x'])

  t.deepEqual(
    seen.map(({ certificateCommonName }) => certificateCommonName),
    ['client-1'],
  )
})

for (const [name, which] of [
  ['without a certificate', undefined],
  ['with a certificate of an unknown authority', 'otherClient'],
] as const) {
  test(`mosquitto_pub ${name} is refused where one is required`, async (t) => {
    const { made, keyFile, certFile, caFile, argumentsFor } = await writeFiles(t)
    const path = requireProgram(t, 'mosquitto_pub', 'mosquitto-clients')
    if (path === undefined) return
    const broker = await start(t, {
      listeners: [
        { type: 'tls', port: 0, keyFile, certFile, caFile, requestClientCertificate: 'required' },
      ],
    })

    const shown = which === undefined ? [] : argumentsFor(made[which])
    const where = [...leadingTo(broker.urls[0]), '--cafile', caFile, ...shown]
    const { code } = await new Program(t, path, [...where, '-t', 'a', '-m', 'x']).exited

    t.not(code, 0)
    t.is(broker.counters.connectionsOpened, 0)
  })
}

for (const type of ['tls', 'wss'] as const) {
  test(`a reload serves the new certificate to new clients of ${type} and keeps the old ones`, async (t) => {
    const { made, keyFile, certFile, replaceServer } = await writeFiles(t)
    const broker = await start(t, { listeners: [{ type, port: 0, keyFile, certFile }] })
    const [url = ''] = broker.urls
    const trust = { ...speaking(5), ca: made.ca.cert }
    const { client: old } = await connectMqttJs(t, url, trust)
    await old.client.subscribeAsync('news', { qos: 1 })
    const nameBefore = await servedName(t, url)

    replaceServer(made.renewedServer)
    await broker.reload(broker.configuration)
    const { client: young } = await connectMqttJs(t, url, trust)
    await young.client.publishAsync('news', 'renewed', { qos: 1 })

    t.is(nameBefore, 'server')
    t.is(await servedName(t, url), 'renewed-server')
    t.like(await old.next(), { payload: 'renewed' })
    t.true(old.client.connected)
  })
}

test('a reload takes an authority away from clients to come', async (t) => {
  const { made, keyFile, certFile, caFile } = await writeFiles(t)
  const broker = await start(t, {
    listeners: [
      { type: 'tls', port: 0, keyFile, certFile, caFile, requestClientCertificate: 'required' },
    ],
  })
  const [url = ''] = broker.urls
  const identity = { ...speaking(5), ca: made.ca.cert, ...made.client }
  const { client: old } = await connectMqttJs(t, url, identity)

  writeFileSync(caFile, made.otherCa.cert)
  await broker.reload(broker.configuration)
  const refused = openMqttJs(t, url, identity)
  refused.client.on('error', () => {})
  await new Promise<void>((resolve) => {
    refused.client.once('close', resolve)
  })

  t.false(refused.client.connected)
  t.is(broker.counters.connectionsOpened, 1)
  t.deepEqual(await old.settled(), [])
})

/** Without time no listener takes over by itself what has changed: the reload alone does. */
const stopped = { now: Date.now, after: () => () => {} }

test('a reload that finds a file unusable says so and changes no listener', async (t) => {
  const [good, bad] = await Promise.all([writeFiles(t), writeFiles(t)])
  const listeners = [good, bad].map((files) => listenerOf('tls', files))
  const broker = await start(t, { listeners, clock: stopped })
  const [goodUrl, badUrl] = broker.urls

  good.replaceServer(good.made.renewedServer)
  bad.replaceServer({ key: bad.made.renewedServer.key, cert: bad.made.server.cert })
  const error = await t.throwsAsync(broker.reload(broker.configuration), {
    instanceOf: ListenError,
  })

  t.is(error.code, 'ERR_CERTIFICATE')
  t.regex(error.message, /listener "tls-1"/)
  t.is(await servedName(t, goodUrl), 'server')
  t.is(await servedName(t, badUrl), 'server')
})

test('a reload that misses a file says which, and changes no listener', async (t) => {
  const [good, bad] = await Promise.all([writeFiles(t), writeFiles(t)])
  const listeners = [good, bad].map((files) => listenerOf('wss', files))
  const broker = await start(t, { listeners, clock: stopped })

  good.replaceServer(good.made.renewedServer)
  rmSync(bad.certFile)
  const error = await t.throwsAsync(broker.reload(broker.configuration), {
    instanceOf: ListenError,
  })

  t.is(error.code, 'ENOENT')
  t.true(error.message.includes(bad.certFile))
  t.is(await servedName(t, broker.urls[0]), 'server')
})
