/** `noctule pub` as a process, against a real broker and a scripted one. */

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import test from 'ava'
import type { Packet } from 'mqtt-packet'
import { certificates } from '../support/certificates.ts'
import {
  run,
  silentPlace,
  spawnCli,
  startTestBroker,
  temporaryDirectory,
} from '../support/processes.ts'
import { type ScriptedPeer, startScriptedBroker, welcome } from '../support/scripted-broker.ts'

/** Takes every connection, and answers a PUBLISH with `answer`. */
function answering(answer: (packet: Packet, peer: ScriptedPeer) => void) {
  return (packet: Packet, peer: ScriptedPeer) => {
    if (packet.cmd === 'connect') peer.send(welcome)
    if (packet.cmd === 'publish') answer(packet, peer)
  }
}

for (const version of ['31', '311', '5']) {
  for (const qos of ['0', '1', '2']) {
    test(`pub sends a message with QoS ${qos} and MQTT ${version}`, async (t) => {
      const { port } = await startTestBroker(t)
      const flags = ['-p', String(port), '-V', version, '-q', qos]
      const sub = spawnCli(t, ['sub', ...flags, '-t', 'a/#', '-d', '-F', '%t %q %r %p', '-C', '1'])
      await sub.waitForLine(/^Subscribed/)

      const { code, stderr } = await run(t, ['pub', ...flags, '-t', 'a/b', '-m', 'Hi there'])

      t.deepEqual({ code, stderr }, { code: 0, stderr: '' })
      t.is((await sub.ended).stdout, `a/b ${qos} 0 Hi there\n`)
    })
  }
}

test('pub sends all properties of a message', async (t) => {
  const { port } = await startTestBroker(t)
  const sub = spawnCli(t, ['sub', '-p', String(port), '-t', 'a', '-d', '--json', '-C', '1'])
  await sub.waitForLine(/^Subscribed/)

  const flags =
    '--content-type text/plain --response-topic re --correlation-data c --message-expiry 60 --payload-format-utf8 --user-property k=v=w --user-property k=x'
  const separate = ['-D', 'publish', 'user-property', 'one', 'two words']
  const joined = ['-D', 'publish user-property three four five']
  const args = ['pub', '-p', String(port), '-t', 'a', '-m', 'x', ...flags.split(' ')]
  await run(t, [...args, ...separate, ...joined])

  const { properties } = JSON.parse((await sub.ended).stdout) as Record<string, unknown>
  t.deepEqual(properties, {
    payloadFormatIndicator: 1,
    messageExpiryInterval: 60,
    contentType: 'text/plain',
    responseTopic: 're',
    correlationData: Buffer.from('c').toString('base64'),
    userProperties: [
      ['one', 'two words'],
      ['three', 'four five'],
      ['k', 'v=w'],
      ['k', 'x'],
    ],
  })
})

test('the word after a flag is its value, even if it looks like a flag', async (t) => {
  const broker = await startScriptedBroker(
    t,
    answering(() => {}),
  )

  await run(t, ['pub', '-p', String(broker.port), '-t', '-t', '-m', '--help'])

  const publish = broker.received.find(({ cmd }) => cmd === 'publish')
  t.like(publish, { topic: '-t', payload: Buffer.from('--help') })
})

test('a file and standard input are sent byte for byte', async (t) => {
  const bytes = Buffer.from([0x00, 0xff, 0x0a, 0x80, 0x0a])
  const file = join(temporaryDirectory(t), 'payload')
  writeFileSync(file, bytes)
  const broker = await startScriptedBroker(
    t,
    answering(() => {}),
  )
  const flags = ['pub', '-p', String(broker.port), '-t', 'a']

  await run(t, [...flags, '-f', file])
  await run(t, [...flags, '-s'], { input: bytes })

  const payloads = broker.received.flatMap((packet) =>
    packet.cmd === 'publish' ? [packet.payload] : [],
  )
  t.deepEqual(payloads, [bytes, bytes])
})

test('each line of standard input is a message, in order, the last one without end of line too', async (t) => {
  const { port } = await startTestBroker(t)
  const lines = Array.from({ length: 5_000 }, (_, index) => (index === 7 ? '' : `line ${index}`))
  const flags = ['-p', String(port), '-t', 'a', '-q', '1']
  const sub = spawnCli(t, ['sub', ...flags, '-d', '-C', '5000'])
  await sub.waitForLine(/^Subscribed/)

  const { code } = await run(t, ['pub', ...flags, '-l'], { input: lines.join('\n') })

  t.is(code, 0)
  t.is((await sub.ended).stdout, `${lines.join('\n')}\n`)
})

test('no more messages are under way than the broker takes at once', async (t) => {
  let unacknowledged = 0
  let most = 0
  const script = (packet: Packet, peer: ScriptedPeer) => {
    if (packet.cmd === 'connect')
      peer.send({ ...welcome, properties: { receiveMaximum: 3 } } as Packet)
    if (packet.cmd !== 'publish') return
    most = Math.max(most, ++unacknowledged)
    setImmediate(() => {
      unacknowledged -= 1
      peer.send({ cmd: 'puback', messageId: packet.messageId as number, reasonCode: 0 })
    })
  }
  const broker = await startScriptedBroker(t, script)

  const flags = ['pub', '-p', String(broker.port), '-t', 'a', '-q', '1', '-l']
  const { code } = await run(t, flags, { input: 'x\n'.repeat(500) })

  t.deepEqual({ code, most }, { code: 0, most: 3 })
})

test('a stream without end is read no faster than the broker acknowledges', async (t) => {
  const window = 256
  const identifiers: number[] = []
  let goOn: (peer: ScriptedPeer) => void = () => {}
  const filled = new Promise<ScriptedPeer>((resolve) => {
    goOn = resolve
  })
  const broker = await startScriptedBroker(
    t,
    answering(({ messageId }, peer) => {
      if (identifiers.push(messageId as number) === window) goOn(peer)
      // The stream ends here: nothing came beyond the window but what one acknowledgement allowed.
      if (identifiers.length > window) peer.hangUp()
    }),
  )
  const pub = spawnCli(t, ['pub', '-p', String(broker.port), '-t', 'a', '-q', '1', '-l'])
  Readable.from(endlessLines()).pipe(pub.child.stdin)

  const peer = await filled
  peer.send({ cmd: 'puback', messageId: identifiers[0] as number, reasonCode: 0 })

  t.is((await pub.ended).code, 1)
  t.is(identifiers.length, window + 1)
})

function* endlessLines(): Generator<Buffer> {
  for (;;) yield Buffer.from(`${'x'.repeat(1_000)}\n`)
}

test('a message repeats as often as it is asked to', async (t) => {
  const broker = await startScriptedBroker(
    t,
    answering(() => {}),
  )
  const flags = '--repeat 3 --repeat-delay 0.01'.split(' ')

  await run(t, ['pub', '-p', String(broker.port), '-t', 'a', '-n', '-r', ...flags])

  const publishes = broker.received.filter(({ cmd }) => cmd === 'publish')
  t.is(publishes.length, 3)
  t.like(publishes[2], { retain: true, payload: Buffer.alloc(0) })
})

for (const [qos, cmd] of [
  ['1', 'puback'],
  ['2', 'pubrec'],
] as const) {
  test(`a ${cmd.toUpperCase()} that refuses the message makes pub fail with its reason`, async (t) => {
    const properties = { reasonString: 'disk full' }
    const broker = await startScriptedBroker(
      t,
      answering(({ messageId }, peer) => {
        peer.send({ cmd, messageId: messageId as number, reasonCode: 0x97, properties })
      }),
    )

    const result = await run(t, ['pub', '-p', String(broker.port), '-t', 'a', '-m', 'b', '-q', qos])

    const stderr = 'The broker refused the message to "a": 0x97 quota exceeded ("disk full")\n'
    t.deepEqual(result, { code: 1, stdout: '', stderr })
    t.deepEqual(broker.received.at(-1)?.cmd, 'disconnect')
  })
}

test('a connection that is lost before the acknowledgement makes pub fail', async (t) => {
  const broker = await startScriptedBroker(
    t,
    answering((_, peer) => peer.hangUp()),
  )

  const { code, stderr } = await run(t, [
    'pub',
    '-p',
    String(broker.port),
    '-t',
    'a',
    '-m',
    'b',
    '-q',
    '1',
  ])

  t.is(code, 1)
  t.is(stderr, `The connection to mqtt://127.0.0.1:${broker.port} was lost: the broker closed it\n`)
  t.is(broker.received.filter(({ cmd }) => cmd === 'connect').length, 1)
})

test('a DISCONNECT of the broker is named, at QoS 0 too', async (t) => {
  const broker = await startScriptedBroker(
    t,
    answering((_, peer) => {
      peer.send({ cmd: 'disconnect', reasonCode: 0x95 })
      peer.hangUp()
    }),
  )

  const { code, stderr } = await run(t, [
    'pub',
    '-p',
    String(broker.port),
    '-t',
    'a',
    '-m',
    'b',
    '-q',
    '0',
  ])

  t.is(code, 1)
  t.regex(stderr, /^The broker at mqtt:\S+ closed the connection: 0x95 packet too large\n$/)
})

test('what the broker has announced not to take is not sent', async (t) => {
  const broker = await startScriptedBroker(t, ({ cmd }, peer) => {
    const properties = { maximumQoS: 1, retainAvailable: false, maximumPacketSize: 20 }
    if (cmd === 'connect') peer.send({ ...welcome, properties } as Packet)
  })
  const flags = ['pub', '-p', String(broker.port), '-t', 'a', '-m']

  const results = [
    await run(t, [...flags, 'x', '-q', '2']),
    await run(t, [...flags, 'x', '-r']),
    await run(t, [...flags, 'x'.repeat(30)]),
  ]

  t.deepEqual(
    results.map(({ code }) => code),
    [1, 1, 1],
  )
  t.regex(results.map(({ stderr }) => stderr).join(''), /QoS 1, not QoS 2[^]*leave -r[^]*20 bytes/)
  t.false(broker.received.some(({ cmd }) => cmd === 'publish'))
})

test('a CONNACK that refuses is told with code and name', async (t) => {
  const broker = await startScriptedBroker(t, (_, peer) =>
    peer.send({ cmd: 'connack', reasonCode: 0x86, sessionPresent: false }),
  )

  const { code, stderr } = await run(t, ['pub', '-p', String(broker.port), '-t', 'a', '-m', 'b'])

  t.is(code, 1)
  t.regex(stderr, /^The broker at \S+ refused the connection: 0x86 bad user name or password\n$/)
})

test('a CONNACK of MQTT 3.1.1 that refuses is told with the names of that version', async (t) => {
  const refuse = (_: Packet, peer: ScriptedPeer) =>
    peer.send({ cmd: 'connack', returnCode: 5, sessionPresent: false })
  const broker = await startScriptedBroker(t, refuse, 4)

  const { code, stderr } = await run(t, [
    'pub',
    '-p',
    String(broker.port),
    '-V',
    '311',
    '-t',
    'a',
    '-m',
    'b',
  ])
  const account = ['-u', 'alice', '-P', 'secret']
  const named = await run(t, [
    'pub',
    '-p',
    String(broker.port),
    '-V',
    '311',
    ...account,
    '-t',
    'a',
    '-m',
    'b',
  ])

  t.is(code, 1)
  t.regex(named.stderr, / refused the connection: 0x05 not authorized\n$/)
  t.regex(stderr, / refused the connection: 0x05 not authorized\. No user name was given: -u /)
})

test('where nothing listens, pub says so in one line', async (t) => {
  const { host, port } = await silentPlace(t)

  const result = await run(t, ['pub', '-h', host, '-p', String(port), '-t', 'a', '-m', 'b'])

  const stderr = `Cannot connect to mqtt://${host}:${port}: nothing listens there. Is the broker running? Start one with: noctule start\n`
  t.deepEqual(result, { code: 1, stdout: '', stderr })
})

test('--quiet leaves only the exit code', async (t) => {
  const { host, port } = await silentPlace(t)
  const where = ['-h', host, '-p', String(port)]

  const result = await run(t, ['pub', ...where, '-t', 'a', '-m', 'b', '--quiet'])

  t.deepEqual(result, { code: 1, stdout: '', stderr: '' })
})

test('user name, password, session and will of the flags are in the CONNECT', async (t) => {
  const broker = await startScriptedBroker(
    t,
    answering(() => {}),
  )
  const url = `mqtt://me:p%40ss@127.0.0.1:${broker.port}/from/url`
  const flags = '-c -i me -x 90 -k 7 --will-topic w --will-payload gone --will-qos 1 --will-retain'
  const properties = ['-D', 'will', 'will-delay-interval', '5', '-D', 'connect user-property a b']

  const { stderr } = await run(t, [
    'pub',
    '-L',
    url,
    '-m',
    'x',
    '-d',
    ...flags.split(' '),
    ...properties,
  ])

  t.like(broker.received[0], {
    clientId: 'me',
    username: 'me',
    password: Buffer.from('p@ss'),
    clean: false,
    keepalive: 7,
    properties: { sessionExpiryInterval: 90, userProperties: { a: 'b' } },
    will: { topic: 'w', payload: Buffer.from('gone'), qos: 1, retain: true },
  })
  t.like(broker.received[1], { cmd: 'publish', topic: 'from/url' })
  t.notRegex(stderr, /p@ss|p%40ss/)
})

test('pub speaks by WebSocket and by TLS', async (t) => {
  const { ca, server } = await certificates()
  const broker = await startTestBroker(t, { tls: server })
  const cafile = join(temporaryDirectory(t), 'ca.pem')
  writeFileSync(cafile, ca.cert)
  const message = ['-t', 'a', '-m', 'b', '-q', '1']
  const tls = ['pub', '-p', String(broker.tlsPort), ...message]

  const results = [
    await run(t, ['pub', '--ws', '-p', String(broker.wsPort), ...message]),
    await run(t, [...tls, '--cafile', cafile]),
    await run(t, [...tls, '--insecure']),
    await run(t, [...tls, '--tls']),
  ]

  t.deepEqual(
    results.map(({ code }) => code),
    [0, 0, 0, 1],
  )
  t.regex(
    results[3]?.stderr ?? '',
    /nobody we trust has signed the broker's certificate\..*--cafile\n$/,
  )
})

test('a signal ends a stream of lines after what was read is acknowledged', async (t) => {
  const broker = await startScriptedBroker(
    t,
    answering(({ messageId }, peer) => {
      peer.send({ cmd: 'puback', messageId: messageId as number, reasonCode: 0 })
    }),
  )
  const pub = spawnCli(t, ['pub', '-p', String(broker.port), '-t', 'a', '-q', '1', '-l', '-d'])
  pub.child.stdin.write('one\n')
  await pub.waitForLine(/^Acknowledged/)

  pub.child.kill('SIGINT')

  t.is((await pub.ended).code, 0)
  t.is(broker.received.at(-1)?.cmd, 'disconnect')
})

const mistakes: readonly (readonly [args: string, sentence: string])[] = [
  ['-m x', 'Where to? Give a topic with -t.'],
  ['-t a', 'There is nothing to send: give -m, -f, -s, -l or -n.'],
  ['-t a -m x -n', 'Give one of -m, -f, -s, -l and -n, not several.'],
  ['-t a/# -m x', 'The topic "a/#" has a wildcard, which only subscribers use.'],
  ['-t a -m x -p 70000', '-p takes a whole number from 1 to 65535.'],
  ['-t a -m x -q 3', '-q is one of 0, 1, 2, not "3".'],
  ['-t a -m', '-m needs a value.'],
  ['-t a -m x -t b', '-t was given twice; it has one value.'],
  ['-t a -m x --mesage y', 'There is no flag --mesage. Did you mean --message?'],
  ['-t a -m x y', '"y" is neither a flag nor the value of one.'],
  ['-t a -m x -c', '-c goes on with a session, so it needs its Client Identifier: -i.'],
  ['-t a -m x -V 311 --content-type y', 'Messages have properties only in MQTT 5 (-V 5).'],
  ['-t a -m x --cafile /nowhere', 'Cannot read --cafile /nowhere: there is no such file.'],
]

for (const [args, sentence] of mistakes) {
  test(`the mistake in \`pub ${args}\` is one sentence and exit code 2`, async (t) => {
    const stderr = `${sentence} See: noctule pub --help\n`
    t.deepEqual(await run(t, ['pub', ...args.split(' ')]), { code: 2, stdout: '', stderr })
  })
}

test('a command that does not exist is told with the nearest one', async (t) => {
  const { code, stderr } = await run(t, ['sbu', '-t', 'a'])

  t.is(code, 2)
  t.is(stderr, 'There is no command "sbu". Did you mean "sub"? See: noctule --help\n')
})

test('--help tells the flags, examples and exit codes; --version the version', async (t) => {
  const help = await run(t, ['pub', '--help'])
  const version = await run(t, ['--version'])

  t.is(help.code, 0)
  for (const part of ['-h, --host', 'Examples:', 'Exit codes: 0', '[default: 5]']) {
    t.true(help.stdout.includes(part), part)
  }
  t.true(help.stdout.split('\n').every((line) => line.length <= 80))
  t.regex(version.stdout, /^\d+\.\d+\.\d+\n$/)
})
