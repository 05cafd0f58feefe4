/** Passwords and rules from files, met by mosquitto_pub, mosquitto_sub and MQTT.js. */

import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import type { IClientOptions } from 'mqtt'
import type { Broker, CreateBrokerOptions } from '../../lib/index.ts'
import { hashPassword } from '../../lib/security/password-hash.ts'
import { leadingTo, mosquittoClients } from '../support/mosquitto.ts'
import {
  connectMqttJs,
  type MqttJsClient,
  openMqttJs,
  speaking,
  startListeningBroker,
} from '../support/mqtt-js.ts'
import { temporaryDirectory } from '../support/processes.ts'
import { Program, requireProgram } from '../support/programs.ts'
import { type RecordingLogger, recordingLogger } from '../support/recording-logger.ts'

interface House {
  readonly broker: Broker
  readonly url: string
  readonly log: RecordingLogger
  readonly passwordFile: string
  readonly aclFile: string
  /** Connects with user name and password, both the same. */
  readonly enter: (userName: string, options?: IClientOptions) => Promise<MqttJsClient>
}

const users = ['alice', 'bob', 'admin']
const passwords = await Promise.all(
  users.map(async (name) => `${name}:${await hashPassword(Buffer.from(name), 10)}\n`),
)

async function open(
  t: ExecutionContext,
  rules: string,
  security: CreateBrokerOptions['security'] = {},
  parts: CreateBrokerOptions = {},
): Promise<House> {
  const folder = temporaryDirectory(t)
  const passwordFile = join(folder, 'passwords')
  const aclFile = join(folder, 'acl.conf')
  writeFileSync(passwordFile, passwords.join(''))
  writeFileSync(aclFile, rules)
  const log = recordingLogger()
  const { broker, urls } = await startListeningBroker(t, {
    security: { passwordFile, aclFile, ...security },
    logger: log,
    ...parts,
  })
  const enter = async (userName: string, options: IClientOptions = {}) => {
    const account = { username: userName, password: userName, clientId: `${userName}-1` }
    const { client } = await connectMqttJs(t, urls.tcp, { ...speaking(5), ...account, ...options })
    return client
  }
  return { broker, url: urls.tcp, log, passwordFile, aclFile, enter }
}

async function subscribe(
  { client }: MqttJsClient,
  filter: string,
  qos: 0 | 1 | 2 = 0,
): Promise<number> {
  return new Promise((resolve, reject) =>
    client.subscribe(filter, { qos }, (error, _granted, packet) => {
      const code = packet?.granted[0]
      if (code === undefined) reject(error ?? new Error('no SUBACK'))
      else resolve(code as number)
    }),
  )
}

/** The reason code of a CONNACK that refuses. */
async function refusalOf({ client }: MqttJsClient): Promise<number> {
  const error = await new Promise<unknown>((resolve) => client.once('error', resolve))
  return (error as { code: number }).code
}

/** Publishes at QoS 1 or 2 and returns the reason code of the answer. */
function publish({ client }: MqttJsClient, topic: string, qos: 1 | 2): Promise<number> {
  return new Promise((resolve) => {
    const take = (packet: { cmd: string; reasonCode?: number }) => {
      if (packet.cmd !== (qos === 1 ? 'puback' : 'pubrec')) return
      client.off('packetreceive', take)
      resolve(packet.reasonCode ?? 0)
    }
    client.on('packetreceive', take)
    client.publish(topic, 'x', { qos }, () => {})
  })
}

const rules = `allow write home/%u/#
allow read  home/#       user=alice
allow all   $SYS/#       user=admin
`

for (const [options, code] of [
  [{ username: 'alice', password: 'wrong' }, 134],
  [{ username: 'mallory', password: 'alice' }, 134],
  [{ username: 'alice' }, 134],
  [{}, 135],
] as const) {
  test(`${JSON.stringify(options)} is refused with 0x${code.toString(16)}, and the log says why`, async (t) => {
    const { url, log } = await open(t, rules)
    const client = openMqttJs(t, url, { ...speaking(5), clientId: 'c1', ...options })

    t.is(await refusalOf(client), code)
    const line = await log.next('connection refused')
    t.like(line, { client: 'c1', listener: 'tcp-0', packet: 'CONNECT' })
    t.is(typeof line['rule'], 'string')
    t.is(typeof line['hint'], 'string')
  })
}

test('an unauthorised PUBLISH is answered with 0x87 and the connection goes on', async (t) => {
  const { enter, log, broker } = await open(t, rules)
  const client = await enter('bob')
  const heard: string[] = []
  broker.subscribe('#', ({ topic }) => heard.push(topic))

  t.is(await publish(client, 'home/alice/x', 1), 0x87)
  t.is(await publish(client, 'home/alice/x', 2), 0x87)
  client.client.publish('home/alice/x', 'x', { qos: 0 })
  t.is(await publish(client, 'home/bob/x', 1), 0)
  t.is(await publish(client, 'home/bob/x', 2), 0)

  t.deepEqual(heard, ['home/bob/x', 'home/bob/x'])
  t.like(await log.next('publish denied'), {
    client: 'bob-1',
    user: 'bob',
    listener: 'tcp-0',
    packet: 'PUBLISH',
    topic: 'home/alice/x',
    reason: '0x87 not authorized',
    rule: 'acl.conf no rule allows it',
    hint: 'noctule acl check tells which rule decides',
  })
})

for (const [unauthorizedPublishV3, ends] of [
  ['acknowledge', false],
  ['disconnect', true],
] as const) {
  test(`an unauthorised PUBLISH of MQTT 3.1.1 with unauthorizedPublishV3: ${unauthorizedPublishV3}`, async (t) => {
    const { enter, broker } = await open(t, rules, { unauthorizedPublishV3 })
    const client = await enter('bob', speaking(4))
    const heard: string[] = []
    broker.subscribe('#', ({ topic }) => heard.push(topic))
    const closed = new Promise<void>((resolve) => client.client.once('close', () => resolve()))

    const answered = client.client.publishAsync('home/alice/x', 'x', { qos: 1 })
    const outcome = await Promise.race([answered.then(() => false), closed.then(() => true)])

    t.is(outcome, ends)
    t.deepEqual(heard, [])
    answered.catch(() => {})
  })
}

test('a subscription is granted if all that it could receive is allowed, else refused with 0x87', async (t) => {
  const { enter, log } = await open(t, rules)
  const alice = await enter('alice')
  const bob = await enter('bob')

  t.is(await subscribe(alice, 'home/#', 1), 1)
  t.is(await subscribe(alice, '$share/g/home/+/x', 1), 1)
  t.is(await subscribe(alice, '#'), 0x87)
  t.is(await subscribe(alice, '$SYS/#'), 0x87)
  t.is(await subscribe(bob, 'home/bob/#'), 0x87)
  t.like(await log.next('subscribe denied'), {
    user: 'alice',
    packet: 'SUBSCRIBE',
    topic: '#',
    rule: 'acl.conf line 2 allows a part of what it could receive, and nothing allows the rest',
  })
})

test('a will that the client may not publish is refused with 0x87, but only to who has the password', async (t) => {
  const { url } = await open(t, rules)
  const will = { topic: 'home/alice/x', payload: Buffer.from('gone') }
  const codeFor = async (password: string) => {
    const account = { username: 'bob', password, clientId: 'c1' }
    const options = { ...speaking(5), ...account, will } as IClientOptions
    return refusalOf(openMqttJs(t, url, options))
  }

  t.is(await codeFor('bob'), 0x87)
  t.is(await codeFor('wrong'), 0x86)
})

test('changed rules are in force at once: for what is published, and for subscriptions that run', async (t) => {
  const { enter, aclFile, log, broker } = await open(t, 'allow all #\n')
  const alice = await enter('alice')
  const bob = await enter('bob')
  await subscribe(alice, 'home/#')
  await subscribe(alice, 'garden/#')
  t.is(await publish(bob, 'home/x', 1), 0)
  const ended = once(broker, 'unsubscribed')

  writeFileSync(aclFile, 'deny all home/#\nallow all #\n')
  const [client, topicFilter] = await ended

  t.like(client, { clientIdentifier: 'alice-1' })
  t.is(topicFilter, 'home/#')
  t.like(await log.next('subscription ended by the rules'), {
    client: 'alice-1',
    user: 'alice',
    topic: 'home/#',
    rule: 'acl.conf line 1',
  })
  t.is(await publish(bob, 'home/x', 1), 0x87)
  t.is(await publish(bob, 'garden/x', 1), 0)
  const topics = (await alice.settled()).map(({ topic }) => topic)
  t.deepEqual(topics, ['home/x', 'garden/x'])
})

const partly = 'allow write #\ndeny read home/+/key\nallow read home/#\nallow read settled/#\n'

test('a subscription that may be read in part is granted with filter, and the rest left out', async (t) => {
  const { enter, broker } = await open(t, partly, { aclPartlyReadable: 'filter' })
  await broker.publish({ topic: 'home/a/key', payload: 'retained', retain: true, qos: 1 })
  await broker.publish({ topic: 'home/a/power', payload: 'retained', retain: true, qos: 1 })
  const options = { clean: false, properties: { sessionExpiryInterval: 600 } }
  const alice = await enter('alice', options)

  t.is(await subscribe(alice, 'home/#', 2), 2)
  t.is(await subscribe(alice, 'garden/#', 1), 0x87)
  t.is(await subscribe(alice, '$share/g/home/#', 1), 0x87)
  const publishAll = async (what: string) => {
    for (const qos of [0, 1, 2] as const) {
      await broker.publish({ topic: 'home/a/key', payload: what, qos })
      await broker.publish({ topic: `home/a/${qos}`, payload: what, qos })
    }
  }
  await publishAll('live')
  const topics = (await alice.settled()).map(({ topic }) => topic)
  t.deepEqual(topics, ['home/a/power', 'home/a/0', 'home/a/1', 'home/a/2'])

  await alice.client.endAsync()
  await publishAll('queued')
  const back = await enter('alice', options)
  t.deepEqual(
    (await back.take(2)).map(({ topic }) => topic),
    ['home/a/1', 'home/a/2'],
  )
  t.deepEqual(await back.settled(), [])
})

test('with a file of Mosquitto that needs no option: clients may subscribe to # and get what is theirs', async (t) => {
  const { enter, broker } = await open(
    t,
    'topic write #\npattern readwrite home/%u/#\npattern readwrite settled/%c\n',
  )
  const alice = await enter('alice')

  t.is(await subscribe(alice, '#', 1), 1)
  for (const topic of ['home/alice/x', 'home/bob/x'])
    await broker.publish({ topic, payload: '', qos: 1 })

  t.deepEqual(
    (await alice.settled())
      .map(({ topic }) => topic)
      .filter((topic) => !topic.startsWith('settled/')),
    ['home/alice/x'],
  )
})

test('more messages than a window holds that may not be read block nothing', async (t) => {
  const { enter, broker } = await open(t, partly, { aclPartlyReadable: 'filter' })
  const options = { clean: false, properties: { sessionExpiryInterval: 600, receiveMaximum: 3 } }
  const alice = await enter('alice', options)
  await subscribe(alice, 'home/#', 1)
  await alice.client.endAsync()

  for (let i = 0; i < 700; i++) {
    await broker.publish({ topic: `home/a/${i % 100 === 0 ? i : 'key'}`, payload: '', qos: 1 })
  }
  const back = await enter('alice', options)

  // The queue is read page by page, past which a message at QoS 0 may come.
  t.deepEqual(
    (await back.take(7)).map(({ topic }) => topic),
    [0, 1, 2, 3, 4, 5, 6].map((i) => `home/a/${i * 100}`),
  )
  t.deepEqual(await back.settled(), [])
})

test('hooks that grant subscriptions and cannot tell messages apart leave nothing to be granted in part', async (t) => {
  const hooks = { authorizeSubscribe: () => undefined }
  const { enter, log } = await open(t, partly, { aclPartlyReadable: 'filter' }, { hooks })
  const alice = await enter('alice')

  t.is(await subscribe(alice, 'home/#', 1), 0x87)
  t.like(await log.next('subscribe denied'), {
    hint: 'hooks that answer authorizeSubscribe have to answer authorizeReceive too',
  })
})

test('hooks may grant a subscription in part, and tell which messages', async (t) => {
  const hooks = {
    authorizeSubscribe: () => ({ isAllowed: true, isFiltered: true }),
    authorizeReceive: (_: unknown, { topic }: { topic: string }) => topic === 'b' || undefined,
  }
  const { enter, broker } = await open(
    t,
    'allow write #\nallow read c\nallow read settled/#',
    {},
    { hooks },
  )
  const alice = await enter('alice')
  await subscribe(alice, '#', 1)

  for (const topic of ['a', 'b', 'c']) await broker.publish({ topic, payload: '', qos: 1 })

  t.deepEqual(
    (await alice.settled()).map(({ topic }) => topic),
    ['b', 'c'],
  )
})

test('what waits for a client when rules change is sent only if it may still be read', async (t) => {
  const { enter, broker, aclFile, log } = await open(t, 'allow all #\n')
  const options = { clean: false, properties: { sessionExpiryInterval: 600 } }
  const alice = await enter('alice', options)
  await subscribe(alice, 'home/#', 1)
  await subscribe(alice, 'garden/#', 1)
  await alice.client.endAsync()
  for (const topic of ['home/x', 'garden/x']) await broker.publish({ topic, payload: '', qos: 1 })

  writeFileSync(aclFile, 'deny read home/#\nallow all #\n')
  await log.next('a changed file is in force')
  const back = await enter('alice', options)

  t.is((await back.next()).topic, 'garden/x')
  t.deepEqual(await back.settled(), [])
})

test('a broken file changes nothing and is told once, with its line', async (t) => {
  const { enter, aclFile, log } = await open(t, 'allow all #\n')
  const client = await enter('alice')

  writeFileSync(aclFile, 'allow all #\nalow read x\n')
  const { rule } = await log.next('a changed file cannot be used: what was in force before stays')

  t.is(rule, `${aclFile}:2: a rule begins with allow or deny; did you mean allow?`)
  t.is(await publish(client, 'x', 1), 0x10)
  writeFileSync(aclFile, 'deny all #\n')
  await log.next('a changed file is in force')
  t.is(await publish(client, 'x', 1), 0x87)
})

test('a session that is taken up keeps no subscription that the rules do not allow to who takes it up', async (t) => {
  const { enter, broker } = await open(t, 'allow all # user=alice\nallow all open/#\n')
  const options = { clientId: 'shared', clean: false, properties: { sessionExpiryInterval: 600 } }
  const alice = await enter('alice', options)
  await subscribe(alice, 'home/#', 1)
  await subscribe(alice, 'open/#', 1)
  await alice.client.endAsync()

  const ended = once(broker, 'unsubscribed')
  const bob = await enter('bob', options)

  t.is((await ended)[1], 'home/#')
  await broker.publish({ topic: 'home/x', payload: '' })
  await broker.publish({ topic: 'open/x', payload: '' })
  t.is((await bob.next()).topic, 'open/x')
})

test('a will that its client could not leave any more when rules change is not published', async (t) => {
  const { enter, broker, aclFile, log } = await open(t, 'allow all #\n')
  const published: string[] = []
  broker.subscribe('will/#', ({ topic }) => published.push(topic))
  const leave = (userName: string, topic: string) =>
    enter(userName, { will: { topic, payload: Buffer.from('x'), qos: 1, retain: false } })
  const [alice, bob] = [await leave('alice', 'will/a'), await leave('bob', 'will/b')]

  writeFileSync(aclFile, 'deny write will/a\nallow all #\n')
  t.like(await log.next('publish denied'), { user: 'alice', topic: 'will/a' })
  for (const { client } of [alice, bob]) client.stream.destroy()

  while (published.length === 0) await new Promise((resolve) => setImmediate(resolve))
  t.deepEqual(published, ['will/b'])
})

test('a dry run logs what would be refused, and refuses nothing', async (t) => {
  const { enter, log } = await open(t, rules, { aclDryRun: true })
  const bob = await enter('bob')

  t.is(await subscribe(bob, '#'), 0)
  t.is(await publish(bob, 'home/alice/x', 1), 0)
  t.like(await log.next('would be refused'), {
    user: 'bob',
    packet: 'SUBSCRIBE',
    topic: '#',
    rule: 'acl.conf no rule allows it',
  })
})

test('a dry run grants a Shared Subscription of which only a part may be read', async (t) => {
  const security = { aclDryRun: true, aclPartlyReadable: 'filter' } as const
  const { enter, log } = await open(t, 'allow read news/#\n', security)
  const bob = await enter('bob')

  t.is(await subscribe(bob, '$share/group/#'), 0)
  t.like(await log.next('would be refused'), { packet: 'SUBSCRIBE', topic: '$share/group/#' })
})

test('the hooks of the host program are asked first; what they leave open the files decide', async (t) => {
  const asked: string[] = []
  const { enter } = await open(
    t,
    rules,
    {},
    {
      hooks: {
        authenticate: ({ userName }) => (userName === 'guest' ? true : undefined),
        authorizePublish: async (_, { topic }) => {
          asked.push(topic)
          return topic === 'home/alice/mail' ? true : undefined
        },
        authorizeSubscribe: (_, { topicFilter }) => (topicFilter === 'news' ? true : undefined),
      },
    },
  )
  const guest = await enter('guest')
  await t.throwsAsync(enter('mallory'))

  t.is(await publish(guest, 'home/alice/mail', 1), 0x10)
  t.is(await publish(guest, 'home/alice/other', 1), 0x87)
  t.is(await subscribe(guest, 'news'), 0)
  t.is(await subscribe(guest, 'home/#'), 0x87)
  t.deepEqual(asked, ['home/alice/mail', 'home/alice/other'])
})

test('who is connected as a user that is removed, or gets another password, is disconnected', async (t) => {
  const { enter, passwordFile } = await open(t, rules)
  const clients = await Promise.all(users.map((name) => enter(name)))
  const [alice, bob] = clients.map(
    ({ client }) =>
      new Promise<number | undefined>((resolve) =>
        client.once('disconnect', ({ reasonCode }) => resolve(reasonCode)),
      ),
  )

  const another = `alice:${await hashPassword(Buffer.from('another'), 10)}\n`
  writeFileSync(
    passwordFile,
    [another, ...passwords.filter((line) => line.startsWith('admin'))].join(''),
  )

  t.is(await alice, 0x87)
  t.is(await bob, 0x87)
  t.is(await publish(clients[2] as MqttJsClient, 'home/admin/x', 1), 0x10)
})

test('where nothing verifies user names, the log warns of rules that trust them', async (t) => {
  const log = recordingLogger()
  const aclFile = join(temporaryDirectory(t), 'acl.conf')
  writeFileSync(aclFile, rules)
  await startListeningBroker(t, { security: { aclFile }, logger: log })

  t.true(log.lines.some(({ message }) => message.startsWith('nothing verifies user names')))
})

test('a password file is live: who is added may come, who is removed may not come again', async (t) => {
  const { enter, passwordFile, log } = await open(t, rules)
  await enter('bob')
  await t.throwsAsync(enter('carol'))

  const carol = `carol:${await hashPassword(Buffer.from('carol'), 10)}\n`
  writeFileSync(
    passwordFile,
    [...passwords.filter((line) => !line.startsWith('bob')), carol].join(''),
  )
  await log.next('a changed file is in force')

  await enter('carol')
  await t.throwsAsync(enter('bob'), { message: /Bad User Name or Password/i })
  writeFileSync(passwordFile, 'carol\n')
  const { rule } = await log.next('a changed file cannot be used: what was in force before stays')
  t.is(rule, `${passwordFile}:1: not USER:HASH`)
  await enter('carol', { clientId: 'again' })
})

for (const protocol of ['mqttv31', 'mqttv311', 'mqttv5'] as const) {
  test(`files of mosquitto_passwd and rules of Mosquitto serve Mosquitto's clients (${protocol})`, async (t) => {
    const program = requireProgram(t, 'mosquitto_passwd', 'mosquitto')
    if (program === undefined) return
    const acl =
      'topic read public/#\nuser dora\ntopic read home/#\nuser emil\ntopic write home/emil/#\n'
    const { broker, passwordFile, log } = await open(t, acl, { allowAnonymous: true })
    for (const [name, ...format] of [['dora', '-H', 'sha512'], ['emil']] as const) {
      const made = log.next('a changed file is in force')
      t.is(
        (await new Program(t, program, [...format, '-b', passwordFile, name, 'pw']).exited).code,
        0,
      )
      await made
    }
    const clients = mosquittoClients(t, broker, leadingTo(broker.urls[0], protocol))
    if (clients === undefined) return
    const dora = await clients.subscribe(['-u', 'dora', '-P', 'pw', '-t', 'home/#', '-q', '1'])

    const emil = ['-u', 'emil', '-P', 'pw', '-q', '1']
    await clients.publish([...emil, '-t', 'home/dora/x', '-m', 'forbidden'])
    await clients.publish([...emil, '-t', 'home/emil/x', '-m', 'allowed'])
    const refused = await clients.collect(['-u', 'emil', '-P', 'wrong', '-t', 'x', '-E'])
    const anonymous = await clients.collect(['-t', 'public/#', '-E'])

    t.is(await dora.nextLine(), 'allowed')
    t.not(refused.code, 0)
    t.is(anonymous.code, 0)
  })
}
