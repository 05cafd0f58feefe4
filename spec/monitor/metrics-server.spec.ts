/** The door of the metrics: what is answered, to whom, and what those meet who mean harm. */

import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { type AddressInfo, connect, createServer } from 'node:net'
import { join } from 'node:path'
import test from 'ava'
import { ConfigurationError, createBroker, ListenError } from '../../lib/index.ts'
import { loadLibrary } from '../../lib/monitor/exposition.ts'
import { startBroker } from '../support/broker.ts'
import { spawnStart, startProcess } from '../support/broker-process.ts'
import { connectClient } from '../support/client.ts'
import { parseExposition } from '../support/exposition.ts'
import { exchange, scrape, startMetered, urlOf } from '../support/metrics.ts'
import { temporaryDirectory } from '../support/processes.ts'
import { Program, requireProgram } from '../support/programs.ts'
import { recordingLogger } from '../support/recording-logger.ts'
import { until } from '../support/turns.ts'

const TEXT = 'text/plain; version=0.0.4; charset=utf-8'
const OPEN_METRICS = 'application/openmetrics-text; version=1.0.0; charset=utf-8'

/** Listens on all addresses: what a test may do whose broker is gone with it. */
const anywhere = { host: '0.0.0.0' }

test('there are no metrics unless a port is set', async (t) => {
  const { broker } = await startBroker(t)

  t.is(broker.metricsUrl, undefined)
})

test('GET and HEAD are answered, with the type of the text format', async (t) => {
  const log = recordingLogger()
  const { url } = await startMetered(t, { logger: log })

  const got = await fetch(url)
  const text = await got.text()
  const head = await fetch(url, { method: 'HEAD' })

  t.is(got.status, 200)
  t.is(got.headers.get('content-type'), TEXT)
  t.is(got.headers.get('connection'), 'close')
  t.is(got.headers.get('cache-control'), 'no-store')
  t.true(parseExposition(text).size > 40)
  t.is(head.status, 200)
  t.is(head.headers.get('content-length'), String(Buffer.byteLength(text)))
  t.is(await head.text(), '')
  t.is((await log.next('metrics are served'))['url'], url)
})

test('promtool has nothing to say against the metrics', async (t) => {
  const promtool = requireProgram(t, 'promtool', 'prometheus')
  if (promtool === undefined) return
  const { url } = await startMetered(t)

  const program = new Program(t, promtool, ['check', 'metrics'])
  program.feed(await (await fetch(url)).text())
  const { code, stdout, stderr } = await program.exited

  t.is(code, 0, stdout + stderr)
  t.is(stdout + stderr, '')
})

for (const [accept, type] of [
  [OPEN_METRICS, OPEN_METRICS],
  // What Prometheus 2.42 and 3 say.
  [
    'application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1',
    OPEN_METRICS,
  ],
  ['text/plain, application/openmetrics-text;q=0.5', TEXT],
  ['application/openmetrics-text;q=0', TEXT],
  ['application/openmetrics-text;q=never', TEXT],
  ['*/*', TEXT],
  ['text/html', TEXT],
] as const) {
  test(`for ${accept} the answer is ${type.split(';')[0]}`, async (t) => {
    const { url } = await startMetered(t)

    const response = await fetch(url, { headers: { accept } })

    t.is(response.headers.get('content-type'), type)
    t.true(parseExposition(await response.text(), type === OPEN_METRICS).size > 40)
  })
}

test('both formats say the same, however they are asked for in turn', async (t) => {
  const { url } = await startMetered(t)
  const openly = { accept: OPEN_METRICS }

  const plain = [...(await scrape(url)).keys()]
  const open = parseExposition(await (await fetch(url, { headers: openly })).text(), true)

  t.deepEqual([...(await scrape(url)).keys()], plain)
  t.deepEqual(
    [...open].map(([name, { type }]) => (type === 'counter' ? `${name}_total` : name)),
    plain,
  )
})

test('other paths are 404, other methods 405, and a body is 400', async (t) => {
  const { url } = await startMetered(t)

  t.is((await fetch(new URL('/', url))).status, 404)
  t.is((await fetch(new URL('/metrics/x', url))).status, 404)
  t.is((await fetch(`${url}?name[]=up`)).status, 200)
  t.regex(
    await exchange(url, 'GET http://proxy/metrics HTTP/1.1\r\nHost: proxy\r\n\r\n'),
    /^HTTP\/1\.1 200 /,
  )
  for (const method of ['POST', 'PUT', 'DELETE', 'OPTIONS']) {
    const { status, headers } = await fetch(url, { method })
    t.is(status, 405, method)
    t.is(headers.get('allow'), 'GET, HEAD', method)
  }
  const get = 'GET /metrics HTTP/1.1\r\nHost: a\r\n'
  t.regex(await exchange(url, `${get}Content-Length: 5\r\n\r\nhello`), /^HTTP\/1\.1 400 /)
  t.regex(await exchange(url, `${get}Content-Length: 5\r\n\r\n`), /^HTTP\/1\.1 400 /)
  t.regex(
    await exchange(url, `${get}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n`),
    /^HTTP\/1\.1 400 /,
  )
})

test('with a token it is the token or 401, whatever else is asked', async (t) => {
  const log = recordingLogger()
  const tokenFile = join(temporaryDirectory(t), 'token')
  writeFileSync(tokenFile, 's3cret-token\n')
  const { url } = await startMetered(t, { logger: log }, { tokenFile })
  const ask = (authorization?: string, path = '/metrics') =>
    fetch(new URL(path, url), authorization === undefined ? {} : { headers: { authorization } })

  for (const authorization of [
    undefined,
    's3cret-token',
    'Bearer',
    'Bearer s3cret-toke',
    'Bearer s3cret-token2',
    'Bearer s3cret-token x',
    `Basic ${Buffer.from('x:s3cret-token').toString('base64')}`,
  ]) {
    const response = await ask(authorization)
    t.is(response.status, 401, authorization)
    t.is(response.headers.get('www-authenticate'), 'Bearer realm="noctule metrics"')
    t.false((await response.text()).includes('noctule_'))
  }
  t.is((await ask(undefined, '/')).status, 401)
  t.is((await ask('Bearer s3cret-token')).status, 200)
  t.is((await ask('bearer  s3cret-token')).status, 200)
  t.like(await log.next('metrics were refused'), { address: '127.0.0.1', rule: 'no token' })
  t.false(JSON.stringify(log.lines).includes('s3cret'))
})

test('another token is in force as soon as its file says so, and a broken one changes nothing', async (t) => {
  const log = recordingLogger()
  const tokenFile = join(temporaryDirectory(t), 'token')
  writeFileSync(tokenFile, 'old')
  // Real time: it is the file system that tells.
  const broker = await createBroker({
    listeners: [],
    logger: log,
    monitor: { metrics: { port: 0, tokenFile } },
  })
  t.teardown(() => broker.close())
  const statusFor = async (token: string) =>
    (await fetch(urlOf(broker), { headers: { authorization: `Bearer ${token}` } })).status
  t.is(await statusFor('old'), 200)

  writeFileSync(tokenFile, 'new\n')
  await log.next('a changed file is in force')
  t.deepEqual([await statusFor('old'), await statusFor('new')], [401, 200])

  writeFileSync(tokenFile, 'two words')
  const { rule } = await log.next('a changed file cannot be used: what was in force before stays')
  t.regex(String(rule), /token: a token is one word/)
  t.is(await statusFor('new'), 200)

  writeFileSync(tokenFile, 'third')
  await broker.reload(broker.configuration)
  t.deepEqual([await statusFor('new'), await statusFor('third')], [401, 200])
})

for (const [name, text, message] of [
  ['missing', undefined, /tokenFile .*no such file\. openssl rand -hex 32/],
  ['empty', '\n', /it is empty, and should have a token/],
] as const) {
  test(`a token file that is ${name} is a mistake that names it`, async (t) => {
    const tokenFile = join(temporaryDirectory(t), 'token')
    if (text !== undefined) writeFileSync(tokenFile, text)
    const options = { listeners: [], monitor: { metrics: { port: 0, tokenFile } } }

    await t.throwsAsync(createBroker(options), { instanceOf: ConfigurationError, message })
  })
}

test('other machines may read only with a token, or if it is said that everybody may', async (t) => {
  const tokenFile = join(temporaryDirectory(t), 'token')
  writeFileSync(tokenFile, 'token')
  const open = { listeners: [], monitor: { metrics: { port: 0, ...anywhere } } }

  const error = await t.throwsAsync(createBroker(open), { instanceOf: ConfigurationError })
  const { url } = await startMetered(t, {}, { ...anywhere, tokenFile })
  const { url: openUrl } = await startMetered(t, {}, { ...anywhere, allowAnonymous: true })

  for (const line of ['tokenFile: ./metrics-token', 'allowAnonymous: true', 'host: 127.0.0.1']) {
    t.true(error?.message.includes(line), line)
  }
  t.is((await fetch(url.replace('0.0.0.0', '127.0.0.1'))).status, 401)
  t.is((await fetch(openUrl.replace('0.0.0.0', '127.0.0.1'))).status, 200)
})

test('noctule start refuses open metrics and open listeners in one go, with exit code 2', async (t) => {
  const open = ['--port', '0', '--ws-port', '0', '--store', 'memory', '--host', '0.0.0.0']
  const broker = spawnStart(t, [
    ...open,
    '--monitor.metrics.port',
    '0',
    '--monitor.metrics.host',
    '::',
  ])

  t.is(await broker.exited, 2)
  t.regex(broker.output(), /Other machines reach these listeners/)
  t.regex(broker.output(), /metrics \(:::0\): Other machines reach the metrics/)
})

test('a port that is taken is told as for a listener, and ends noctule start with 3', async (t) => {
  const taken = createServer().listen(0, '127.0.0.1')
  await once(taken, 'listening')
  t.teardown(() => taken.close())
  const { port } = taken.address() as AddressInfo

  const error = await t.throwsAsync(
    createBroker({ listeners: [], monitor: { metrics: { port } } }),
    { instanceOf: ListenError },
  )
  const cli = spawnStart(t, ['--port', '0', '--ws-port', '0', '--monitor.metrics.port', `${port}`])

  t.is(error?.code, 'EADDRINUSE')
  t.regex(error?.message ?? '', /is taken by another program.*--monitor\.metrics\.port/)
  t.is(await cli.exited, 3)
  t.true(cli.output().includes(error?.message ?? ''))
})

test('noctule start says where its metrics are', async (t) => {
  const broker = await startProcess(t, ['--monitor.metrics.port', '0'])
  const [, url = ''] = await broker.waitFor(/Metrics are at (http:\S+)/)

  t.true((await scrape(url)).size > 40)
})

test('metrics end with the broker, whatever is connected', async (t) => {
  const { broker, url } = await startMetered(t)
  const { hostname, port } = new URL(url)
  const silent = connect({ host: hostname, port: Number(port) })
  await once(silent, 'connect')
  silent.resume().on('error', () => {})
  const closed = once(silent, 'close')

  await Promise.all([broker.close(), closed])

  await t.throwsAsync(fetch(url))
})

test('nothing of clients is in the metrics', async (t) => {
  const { broker, url } = await startMetered(t, { hooks: { authorizePublish: () => false } })
  const names = { clientId: 'sesame-client', username: 'sesame-user' }
  const client = await connectClient(t, broker, names)
  await client.subscribe(t, 'sesame/topic')
  client.publish('sesame/refused', 'sesame')
  await client.settled()

  t.false((await (await fetch(url)).text()).includes('sesame'))
})

test('an answer is given again for a second: who asks in a loop costs nothing', async (t) => {
  const { broker, clock, read } = await startMetered(t)
  const before = await read('noctule_clients_connected')
  await connectClient(t, broker)
  const atOnce = await read('noctule_clients_connected')
  await clock.advance(1000)

  t.deepEqual([before, atOnce, await read('noctule_clients_connected')], [0, 0, 1])
})

test('who sends a request byte by byte is gone after ten seconds', async (t) => {
  const { clock, url } = await startMetered(t)
  const { hostname, port } = new URL(url)
  const slow = connect({ host: hostname, port: Number(port) })
  slow.on('error', () => {})
  let isClosed = false
  const closed = once(slow.resume(), 'close').then(() => (isClosed = true))
  slow.write('GET /metrics HTTP/1.1\r\nHost: a\r\nX-')
  // Connections are accepted in their order: that one is there.
  await fetch(url)

  await clock.advance(9_999)
  slow.write('a')
  await fetch(url)
  t.false(isClosed)
  await clock.advance(1)
  await closed
  t.pass()
})

test('a connection has one request, however many are sent', async (t) => {
  const { url } = await startMetered(t)

  const answer = await exchange(url, 'GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n'.repeat(50))

  t.is(answer.match(/HTTP\/1\.1 200/g)?.length, 1)
})

test('headers that are too large, and what is no HTTP, are refused', async (t) => {
  const { url } = await startMetered(t)

  t.regex(
    await exchange(url, `GET /metrics HTTP/1.1\r\nX: ${'x'.repeat(9000)}\r\n\r\n`),
    /^HTTP\/1\.1 431 /,
  )
  t.regex(await exchange(url, '\x10\x0c\0\x04MQTT\x05\x02\0\0\0\0\0'), /^HTTP\/1\.1 400 /)
  t.is((await fetch(url)).status, 200)
})

test('those who connect and stay give way to those who come, and metrics go on', async (t) => {
  const { url } = await startMetered(t)
  const { hostname, port } = new URL(url)
  let closed = 0
  const open = async () => {
    const socket = connect({ host: hostname, port: Number(port) })
    t.teardown(() => socket.destroy())
    socket.resume().on('error', () => {})
    socket.on('close', () => closed++)
    await once(socket, 'connect')
  }
  for (let i = 0; i < 40; i++) await open()

  t.is((await fetch(url)).status, 200)
  // Sixteen of one address may stay; the one that asked was the seventeenth.
  await until(() => closed >= 25)
  t.is(closed, 25)
})

test('without its library metrics are a mistake that says what to install', async (t) => {
  await t.throwsAsync(
    loadLibrary(() => Promise.reject(new Error('Cannot find package'))),
    { instanceOf: ConfigurationError, message: /npm install prom-client/ },
  )
})
