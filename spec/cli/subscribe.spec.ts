/** `noctule sub` as a process, against a real broker and a scripted one. */

import test, { type ExecutionContext } from 'ava'
import type { IPublishPacket, Packet } from 'mqtt-packet'
import { chooseFormat, screenOf } from '../../lib/cli/message-output.ts'
import type { ReceivedMessage } from '../../lib/cli/received-message.ts'
import { type Process, run, silentPlace, spawnCli, startTestBroker } from '../support/processes.ts'
import { type ScriptedPeer, startScriptedBroker, welcome } from '../support/scripted-broker.ts'

/** Starts `sub` and waits until the broker has granted its subscriptions. */
async function subscribed(t: ExecutionContext, args: readonly string[]): Promise<Process> {
  const sub = spawnCli(t, ['sub', '-d', ...args])
  await sub.waitForLine(/^Subscribed/)
  return sub
}

/** Takes the connection, grants each subscription, and then sends `messages`. */
function granting(...messages: readonly Packet[]) {
  return (packet: Packet, peer: ScriptedPeer) => {
    if (packet.cmd === 'connect') peer.send(welcome)
    if (packet.cmd !== 'subscribe') return
    const granted = packet.subscriptions.map(() => 0)
    peer.send({ cmd: 'suback', messageId: packet.messageId as number, granted })
    for (const message of messages) peer.send(message)
  }
}

function publishOf(fields: Partial<IPublishPacket> = {}): Packet {
  const defaults = { topic: 'a', payload: 'hi', qos: 0, dup: false, retain: false } as const
  return { cmd: 'publish', ...defaults, ...fields }
}

test('-v shows topics, -C ends after so many messages', async (t) => {
  const { port } = await startTestBroker(t)
  const sub = await subscribed(t, ['-p', String(port), '-t', 'a/#', '-t', 'b', '-v', '-C', '3'])

  for (const [topic, payload] of Object.entries({ 'a/1': 'x', b: 'y', c: 'z', 'a/2': '' })) {
    await run(t, ['pub', '-p', String(port), '-t', topic, '-q', '1', '-m', payload])
  }

  const { code, stdout } = await sub.ended
  t.deepEqual({ code, stdout }, { code: 0, stdout: 'a/1 x\nb y\na/2 (null)\n' })
})

test('-R hides retained messages, --retained-only ends at the first other one', async (t) => {
  const { port } = await startTestBroker(t)
  const flags = ['-p', String(port), '-t', 'a']
  await run(t, ['pub', ...flags, '-r', '-q', '1', '-m', 'old'])
  const live = await subscribed(t, [...flags, '-R', '-C', '1'])
  const retained = await subscribed(t, [...flags, '--retained-only'])
  await retained.waitForLine(/^old$/)

  await run(t, ['pub', ...flags, '-q', '1', '-m', 'new'])

  t.is((await live.ended).stdout, 'new\n')
  t.like(await retained.ended, { code: 0, stdout: 'old\n' })
})

test('-T hides what matches its filter', async (t) => {
  const topics = ['a/1', 'a/2/x', 'a/3'].map((topic) => publishOf({ topic }))
  const { port } = await startScriptedBroker(t, granting(...topics))
  const args = ['sub', '-p', String(port), '-t', 'a/#', '-T', '+/2/#', '-F', '%t', '-C', '2']

  t.is((await run(t, args)).stdout, 'a/1\na/3\n')
})

test('-W ends with exit code 27 when the time is up', async (t) => {
  const { port } = await startScriptedBroker(t, granting())

  const result = await run(t, ['sub', '-p', String(port), '-t', 'a', '-W', '0.3'])

  t.deepEqual(result, { code: 27, stdout: '', stderr: '' })
})

test('-W ends the wait for a broker that does not answer, too', async (t) => {
  const { port } = await startScriptedBroker(t, () => {})

  t.is((await run(t, ['sub', '-p', String(port), '-t', 'a', '-W', '0.3'])).code, 27)
})

test('-E ends as soon as the subscription is granted', async (t) => {
  const broker = await startScriptedBroker(t, granting())

  const { code } = await run(t, ['sub', '-p', String(broker.port), '-t', 'a', '-E'])

  t.is(code, 0)
  t.deepEqual(
    broker.received.map(({ cmd }) => cmd),
    ['connect', 'subscribe', 'disconnect'],
  )
})

test('subscription options and properties are in the SUBSCRIBE', async (t) => {
  const broker = await startScriptedBroker(t, granting())
  const flags =
    '-q 2 --no-local --retain-as-published --retain-handling new --subscription-identifier 7'
  const property = ['-D', 'subscribe', 'user-property', 'k', 'v']

  await run(t, [
    'sub',
    '-p',
    String(broker.port),
    '-t',
    'a',
    '-E',
    ...flags.split(' '),
    ...property,
  ])

  t.like(broker.received[1], {
    subscriptions: [{ topic: 'a', qos: 2, nl: true, rap: true, rh: 1 }],
    properties: { subscriptionIdentifier: 7, userProperties: { k: 'v' } },
  })
})

test('a refused subscription is told with its reason, whatever else was granted', async (t) => {
  const broker = await startScriptedBroker(t, ({ cmd, messageId }, peer) => {
    if (cmd === 'connect') peer.send(welcome)
    if (cmd === 'subscribe')
      peer.send({ cmd: 'suback', messageId: messageId ?? 0, granted: [0, 0x87] })
  })

  const result = await run(t, ['sub', '-p', String(broker.port), '-t', 'a', '-t', 'b/#'])

  const stderr = 'The broker refused the subscription to "b/#": 0x87 not authorized\n'
  t.deepEqual(result, { code: 1, stdout: '', stderr })
})

test('--json shows everything about a message, bytes that are no text in base64', async (t) => {
  const properties = { userProperties: { k: ['v', 'w'] }, subscriptionIdentifier: [7, 8] }
  const text = publishOf({ payload: 'ä "', retain: true, properties })
  const bytes = publishOf({ payload: Buffer.from([0xff, 0]) })
  const { port } = await startScriptedBroker(t, granting(text, bytes))

  const { stdout } = await run(t, ['sub', '-p', String(port), '-t', 'a', '--json', '-C', '2'])

  const lines = stdout.trimEnd().split('\n')
  const [first, second] = lines.map((line) => JSON.parse(line) as Record<string, unknown>)
  const { timestamp, ...rest } = first ?? {}
  t.true(Math.abs(Date.parse(timestamp as string) - Date.now()) < 60_000)
  t.deepEqual(rest, {
    topic: 'a',
    qos: 0,
    retain: true,
    payload: 'ä "',
    encoding: 'utf8',
    properties: {
      subscriptionIdentifiers: [7, 8],
      userProperties: [
        ['k', 'v'],
        ['k', 'w'],
      ],
    },
  })
  t.like(second, { payload: '/wA=', encoding: 'base64', properties: {} })
})

test('payloads are written byte for byte; -N leaves the end of line out, --hex shows digits', async (t) => {
  const payload = Buffer.from([0x1b, 0xc3, 0x28])
  const { port } = await startScriptedBroker(t, granting(publishOf({ payload })))
  const flags = ['-p', String(port), '-t', 'a', '-C', '1', '-N']
  const raw = spawnCli(t, ['sub', ...flags])
  const pieces: Buffer[] = []
  raw.child.stdout.setEncoding('latin1').on('data', (text: string) => {
    pieces.push(Buffer.from(text, 'latin1'))
  })

  await raw.ended

  t.deepEqual(Buffer.concat(pieces), payload)
  t.is((await run(t, ['sub', ...flags, '--hex'])).stdout, '1bc328')
})

const received: ReceivedMessage = {
  topicName: 'a/b',
  payload: Buffer.from('{"x": 1}'),
  qos: 1,
  retain: true,
  packetIdentifier: 9,
  properties: { contentType: 'json', messageExpiryInterval: 60, userProperties: { k: ['v', 'w'] } },
  receivedAtMs: 1_470_818_943_786.5,
}

const formats: readonly (readonly [format: string, shown: string])[] = [
  ['%t %p %q %r %l %m', 'a/b {"x": 1} 1 1 8 9'],
  ['%x', '7b2278223a20317d'],
  ['%X', '7B2278223A20317D'],
  ['%C|%E|%P|%R|%S|%A|%D|%F', 'json|60|k:v k:w||||||'.slice(0, -1)],
  ['%U @s.@N', '1470818943.786500000 1470818943.786500000'],
  ['%%@@\\\\\\t\\n\\e[0m', '%@\\\t\n\u001b[0m'],
  ['[%6t][%-6t][%.1t][%03l][%6.2t]', '[   a/b][a/b   ][a][008][    a/]'],
]

for (const [format, shown] of formats) {
  test(`-F '${format}' shows what mosquitto_sub shows`, (t) => {
    const screen = { isTerminal: false, hasColours: false }
    t.is(chooseFormat({ format, omitNewline: true }, screen)(received)?.toString(), shown)
  })
}

test('%j quotes the payload, %J embeds it if it is JSON, both with a local timestamp', (t) => {
  const screen = { isTerminal: false, hasColours: false }
  const show = (format: string, payload: Buffer) =>
    chooseFormat({ format }, screen)({ ...received, payload })?.toString()

  const quoted = JSON.parse(show('%j', received.payload) ?? '') as Record<string, unknown>
  const embedded = JSON.parse(show('%J', received.payload) ?? '') as Record<string, unknown>

  const { tst, ...rest } = quoted
  t.regex(tst as string, /^2016-08-1\dT\d\d:\d\d:\d\d\.786500[+-]\d{4}$/)
  t.like(rest, { topic: 'a/b', qos: 1, retain: 1, payloadlen: 8, mid: 9, payload: '{"x": 1}' })
  t.deepEqual(embedded, { ...quoted, payload: { x: 1 } })
  t.is(show('%J', Buffer.from('no json')), undefined)
})

test('a terminal gets a coloured topic and no control characters of strangers; NO_COLOR is kept', (t) => {
  const evil = { ...received, topicName: 'a\u009b', payload: Buffer.from('\u001b]0;x\u0007ä\n') }
  const show = (isTTY: boolean, environment: NodeJS.ProcessEnv) =>
    chooseFormat({ verbose: true }, screenOf({ isTTY }, environment))(evil)?.toString()

  t.is(show(true, {}), '\u001b[36ma\\x9b\u001b[39m \\x1b]0;x\\x07ä\n\n')
  t.is(show(true, { NO_COLOR: '1' }), 'a\\x9b \\x1b]0;x\\x07ä\n\n')
  t.is(show(false, {}), 'a\u009b \u001b]0;x\u0007ä\n\n')
})

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  test(`${signal} ends sub with a DISCONNECT and exit code 0`, async (t) => {
    const broker = await startScriptedBroker(t, granting())
    const sub = await subscribed(t, ['-p', String(broker.port), '-t', 'a'])

    sub.child.kill(signal)

    t.is((await sub.ended).code, 0)
    t.is(broker.received.at(-1)?.cmd, 'disconnect')
  })
}

test('sub ends quietly when nobody reads its output any longer', async (t) => {
  const { port } = await startTestBroker(t)
  const sub = await subscribed(t, ['-p', String(port), '-t', 'a'])
  const pub = spawnCli(t, ['pub', '-p', String(port), '-t', 'a', '-l'])
  pub.child.stdin.write('one\n')
  await sub.waitForLine(/^one$/)

  sub.child.stdout.destroy()
  pub.child.stdin.end('two\nthree\n')

  const { code, stderr } = await sub.ended
  t.is(code, 0)
  t.notRegex(stderr, /EPIPE|Error/)
})

test('the message that reaches -C is acknowledged, the next one is left for the next time', async (t) => {
  const messages = [1, 2].map((messageId) => publishOf({ qos: 1, messageId }))
  const broker = await startScriptedBroker(t, granting(...messages))

  await run(t, ['sub', '-p', String(broker.port), '-t', 'a', '-q', '1', '-C', '1'])

  const acknowledged = broker.received.filter(({ cmd }) => cmd === 'puback')
  t.deepEqual(
    acknowledged.map(({ messageId }) => messageId),
    [1],
  )
})

test('sub connects and subscribes again after the connection is lost', async (t) => {
  let connections = 0
  const broker = await startScriptedBroker(t, (packet, peer) => {
    if (packet.cmd === 'connect') connections += 1
    granting(publishOf())(packet, peer)
    if (packet.cmd === 'subscribe' && connections === 1) peer.hangUp()
  })

  const { code, stdout, stderr } = await run(t, [
    'sub',
    '-p',
    String(broker.port),
    '-t',
    'a',
    '-C',
    '2',
  ])

  t.deepEqual({ code, stdout, connections }, { code: 0, stdout: 'hi\nhi\n', connections: 2 })
  t.regex(stderr, /^The connection to \S+ was lost: the broker closed it\. Trying again\n$/)
})

test('with --no-reconnect, a lost connection is the end', async (t) => {
  const broker = await startScriptedBroker(t, (packet, peer) => {
    granting()(packet, peer)
    if (packet.cmd === 'subscribe') peer.hangUp()
  })

  const { code, stderr } = await run(t, [
    'sub',
    '-p',
    String(broker.port),
    '-t',
    'a',
    '--no-reconnect',
  ])

  t.is(code, 1)
  t.regex(stderr, /was lost: the broker closed it\n$/)
})

test('who is sent away for good does not come back', async (t) => {
  const broker = await startScriptedBroker(t, (packet, peer) => {
    granting()(packet, peer)
    if (packet.cmd !== 'subscribe') return
    peer.send({ cmd: 'disconnect', reasonCode: 0x8e })
    peer.hangUp()
  })

  const { code, stderr } = await run(t, ['sub', '-p', String(broker.port), '-t', 'a'])

  t.is(code, 1)
  t.regex(stderr, /^The broker at \S+ closed the connection: 0x8e session taken over\n$/)
})

test('sub does not try again where nothing has ever answered', async (t) => {
  const { host, port } = await silentPlace(t)

  const { code, stderr } = await run(t, ['sub', '-h', host, '-p', String(port), '-t', 'a'])

  t.is(code, 1)
  t.regex(stderr, /^Cannot connect to \S+: nothing listens there\. .*noctule start\n$/)
})

test('a session goes on with -c and -i', async (t) => {
  const { port } = await startTestBroker(t)
  const flags = ['-p', String(port), '-t', 'a', '-q', '1']
  const session = ['sub', ...flags, '-c', '-i', 'me']
  await run(t, [...session, '-E'])
  await run(t, ['pub', ...flags, '-m', 'while away'])

  const { stdout } = await run(t, [...session, '-C', '1'])

  t.is(stdout, 'while away\n')
})

const mistakes: readonly (readonly [args: string, sentence: string])[] = [
  ['-v', 'To what? Give a Topic Filter with -t.'],
  [
    '-t a/#/b',
    '"a/#/b" is not a Topic Filter: + and # stand for whole levels, # for the last ones.',
  ],
  ['-t a --json --hex', 'Give one of -F, --json and --hex, not several.'],
  ['-t a -V 31 --no-local', '--no-local needs MQTT 5 (-V 5).'],
  ['-t $share/g/a --no-local', '--no-local is not allowed for shared subscriptions ($share/…).'],
  ['-t a --retain-handling often', '--retain-handling is one of always, new, never, not "often".'],
  ['-t a -W soon', '-W takes seconds from 0 to 2147483.'],
]

for (const [args, sentence] of mistakes) {
  test(`the mistake in \`sub ${args}\` is one sentence and exit code 2`, async (t) => {
    const stderr = `${sentence} See: noctule sub --help\n`
    t.deepEqual(await run(t, ['sub', ...args.split(' ')]), { code: 2, stdout: '', stderr })
  })
}

test('a sequence that -F does not know is told with those it knows', async (t) => {
  const { code, stderr } = await run(t, ['sub', '-t', 'a', '-F', '%y'])

  t.is(code, 2)
  t.regex(stderr, /^-F knows no "%y"; there are: .*%t.* See: noctule sub --help\n$/)
})
