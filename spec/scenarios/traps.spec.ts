/** Names and topics that are made to cost more than they look: each costs no more than any other. */

import { Buffer } from 'node:buffer'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { type Broker, createLogger } from '../../lib/index.ts'
import { startBroker } from '../support/broker.ts'
import { startProcess } from '../support/broker-process.ts'
import { connectClient, openTcpClient } from '../support/client.ts'
import { temporaryDirectory } from '../support/processes.ts'
import { nextTurn } from '../support/turns.ts'

const NAMES = 100_000

/** Strings that some hash, without a seed, would give few values. */
const crafted: Readonly<Record<string, (i: number) => string>> = {
  'numbers whose lower bits are the same': (i) => String(i * 2 ** 17 + 7),
  'words that hash alike where a letter counts 31 times the next': (i) =>
    i.toString(2).padStart(17, '0').replaceAll('0', 'Aa').replaceAll('1', 'BB'),
  'names that objects have': (i) => `__proto__/constructor/${i}`,
  'a long name with its difference at the end': (i) => `${'x'.repeat(200)}${i}`,
}

/** Keeps a retained message under each name; returns the ms it took. */
async function keepAll(t: ExecutionContext, nameOf: (i: number) => string): Promise<number> {
  const { broker } = await startBroker(t)
  const begin = performance.now()
  for (let i = 0; i < NAMES; i++) {
    void broker.publish({ topic: nameOf(i), payload: 'x', retain: true })
    if (i % 1000 === 0) await nextTurn()
  }
  return performance.now() - begin
}

let usual: Promise<number> | undefined

for (const [what, nameOf] of Object.entries(crafted)) {
  test.serial(`${NAMES} names cost what any others do: ${what}`, async (t) => {
    usual ??= keepAll(t, (i) => `sensors/${Math.imul(i, 2_654_435_761)}/value`)
    const usualMs = await usual

    const ms = await keepAll(t, nameOf)

    t.log(`${ms.toFixed(0)} ms, others ${usualMs.toFixed(0)} ms`)
    // All in one bucket of a table, it would be half a minute.
    t.true(ms < usualMs * 10 + 1000)
  })
}

/** What the administrator writes is not the client's: these read flags and the configuration. */
const ofTheAdministrator = ['cli/', 'config/']

const LITERAL =
  /(?<=[(=,:!&|?[]\s*|return )\/(?![*/])((?:[^/\\\n[]|\\.|\[(?:[^\]\\\n]|\\.)*\])+)\/([dgimsuvy]*)/g

function regularExpressions(): { where: string; regex: RegExp }[] {
  return readdirSync('lib', { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts'))
    .filter((file) => !ofTheAdministrator.some((beginning) => file.startsWith(beginning)))
    .flatMap((file) => {
      const source = readFileSync(join('lib', file), 'utf8')
      const code = source.replaceAll(/\/\*[\s\S]*?\*\//g, '').replaceAll(/^\s*\/\/.*$/gm, '')
      return [...code.matchAll(LITERAL)].map(([, body = '', flags = '']) => ({
        where: `${file}: /${body}/${flags}`,
        regex: new RegExp(body, flags),
      }))
    })
}

const HOSTILE_LENGTH = 40_000
const hostile = ['', 'a', '"', '$', '://'].flatMap((begin) =>
  [
    'a',
    '/',
    ' ',
    '"',
    '\\',
    '\\"',
    ':',
    '0',
    '\n',
    '@',
    '-',
    '.',
    'a ',
    '=a',
    '%',
    'a=',
    '"a" ',
    ',',
    'é',
  ].flatMap((unit) =>
    ['', '!'].map((end) => begin + unit.repeat(HOSTILE_LENGTH / unit.length) + end),
  ),
)

/** Many times what a linear one takes, a few times less than a quadratic one does. */
const REGEX_MAX_MS = 200

function isSlow(regex: RegExp, text: string): boolean {
  const begin = performance.now()
  regex.lastIndex = 0
  text.replace(regex, '')
  return performance.now() - begin > REGEX_MAX_MS
}

/** What was slow once or twice, since the machine has other things to do, may try again. */
function isTrap(regex: RegExp): boolean {
  return hostile.some((text) => [1, 2, 3].every(() => isSlow(regex, text)))
}

test.serial('every regular expression that sees what clients send is linear', (t) => {
  const all = regularExpressions()

  t.true(all.length > 30)
  t.deepEqual(
    all.filter(({ regex }) => isTrap(regex)).map(({ where }) => where),
    [],
  )
  // And one that is not would be seen.
  t.true(isTrap(/\s+$/))
})

const LEVELS_MAX = 65_535
const deepest = '/'.repeat(LEVELS_MAX - 1)
const anyLevels = `${'+/'.repeat(32_766)}+`

async function startDeep(t: ExecutionContext, rules: string | undefined): Promise<Broker> {
  const aclFile = join(temporaryDirectory(t), 'acl.conf')
  if (rules !== undefined) writeFileSync(aclFile, rules)
  const { broker } = await startBroker(t, {
    connection: { topicLevelsMax: LEVELS_MAX },
    ...(rules !== undefined && { security: { aclFile, allowAnonymous: true } }),
  })
  return broker
}

for (const [how, rules] of [
  ['without rules', undefined],
  ['under rules', `allow all ${'+/'.repeat(500)}#\nallow all +/#\nallow all /#\nallow all #\n`],
] as const) {
  test.serial(
    `topics of 65,535 levels are subscribed to, published, retained and found, ${how}`,
    async (t) => {
      const broker = await startDeep(t, rules)
      const client = await connectClient(t, broker)
      const begin = performance.now()
      const codes: number[] = []
      for (const [i, filter] of [deepest, anyLevels, `${deepest.slice(1)}#`, '#'].entries()) {
        codes.push((await client.subscribe(t, filter, { messageId: i + 1 }))['granted'][0])
      }
      client.publish(deepest, 'x', { retain: true })
      client.publish('/'.repeat(32_766), 'y', { retain: true })
      const live = await client.settled()
      const retained = []
      for (const topic of [anyLevels, '#']) {
        const reader = await connectClient(t, broker)
        reader.send({ cmd: 'subscribe', messageId: 1, subscriptions: [{ topic, qos: 0 }] })
        retained.push((await reader.settled()).filter(({ cmd }) => cmd === 'publish').length)
      }
      for (const filter of [deepest, anyLevels]) {
        client.send({ cmd: 'unsubscribe', messageId: 9, unsubscriptions: [filter] })
        await client.expect(t, 'unsuback')
      }
      client.publish(deepest, '', { retain: true })
      await client.settled()

      t.deepEqual(codes, [0, 0, 0, 0])
      t.is(live.filter(({ cmd }) => cmd === 'publish').length, 2)
      t.deepEqual(retained, [1, 2])
      t.true(performance.now() - begin < 10_000)
    },
  )
}

test('beyond connection.topicLevelsMax a topic is refused, and nobody has to look at its levels', async (t) => {
  const { broker } = await startBroker(t)
  const client = await connectClient(t, broker)

  t.deepEqual((await client.subscribe(t, deepest))['granted'], [0x8f])
  client.publish(deepest, 'x', { qos: 1, messageId: 1 })
  t.like(await client.expect(t, 'puback'), { reasonCode: 0x90 })
})

test.serial(
  'very many filters in one packet hold nobody up, and only so many are kept',
  async (t) => {
    const { broker } = await startBroker(t)
    const other = await connectClient(t, broker)
    await other.subscribe(t, 'other')
    const bomber = await connectClient(t, broker)
    const subscriptions = Array.from({ length: 100_000 }, (_, i) => ({ topic: `${i}/+/#`, qos: 0 }))
    let turns = 0

    bomber.send({ cmd: 'subscribe', messageId: 1, subscriptions })
    while (bomber.packets.length === 0) {
      void broker.publish({ topic: 'other', payload: 'x' })
      turns++
      await nextTurn()
    }

    const { granted } = (await bomber.expect(t, 'suback')) as unknown as { granted: number[] }
    t.is(granted.filter((code) => code === 0).length, 10_000)
    t.is(granted.filter((code) => code === 0x97).length, 90_000)
    t.true(turns > 500, `${turns} turns for the others`)
    t.is((await other.settled()).length, turns)
  },
)

test.serial('filters that overlap in every way cost a look at each, not more', async (t) => {
  const { broker } = await startBroker(t)
  const client = await connectClient(t, broker)
  const filters = Array.from({ length: 2 ** 12 }, (_, bits) =>
    bits.toString(2).padStart(12, '0').replaceAll('0', 'a/').replaceAll('1', '+/').slice(0, -1),
  )
  for (let i = 0; i < filters.length; i += 512) {
    const subscriptions = filters.slice(i, i + 512).map((topic) => ({ topic, qos: 0 }))
    client.send({ cmd: 'subscribe', messageId: 1, subscriptions })
    await client.expect(t, 'suback')
  }
  const begin = performance.now()

  for (let i = 0; i < 100; i++) {
    void broker.publish({ topic: `${'a/'.repeat(11)}${i === 0 ? 'a' : i}`, payload: 'x' })
  }
  const received = await client.settled()

  t.is(received.length, 100)
  t.true(performance.now() - begin < 3_000)
})

const EVIL = 'x\r\n{"level":"error","msg":"forged"}\u001b[2J\u009b31m\u2028\u202eevil\u0085'

for (const format of ['json', 'pretty'] as const) {
  test(`what strangers call themselves stays in its line of the ${format} log`, async (t) => {
    const lines: string[] = []
    const stream = { write: (line: string) => lines.push(line) }
    const { broker } = await startBroker(t, {
      logger: createLogger({ level: 'info', format, stream }),
      hooks: {
        authenticate: () => true,
        authorizePublish: () => ({ isAllowed: false, rule: 'no' }),
        authorizeSubscribe: () => ({ isAllowed: false, rule: 'no' }),
      },
    })
    lines.length = 0
    const client = await connectClient(t, broker, { clientId: EVIL, username: EVIL })
    client.publish(EVIL, 'x', { qos: 1, messageId: 1 })
    await client.expect(t, 'puback')
    await client.subscribe(t, EVIL)
    client.send({ cmd: 'disconnect', reasonCode: 0, properties: { reasonString: EVIL } })
    await client.closed()
    await nextTurn()

    t.is(lines.length, 4, lines.join(''))
    const raw = /[^\P{Cc}\n]|[\u2028\u2029]|\p{Bidi_Control}/u
    t.deepEqual(
      lines.filter((line) => raw.test(line) || line.indexOf('\n') !== line.length - 1),
      [],
    )
    t.deepEqual(
      lines.filter((line) => !line.includes('evil')),
      [],
    )
    if (format === 'json') for (const line of lines) t.notThrows(() => JSON.parse(line))
  })
}

test('what strangers call themselves stays in its line of the process as well', async (t) => {
  const broker = await startProcess(t, ['--log-format', 'json'])
  const client = await openTcpClient(t, broker.port)
  client.connect({ clientId: EVIL, username: EVIL })
  await client.expect(t, 'connack')
  await broker.waitFor(/client connected/)

  const lines = broker.output().split('\n')
  t.false(lines.some((line) => line.startsWith('{"level":"error"')))
  t.is(lines.filter((line) => line.includes('client connected')).length, 1)
  t.false(/[^\P{Cc}\n]|[\u2028\u2029]/u.test(broker.output()))
})

test('a topic of 65,535 bytes that is nothing but one character is a topic like any other', async (t) => {
  const { broker } = await startBroker(t)
  const client = await connectClient(t, broker)
  for (const [i, character] of ['a', ' ', '$', '%', '\\', '"', '\u2028'].entries()) {
    const topic = character.repeat(65_535 / Buffer.byteLength(character))
    await client.subscribe(t, topic, { messageId: i + 1 })
    client.publish(topic, 'x')
    t.is((await client.expect(t, 'publish'))['topic'], topic)
  }
})
