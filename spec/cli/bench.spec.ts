import { once } from 'node:events'
import { createServer, type Socket } from 'node:net'
import test from 'ava'
import { scenarios } from '../../lib/cli/bench/scenarios.ts'
import { startFaultyBroker } from '../bench/faulty-broker.ts'
import { startProcess } from '../support/broker-process.ts'
import { run, silentPlace, spawnCli } from '../support/processes.ts'
import { startScriptedBroker } from '../support/scripted-broker.ts'

const briefly = ['--duration', '0.4', '--warmup', '0.1']
const one = ['bench', '-s', 'qos0-pairs', ...briefly]

test('--list names all scenarios', async (t) => {
  const { code, stdout } = await run(t, ['bench', '--list'])

  t.is(code, 0)
  const names = stdout
    .trimEnd()
    .split('\n')
    .map((line) => line.split(' ')[0] ?? '')
  t.deepEqual(
    names,
    scenarios.map(({ name }) => name),
  )
})

test('without --url a broker of ours is measured', async (t) => {
  const { code, stdout, stderr } = await run(t, one)

  t.is(stderr, '')
  t.regex(stdout, /^qos0-pairs +[\d,]+ +[\d.]+ +- +[\d.]+/m)
  t.is(code, 0)
})

test('--json gives each result as a line', async (t) => {
  const { code, stdout } = await run(t, [...one, '-s', 'qos1-pairs', '--json'])

  t.is(code, 0)
  const results = stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line))
  t.deepEqual(
    results.map(({ scenario }) => scenario),
    ['qos0-pairs', 'qos1-pairs'],
  )
  for (const { perSecond, brokerUs, generatorUs, latency, counts, faults } of results) {
    for (const value of [perSecond, brokerUs, generatorUs, latency.p50Us, latency.maxUs]) {
      t.true(value > 0)
    }
    t.true(latency.p50Us <= latency.p99Us && latency.p99Us <= latency.maxUs)
    t.is(counts.lost, 0)
    t.deepEqual(faults, [])
  }
})

test('a signal ends what was started, too', async (t) => {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  const { port } = server.address() as { port: number }
  const bench = spawnCli(t, [...one, '--url', `mqtt://127.0.0.1:${port}`])
  const [socket] = (await once(server, 'connection')) as [Socket]
  socket.on('error', () => socket.destroy()).resume()
  const closed = once(socket, 'close')

  bench.child.kill('SIGTERM')

  t.is((await bench.ended).code, 1)
  await t.notThrowsAsync(closed)
})

test('--url measures a broker that runs, with --pid its CPU time too', async (t) => {
  const broker = await startProcess(t, ['--store', 'memory'])
  const url = ['--url', `mqtt://127.0.0.1:${broker.port}`, '--json']
  const changes = [
    '--qos',
    '1',
    '-V',
    '5',
    '--payload',
    '100',
    '--publishers',
    '3',
    '--subscribers',
    '3',
  ]

  const blind = await run(t, [...one, ...url, ...changes])
  const seeing = await run(t, [...one, ...url, '--pid', String(broker.child.pid), '--rate', '500'])

  t.is(blind.code, 0, blind.stderr)
  t.is(JSON.parse(blind.stdout).brokerUs, undefined)
  t.true(JSON.parse(blind.stdout).counts.acknowledged > 0)
  t.is(seeing.code, 0, seeing.stderr)
  t.true(JSON.parse(seeing.stdout).brokerUs > 0)
})

test('a process whose CPU time cannot be read is told of', async (t) => {
  const broker = await startProcess(t, ['--store', 'memory'])
  const url = ['--url', `mqtt://127.0.0.1:${broker.port}`, '--pid', '1073741824']

  const { code, stdout } = await run(t, [...one, ...url])

  t.is(code, 0)
  t.true(stdout.includes('  the CPU time of process 1073741824 cannot be read\n'))
})

test('over WebSocket all scenarios run that do not ask for something else', async (t) => {
  const broker = await startProcess(t, ['--store', 'memory'])
  const url = ['--url', `ws://127.0.0.1:${broker.wsPort}/mqtt`]

  const { code, stdout, stderr } = await run(t, [...one, '-s', 'websocket', '-s', 'tls', ...url])

  t.is(code, 0)
  t.regex(stdout, /^qos0-pairs +[\d,]+[^]*^websocket +[\d,]+/m)
  t.is(stderr, 'tls is left out: there is no listener for TLS\n')
})

test('a broker that loses messages is told of, and exit code 1', async (t) => {
  const broker = await startFaultyBroker(t, 'lose')

  const { code, stdout } = await run(t, [...one, '--url', `mqtt://127.0.0.1:${broker.port}`])

  t.is(code, 1)
  t.regex(stdout, /! [\d,]+ lost/)
})

test('where nobody listens it is said in one sentence', async (t) => {
  const { host, port } = await silentPlace(t)

  const { code, stdout, stderr } = await run(t, [
    ...one,
    '--url',
    `mqtt://${host}:${port}`,
    '--json',
  ])

  t.is(code, 1)
  t.is(stdout, '')
  t.is(
    stderr,
    `Cannot connect to mqtt://${host}:${port}: nothing listens there. Is the broker running? Start one with: noctule start\n`,
  )
})

test('a broker that does not want us is quoted', async (t) => {
  const broker = await startScriptedBroker(
    t,
    (packet, peer) => {
      if (packet.cmd === 'connect')
        peer.send({ cmd: 'connack', returnCode: 5, sessionPresent: false })
    },
    4,
  )

  const { code, stderr } = await run(t, [...one, '--url', `mqtt://127.0.0.1:${broker.port}`])

  t.is(code, 1)
  t.regex(
    stderr,
    /^The broker at mqtt:\S+ refused the connection: .*not authorized\. No user name was given: -u [^]*$/,
  )
})

test('a subscription that is not granted as it was asked for is told', async (t) => {
  const broker = await startScriptedBroker(
    t,
    (packet, peer) => {
      if (packet.cmd === 'connect')
        peer.send({ cmd: 'connack', returnCode: 0, sessionPresent: false })
      if (packet.cmd === 'subscribe') {
        peer.send({ cmd: 'suback', messageId: packet.messageId ?? 0, granted: [0] })
      }
    },
    4,
  )

  const { code, stderr } = await run(t, [
    ...one,
    '-q',
    '2',
    '--url',
    `mqtt://127.0.0.1:${broker.port}`,
  ])

  t.is(code, 1)
  t.regex(stderr, /^The broker did not grant "bench\/\d+" at QoS 2: granted QoS 0\n$/)
})

test('what is no MQTT is told in one sentence', async (t) => {
  const server = createServer((socket) => {
    socket.on('error', () => socket.destroy())
    socket.end(Buffer.alloc(8, 0xff))
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  const { port } = server.address() as { port: number }

  const { code, stderr } = await run(t, [...one, '--url', `mqtt://127.0.0.1:${port}`])

  t.is(code, 1)
  t.regex(stderr, /^The broker sent what is no MQTT: a Remaining Length has no end \(\w+ \d+\)\n$/)
})

for (const [args, words] of [
  [['-s', 'qos0-pair'], /There is no scenario "qos0-pair"\. Did you mean "qos0-pairs"\?/],
  [['-s', 'everything'], /There is no scenario "everything"/],
  [['--url', 'tcp://here'], /--url is mqtt:\/\//],
  [['--url', 'mqtt://localhost/topic'], /--url has no topic/],
  [['--url', 'mqtt://localhost', '--store', 'memory'], /--store is for a broker of ours/],
  [['--pid', '1'], /--pid is the process of a broker that --url names/],
  [['--scenarios', 'qos0-pairs'], /There is no flag --scenarios\. Did you mean --scenario\?/],
  [['--payload', '15'], /--payload takes a whole number from 16/],
  [['--duration', '0'], /--duration takes more than nothing/],
  [
    ['-s', 'fan-out', '--publishers', '9000', '--subscribers', '9000'],
    /fan-out with 9000 publishers and 9000 subscribers is too much/,
  ],
  [['--qos', '3'], /--qos is one of 0, 1, 2/],
] as const) {
  test(`bench ${args.join(' ')} is a mistake, told in one sentence`, async (t) => {
    const { code, stdout, stderr } = await run(t, ['bench', ...args])

    t.is(code, 2)
    t.is(stdout, '')
    t.regex(stderr, words)
    t.notRegex(stderr, /\n\s+at /)
  })
}
