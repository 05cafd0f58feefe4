import { Buffer } from 'node:buffer'
import test from 'ava'
import type { AccessHooks, AuthenticationStep, ClientInfo } from '../../lib/index.ts'
import { startBroker } from '../support/broker.ts'
import { type ConnectOptions, connectClient, openClient } from '../support/client.ts'
import { defer, turns } from '../support/deferred.ts'
import { Observed } from '../support/observed.ts'
import { block, frame, property, type } from '../support/raw-packets.ts'

type Step = AuthenticationStep | Promise<AuthenticationStep>

/** Hooks with a method STEPS, which answers one step after the other and keeps what it was given. */
function stepping(...steps: readonly Step[]): { hooks: AccessHooks; given: string[] } {
  const given: string[] = []
  const rest = [...steps]
  const next = (data: Buffer | undefined): Step => {
    given.push(data === undefined ? '-' : data.toString())
    return rest.shift() ?? { kind: 'failure' }
  }
  return { hooks: { authenticationMethods: { STEPS: () => ({ next }) } }, given }
}

function withSteps(...steps: readonly Step[]): { hooks: AccessHooks } {
  return { hooks: stepping(...steps).hooks }
}

/** Who names no method may come too. */
const security = { allowAnonymous: true }

const asking = (data?: string): ConnectOptions => ({
  clientId: 'c',
  properties: {
    authenticationMethod: 'STEPS',
    ...(data !== undefined && { authenticationData: Buffer.from(data) }),
  },
})

function auth(reasonCode: number, data?: string, method = 'STEPS'): Buffer {
  const properties = [property('authenticationMethod', method)]
  if (data !== undefined) properties.push(property('authenticationData', data))
  return frame(type.auth, 0, reasonCode, block(...properties))
}

const success: AuthenticationStep = { kind: 'success' }
const challenge: AuthenticationStep = { kind: 'continue', data: Buffer.from('challenge') }

test('[MQTT-4.12.0-2] [MQTT-4.12.0-3] [MQTT-4.12.0-5] [MQTT-3.1.2-30] an exchange of several steps ends in CONNACK', async (t) => {
  const last: AuthenticationStep = { kind: 'success', data: Buffer.from('proof'), userName: 'u' }
  const { hooks, given } = stepping(challenge, Promise.resolve(challenge), last)
  const { broker } = await startBroker(t, { hooks })
  const connected: ClientInfo[] = []
  broker.on('connected', (info) => connected.push(info))
  const client = openClient(broker)

  client.connect(asking('first'))
  for (const answer of ['second', 'third']) {
    const { reasonCode, properties } = await client.expect(t, 'auth')
    t.is(reasonCode, 0x18)
    t.like(properties, {
      authenticationMethod: 'STEPS',
      authenticationData: Buffer.from('challenge'),
    })
    client.sendBytes(auth(0x18, answer))
  }

  const connack = await client.expect(t, 'connack', { reasonCode: 0 })
  t.like(connack['properties'], {
    authenticationMethod: 'STEPS',
    authenticationData: Buffer.from('proof'),
  })
  t.deepEqual(given, ['first', 'second', 'third'])
  t.is(connected[0]?.userName, 'u')
})

test('[MQTT-4.12.0-5] an exchange of one step names its method in CONNACK', async (t) => {
  const { hooks, given } = stepping(success)
  const { broker } = await startBroker(t, { hooks })
  const client = openClient(broker)

  client.connect(asking())

  const connack = await client.expect(t, 'connack', { reasonCode: 0 })
  t.is(connack['properties'].authenticationMethod, 'STEPS')
  t.is(connack['properties'].authenticationData, undefined)
  t.deepEqual(given, ['-'])
})

for (const method of ['OTHER', 'constructor', 'toString', '__proto__', '', 'x'.repeat(65_535)]) {
  test(`[MQTT-4.12.0-1] the Authentication Method "${method.slice(0, 20)}", which there is not, refuses CONNECT`, async (t) => {
    const { broker } = await startBroker(t, withSteps(success))
    const client = openClient(broker)

    client.connect({ properties: { authenticationMethod: method } })

    await client.expect(t, 'connack', { reasonCode: 0x8c, sessionPresent: false })
    t.deepEqual(await client.closed(), [])
  })
}

test('[MQTT-4.12.0-1] a broker without Authentication Methods refuses each', async (t) => {
  const { broker } = await startBroker(t)
  const client = openClient(broker)

  client.connect(asking())

  await client.expect(t, 'connack', { reasonCode: 0x8c })
  t.deepEqual(await client.closed(), [])
})

test('[MQTT-4.12.0-4] an exchange that fails refuses CONNECT, at its first step or later', async (t) => {
  const failure: AuthenticationStep = { kind: 'failure', reasonCode: 0x86, reason: 'no' }
  for (const steps of [[failure], [challenge, failure]]) {
    const { broker } = await startBroker(t, withSteps(...steps))
    const client = openClient(broker)

    client.connect(asking())
    if (steps.length > 1) {
      await client.expect(t, 'auth')
      client.sendBytes(auth(0x18))
    }

    const connack = await client.expect(t, 'connack', { reasonCode: 0x86 })
    t.is(connack['properties'].reasonString, 'no')
    t.deepEqual(await client.closed(), [])
  }
})

test('[MQTT-4.12.0-4] without a code of its own a failure is 0x87, and any code is one of CONNACK', async (t) => {
  for (const reasonCode of [undefined, 0x8e, 0]) {
    const step = { kind: 'failure', ...(reasonCode !== undefined && { reasonCode }) } as const
    const { broker } = await startBroker(t, withSteps(step))
    const client = openClient(broker)

    client.connect(asking())

    await client.expect(t, 'connack', { reasonCode: 0x87 })
    t.deepEqual(await client.closed(), [])
  }
})

test('[MQTT-4.12.0-4] an exchange that throws refuses CONNECT', async (t) => {
  const { broker } = await startBroker(t, withSteps(Promise.reject(new Error('no data base'))))
  const client = openClient(broker)

  client.connect(asking())

  await client.expect(t, 'connack', { reasonCode: 0x80 })
  t.deepEqual(await client.closed(), [])
})

test('[MQTT-4.12.0-6] without Authentication Method there is no AUTH, and CONNACK names none', async (t) => {
  const { hooks, given } = stepping(challenge)
  const { broker } = await startBroker(t, { hooks, security })
  const client = openClient(broker)

  client.connect()

  const connack = await client.expect(t, 'connack', { reasonCode: 0 })
  t.is(connack['properties'].authenticationMethod, undefined)
  t.deepEqual(given, [])
})

test('[MQTT-4.12.0-7] AUTH without Authentication Method in CONNECT is a Protocol Error', async (t) => {
  for (const reasonCode of [0x18, 0x19]) {
    const { broker } = await startBroker(t, { ...withSteps(success), security })
    const client = await connectClient(t, broker)

    client.sendBytes(auth(reasonCode))

    await client.expect(t, 'disconnect', { reasonCode: 0x82 })
    t.deepEqual(await client.closed(), [])
  }
})

for (const version of [3, 4] as const) {
  test(`AUTH does not exist in 3.x (version ${version})`, async (t) => {
    const { broker } = await startBroker(t, { ...withSteps(success), security })
    const client = await connectClient(t, broker, { version })

    client.sendBytes(auth(0x19))

    t.deepEqual(await client.closed(), [])
  })
}

for (const [what, packet] of [
  ['PUBLISH', frame(type.publish, 0, 0, 1, 0x61, 0)],
  ['PINGREQ', frame(type.pingreq, 0)],
  ['SUBSCRIBE', frame(type.subscribe, 2, 0, 1, 0, 0, 1, 0x61, 0)],
  ['a second CONNECT', frame(type.connect, 0, 0, 4, Buffer.from('MQTT'), 5, 2, 0, 0, 0, 0, 0)],
  ['AUTH of another method', auth(0x18, undefined, 'OTHER')],
  ['AUTH of success', auth(0)],
  ['AUTH of re-authentication', auth(0x19)],
] as const) {
  test(`[MQTT-3.1.2-30] [MQTT-4.12.0-3] [MQTT-4.12.0-5] ${what} in the middle of an exchange refuses CONNECT`, async (t) => {
    const { broker } = await startBroker(t, withSteps(challenge, success))
    const observed = new Observed(broker)
    const client = openClient(broker)
    client.connect(asking())
    await client.expect(t, 'auth')

    client.sendBytes(packet)

    await client.expect(t, 'connack', { reasonCode: 0x82, sessionPresent: false })
    t.deepEqual(await client.closed(), [])
    t.deepEqual(observed.messages, [])
  })
}

test('[MQTT-3.1.2-30] DISCONNECT in the middle of an exchange ends it, unanswered', async (t) => {
  const { broker } = await startBroker(t, withSteps(challenge, success))
  const client = openClient(broker)
  client.connect(asking())
  await client.expect(t, 'auth')

  client.send({ cmd: 'disconnect' })

  t.deepEqual(await client.closed(), [])
})

test('an exchange that does not end is bounded by connection.connectTimeoutMs', async (t) => {
  const { broker, clock } = await startBroker(t, {
    ...withSteps(challenge, success),
    connection: { connectTimeoutMs: 3000 },
  })
  const client = openClient(broker)
  client.connect(asking())
  await client.expect(t, 'auth')

  await clock.advance(3000)

  t.deepEqual(await client.closed(), [])
})

test('[MQTT-4.12.0-5] [MQTT-4.12.1-1] a re-authentication of several steps ends in AUTH of success', async (t) => {
  const { hooks, given } = stepping(success, challenge, {
    kind: 'success',
    data: Buffer.from('ok'),
  })
  const { broker } = await startBroker(t, { hooks })
  const client = await connectClient(t, broker, asking())

  client.sendBytes(auth(0x19, 'again'))
  const { properties } = await client.expect(t, 'auth', { reasonCode: 0x18 })
  t.is(properties.authenticationMethod, 'STEPS')
  client.sendBytes(auth(0x18, 'answer'))

  const last = await client.expect(t, 'auth', { reasonCode: 0 })
  t.like(last['properties'], {
    authenticationMethod: 'STEPS',
    authenticationData: Buffer.from('ok'),
  })
  t.deepEqual(given, ['-', 'again', 'answer'])
})

test('[MQTT-4.12.1-2] a re-authentication is as the same user, or ends the connection', async (t) => {
  const as = (userName: string): AuthenticationStep => ({ kind: 'success', userName })
  const { broker } = await startBroker(t, withSteps(as('u'), as('u'), success, as('v')))
  const client = await connectClient(t, broker, asking())

  for (let i = 0; i < 2; i++) {
    client.sendBytes(auth(0x19))
    await client.expect(t, 'auth', { reasonCode: 0 })
  }
  client.sendBytes(auth(0x19))

  await client.expect(t, 'disconnect', { reasonCode: 0x87 })
  t.deepEqual(await client.closed(), [])
})

test('[MQTT-4.12.1-2] a re-authentication that is begun again and again is not given more time', async (t) => {
  const { broker, clock } = await startBroker(t, {
    ...withSteps(success, challenge, challenge, challenge),
    connection: { connectTimeoutMs: 3000 },
  })
  const client = await connectClient(t, broker, asking())
  for (let i = 0; i < 3; i++) {
    client.sendBytes(auth(0x19))
    await client.expect(t, 'auth', { reasonCode: 0x18 })
    await clock.advance(1000)
  }

  await client.expect(t, 'disconnect', { reasonCode: 0x87 })
  t.deepEqual(await client.closed(), [])
})

test('a client that re-authenticates is served meanwhile', async (t) => {
  const { broker } = await startBroker(t, withSteps(success, challenge, success))
  const client = await connectClient(t, broker, asking())
  client.sendBytes(auth(0x19))
  await client.expect(t, 'auth', { reasonCode: 0x18 })

  await client.subscribe(t, 'a')
  await broker.publish({ topic: 'a' })

  await client.expect(t, 'publish')
  client.sendBytes(auth(0x18))
  await client.expect(t, 'auth', { reasonCode: 0 })
})

test('[MQTT-4.12.1-2] [MQTT-3.14.2-1] a re-authentication that fails ends the connection with a code of DISCONNECT', async (t) => {
  for (const [reasonCode, expected] of [
    [undefined, 0x87],
    [0x87, 0x87],
    [0x86, 0x87],
    [0x8c, 0x87],
    [0x98, 0x98],
  ] as const) {
    const step = { kind: 'failure', ...(reasonCode !== undefined && { reasonCode }) } as const
    const { broker } = await startBroker(t, withSteps(success, step))
    const observed = new Observed(broker)
    const client = await connectClient(t, broker, { ...asking(), will: { topic: 'w' } })

    client.sendBytes(auth(0x19))

    await client.expect(t, 'disconnect', { reasonCode: expected })
    t.deepEqual(await client.closed(), [])
    t.is(observed.messages.length, 1)
  }
})

for (const [what, packet, code] of [
  ['of another method', auth(0x19, undefined, 'OTHER'), 0x82],
  ['that continues nothing', auth(0x18), 0x82],
  ['of success', auth(0), 0x82],
  ['without a method', frame(type.auth, 0, 0x19, block()), 0x82],
  ['without a body', frame(type.auth, 0), 0x82],
  ['with a code that it has not', auth(0x87), 0x82],
  ['with reserved bits set', Buffer.from([0xf1, ...auth(0x19).subarray(1)]), 0x81],
  [
    'with a property of another packet',
    frame(type.auth, 0, 0x19, block(property('receiveMaximum', 1))),
    0x81,
  ],
] as const) {
  test(`[MQTT-4.12.1-1] [MQTT-3.15.1-1] [MQTT-3.15.2-1] AUTH ${what} ends the connection with 0x${code.toString(16)}`, async (t) => {
    const { broker } = await startBroker(t, withSteps(success, success))
    const client = await connectClient(t, broker, asking())

    client.sendBytes(packet)

    await client.expect(t, 'disconnect', { reasonCode: code })
    t.deepEqual(await client.closed(), [])
  })
}

test('[MQTT-3.15.2-2] [MQTT-3.15.2-3] [MQTT-3.1.2-24] an AUTH too large for the client ends its connection', async (t) => {
  const large: AuthenticationStep = { kind: 'continue', data: Buffer.alloc(100) }
  const { broker } = await startBroker(t, withSteps(large, success))
  const client = openClient(broker)

  client.connect({ properties: { ...asking().properties, maximumPacketSize: 50 } })

  t.deepEqual(await client.closed(), [])
  t.is(client.receivedBytes, 0)
})

test('packets right behind a CONNECT with Authentication Method wait while the method decides', async (t) => {
  const step = defer<AuthenticationStep>()
  const { broker } = await startBroker(t, withSteps(step.promise, success))
  const client = openClient(broker)

  client.connect(asking())
  client.sendBytes(auth(0x18, 'early'))
  await turns()
  t.deepEqual([client.packets, client.end.isServerPaused], [[], true])
  step.resolve(challenge)

  await client.expect(t, 'auth', { reasonCode: 0x18 })
  await client.expect(t, 'connack', { reasonCode: 0 })
})
