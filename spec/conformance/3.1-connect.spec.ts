import { Buffer } from 'node:buffer'
import test from 'ava'
import type { AuthenticateRequest } from '../../lib/index.ts'
import { startBroker } from '../support/broker.ts'
import { connectClient, openClient } from '../support/client.ts'
import {
  block,
  connectOf,
  frame,
  join,
  property,
  text,
  twoBytes,
  type,
} from '../support/raw-packets.ts'

const versions = [3, 4, 5] as const
const nameOf = { 3: 'MQIsdp', 4: 'MQTT', 5: 'MQTT' } as const

for (const version of versions) {
  test(`[MQTT-3.1.0-1] a first packet other than CONNECT ends the connection unanswered (version ${version})`, async (t) => {
    const { broker } = await startBroker(t)
    const client = openClient(broker, version)

    client.send({ cmd: 'pingreq' })

    t.deepEqual(await client.closed(), [])
  })

  test(`[MQTT-3.1.0-2] [3.1.1: MQTT-3.1.0-2] a second CONNECT ends the connection (version ${version})`, async (t) => {
    const { broker } = await startBroker(t)
    const client = await connectClient(t, broker, { version, clientId: 'twice' })

    client.connect({ clientId: 'twice' })

    const packets = await client.closed()
    const answers = packets.map(({ cmd, reasonCode }) => [cmd, reasonCode])
    t.deepEqual(answers, version === 5 ? [['disconnect', 0x82]] : [])
  })

  test(`[MQTT-3.1.4-5] [3.1.1: MQTT-3.1.4-4] [3.1.1: MQTT-3.2.0-1] CONNECT is answered by a CONNACK of success (version ${version})`, async (t) => {
    const { broker } = await startBroker(t)
    const client = openClient(broker, version)

    client.connect()

    const code = version === 5 ? { reasonCode: 0 } : { returnCode: 0 }
    await client.expect(t, 'connack', { ...code, sessionPresent: false })
  })

  test(`[MQTT-3.1.2-3] [3.1.1: MQTT-3.1.2-3] the reserved Connect Flag must be 0 (version ${version})`, async (t) => {
    const { broker } = await startBroker(t)
    const client = openClient(broker, version)

    client.sendBytes(
      connectOf({ protocolName: text(nameOf[version]), level: version, flags: 0x03 }),
    )

    const packets = await client.closed()
    t.deepEqual(
      packets.map(({ reasonCode }) => reasonCode),
      version === 5 ? [0x81] : [],
    )
  })

  test(`[MQTT-3.1.2-16] [MQTT-3.1.2-17] [MQTT-3.1.2-18] [MQTT-3.1.2-19] [MQTT-3.1.3-1] [MQTT-3.1.3-12] a CONNECT with every field reaches the authenticate hook whole (version ${version})`, async (t) => {
    const requests: AuthenticateRequest[] = []
    const hooks = {
      authenticate: (request: AuthenticateRequest) => requests.push(request) > 0,
    }
    const { broker } = await startBroker(t, { hooks })

    await connectClient(t, broker, {
      version,
      clientId: 'c',
      keepalive: 7,
      username: 'rené',
      password: 'pass',
      will: { topic: 'w', payload: 'gone', qos: 1, retain: true },
      ...(version === 5 && { properties: { userProperties: { a: ['1', '2'] } } }),
    })

    const [request] = requests
    t.like(request, {
      clientIdentifier: 'c',
      userName: 'rené',
      protocolVersion: version,
      listener: 'memory',
      address: 'memory',
    })
    t.deepEqual(request?.password, Buffer.from('pass'))
    t.deepEqual(
      request?.userProperties,
      version === 5
        ? [
            ['a', '1'],
            ['a', '2'],
          ]
        : [],
    )
  })
}

for (const version of [3, 4] as const) {
  test(`[3.1.1: MQTT-3.1.2-22] a Password without a User Name is malformed before 5.0 (version ${version})`, async (t) => {
    const { broker } = await startBroker(t)
    const client = openClient(broker, version)

    client.sendBytes(
      connectOf({
        protocolName: text(nameOf[version]),
        level: version,
        flags: 0x42,
        payload: [text('c'), text('secret')],
      }),
    )

    t.deepEqual(await client.closed(), [])
  })
}

test('[MQTT-3.1.2-19] MQTT 5.0 allows a Password without a User Name', async (t) => {
  const requests: AuthenticateRequest[] = []
  const hooks = { authenticate: (request: AuthenticateRequest) => requests.push(request) > 0 }
  const { broker } = await startBroker(t, { hooks })
  const client = openClient(broker)

  client.sendBytes(connectOf({ flags: 0x42, payload: [text('c'), text('token')] }))

  await client.expect(t, 'connack', { reasonCode: 0 })
  t.is(requests[0]?.userName, undefined)
  t.is(requests[0]?.password?.toString(), 'token')
})

test('[MQTT-3.1.4-1] a CONNECT with every property of MQTT 5.0 is accepted', async (t) => {
  const exchange = { next: () => ({ kind: 'success' }) as const }
  const hooks = { authenticationMethods: { METHOD: () => exchange } }
  const { broker } = await startBroker(t, { hooks })
  const client = openClient(broker)

  client.connect({
    properties: {
      sessionExpiryInterval: 1,
      receiveMaximum: 65_535,
      maximumPacketSize: 0xffff_ffff,
      topicAliasMaximum: 65_535,
      requestResponseInformation: true,
      requestProblemInformation: true,
      userProperties: { a: ['1', '2'] },
      authenticationMethod: 'METHOD',
      authenticationData: Buffer.from([0]),
    },
  })

  await client.expect(t, 'connack', { reasonCode: 0 })
})

test('MQTT 3.1 bears the flags of a User Name and a Password that are not there', async (t) => {
  const { broker } = await startBroker(t)
  const client = openClient(broker, 3)

  client.sendBytes(
    connectOf({ protocolName: text('MQIsdp'), level: 3, flags: 0xc2, payload: [text('c')] }),
  )

  await client.expect(t, 'connack', { returnCode: 0 })
})

const unknownVersions = [
  { name: 'MQTT', level: 6, answer: { reasonCode: 0x84 }, readAs: 5 },
  { name: 'MQTT', level: 255, answer: { reasonCode: 0x84 }, readAs: 5 },
  { name: 'MQTT', level: 3, answer: { returnCode: 1 }, readAs: 4 },
  { name: 'MQTT', level: 0, answer: { returnCode: 1 }, readAs: 4 },
  { name: 'MQIsdp', level: 4, answer: { returnCode: 1 }, readAs: 4 },
  { name: 'MQIsdp', level: 2, answer: { returnCode: 1 }, readAs: 4 },
] as const

for (const { name, level, answer, readAs } of unknownVersions) {
  test(`[MQTT-3.1.2-2] [3.1.1: MQTT-3.1.2-2] ${name} of level ${level} is refused as an unacceptable version`, async (t) => {
    const { broker } = await startBroker(t)
    const client = openClient(broker, readAs)

    client.sendBytes(connectOf({ protocolName: text(name), level }))

    await client.expect(t, 'connack', { ...answer, sessionPresent: false })
    t.deepEqual(await client.closed(), [])
  })
}

for (const name of ['HTTP', 'mqtt', 'MQT', 'MQTTX', '']) {
  test(`[MQTT-3.1.2-1] [3.1.1: MQTT-3.1.2-1] the protocol name "${name}" ends the connection unanswered`, async (t) => {
    const { broker } = await startBroker(t)
    const client = openClient(broker)

    client.sendBytes(connectOf({ protocolName: text(name) }))

    t.deepEqual(await client.closed(), [])
  })
}

interface Fault {
  readonly tags: string
  readonly what: string
  readonly code: number
  readonly flags?: number
  readonly id?: string | readonly number[]
  readonly will?: readonly (string | readonly number[])[]
  readonly more?: readonly Buffer[]
}

/** Each is a fault of format: MQTT 5.0 names it in CONNACK, 3.x closes (3.1.1: MQTT-3.1.4-1). */
const faults: readonly Fault[] = [
  { tags: '[MQTT-3.1.2-11]', what: 'Will QoS without a Will', flags: 0x0a, code: 0x81 },
  { tags: '[MQTT-3.1.2-13]', what: 'Will Retain without a Will', flags: 0x22, code: 0x81 },
  { tags: '[MQTT-3.1.2-12]', what: 'Will QoS 3', flags: 0x1e, will: ['w', 'x'], code: 0x81 },
  { tags: '[MQTT-3.1.2-9]', what: 'a Will Flag without a Will', flags: 0x06, code: 0x81 },
  {
    tags: '[MQTT-3.1.2-17]',
    what: 'a User Name Flag without a User Name',
    flags: 0x82,
    code: 0x81,
  },
  {
    tags: '[MQTT-3.1.2-19]',
    what: 'a Password Flag without a Password',
    flags: 0xc2,
    more: [text('u')],
    code: 0x81,
  },
  {
    tags: '[MQTT-3.1.2-16]',
    what: 'a User Name without its flag',
    flags: 0x02,
    more: [text('u')],
    code: 0x81,
  },
  {
    tags: '[MQTT-3.1.2-18]',
    what: 'a Password without its flag',
    flags: 0x82,
    more: [text('u'), text('p')],
    code: 0x81,
  },
  {
    tags: '[MQTT-3.1.3-4] [MQTT-1.5.4-2]',
    what: 'U+0000 in the Client Identifier',
    id: [0x61, 0],
    code: 0x81,
  },
  {
    tags: '[MQTT-3.1.3-4] [MQTT-1.5.4-1]',
    what: 'a surrogate in the Client Identifier',
    id: [0xed, 0xa0, 0x80],
    code: 0x81,
  },
  {
    tags: '[MQTT-3.1.3-12] [MQTT-1.5.4-1]',
    what: 'a User Name that is not UTF-8',
    flags: 0x82,
    more: [text([0xff])],
    code: 0x81,
  },
  {
    tags: '[MQTT-3.1.3-11] [MQTT-1.5.4-1]',
    what: 'a Will Topic that is not UTF-8',
    flags: 0x06,
    will: [[0xc3], 'x'],
    code: 0x81,
  },
  {
    tags: '[MQTT-4.7.0-1]',
    what: 'a Will Topic with a wildcard',
    flags: 0x06,
    will: ['w/#', 'x'],
    code: 0x90,
  },
  { tags: '[MQTT-4.7.3-1]', what: 'an empty Will Topic', flags: 0x06, will: ['', 'x'], code: 0x90 },
]

for (const version of versions) {
  for (const { tags, what, code, flags = 0x02, id = 'c', will = [], more = [] } of faults) {
    // Of an absent User Name and Password 3.1 says that servers bear it.
    if (version === 3 && (what.includes('without a User') || what.includes('without a Password')))
      continue
    test(`${tags} [MQTT-3.1.4-1] [3.1.1: MQTT-3.1.4-1] ${what} refuses CONNECT (version ${version})`, async (t) => {
      const { broker } = await startBroker(t)
      const client = openClient(broker, version)
      const willFields = will.map((field) => text(field))
      if (version === 5 && will.length > 0) willFields.unshift(block())

      client.sendBytes(
        connectOf({
          protocolName: text(nameOf[version]),
          level: version,
          flags,
          payload: [text(id), ...willFields, ...more],
        }),
      )

      const packets = await client.closed()
      const answers = packets.map(({ cmd, reasonCode, sessionPresent }) => [
        cmd,
        reasonCode,
        sessionPresent,
      ])
      t.deepEqual(answers, version === 5 ? [['connack', code, false]] : [])
    })
  }
}

const propertyFaults = [
  ['Receive Maximum 0', property('receiveMaximum', 0), 0x82],
  ['Maximum Packet Size 0', property('maximumPacketSize', 0), 0x82],
  ['Request Problem Information 2', property('requestProblemInformation', 2), 0x82],
  ['Request Response Information 2', property('requestResponseInformation', 2), 0x82],
  [
    'a Session Expiry Interval twice',
    join(property('sessionExpiryInterval', 1), property('sessionExpiryInterval', 1)),
    0x82,
  ],
  ['Authentication Data without a method', property('authenticationData', 'x'), 0x82],
  ['a property of CONNACK', property('maximumQos', 1), 0x81],
  ['a property that does not exist', Buffer.from([0x7e, 0]), 0x81],
  ['a property that is cut off', Buffer.from([0x21, 0]), 0x81],
  ['a User Property that is not UTF-8', Buffer.from([0x26, 0, 1, 0xff, 0, 0]), 0x81],
] as const

for (const [what, bytes, code] of propertyFaults) {
  test(`[MQTT-3.1.4-1] [MQTT-4.13.1-1] [MQTT-1.5.7-1] ${what} refuses CONNECT with 0x${code.toString(16)}`, async (t) => {
    const { broker } = await startBroker(t)
    const client = openClient(broker)

    client.sendBytes(connectOf({ properties: block(bytes) }))

    await client.expect(t, 'connack', { reasonCode: code, sessionPresent: false })
    t.deepEqual(await client.closed(), [])
  })
}

for (const [what, bytes] of [
  ['ends within its header', frame(type.connect, 0, text('MQTT'), 5, 2, 0)],
  ['has reserved bits of its fixed header set', Buffer.from([0x11, ...connectOf().subarray(1)])],
  ['has a Client Identifier that runs past its end', connectOf({ payload: [twoBytes(9), 0x63] })],
  ['has no Client Identifier', connectOf({ payload: [] })],
  ['has bytes behind its last field', connectOf({ payload: [text('c'), 0] })],
  ['has a Property Length that runs past its end', connectOf({ properties: Buffer.from([0x7f]) })],
  [
    'has a Property Length of five bytes',
    connectOf({ properties: Buffer.from([0x80, 0x80, 0x80, 0x80, 1]) }),
  ],
  ['has a Property Length longer than needed', connectOf({ properties: Buffer.from([0x80, 0]) })],
] as const) {
  test(`[MQTT-3.1.4-1] [MQTT-3.1.3-3] [MQTT-1.5.5-1] a CONNECT that ${what} is malformed`, async (t) => {
    const { broker } = await startBroker(t)
    const client = openClient(broker)

    client.sendBytes(bytes)

    await client.expect(t, 'connack', { reasonCode: 0x81 })
    t.deepEqual(await client.closed(), [])
  })
}

const clientIdentifiers = [
  'a',
  '0123456789abcdefghijklm',
  'nopqrstuvwxyzABCDEFGHIJ',
  'KLMNOPQRSTUVWXYZ',
]
for (const version of versions) {
  test(`[MQTT-3.1.3-5] [3.1.1: MQTT-3.1.3-5] every Client Identifier that the standard promises is allowed (version ${version})`, async (t) => {
    const { broker } = await startBroker(t)

    for (const clientId of clientIdentifiers) await connectClient(t, broker, { version, clientId })

    t.is(broker.clientCount, clientIdentifiers.length)
  })
}

test('[MQTT-3.1.3-6] [3.1.1: MQTT-3.1.3-6] an MQTT 3.1.1 client without Client Identifier gets one of its own', async (t) => {
  const { broker } = await startBroker(t)

  await connectClient(t, broker, { version: 4, clientId: '' })
  await connectClient(t, broker, { version: 4, clientId: '' })

  t.is(broker.clientCount, 2)
})

test('[3.1.1: MQTT-3.1.3-8] [3.1.1: MQTT-3.1.3-7] an MQTT 3.1.1 client without Client Identifier needs Clean Session', async (t) => {
  const { broker } = await startBroker(t)
  const client = openClient(broker, 4)

  client.sendBytes(connectOf({ level: 4, flags: 0, payload: [text('')] }))

  await client.expect(t, 'connack', { returnCode: 2 })
  t.deepEqual(await client.closed(), [])
})

test('[MQTT-3.1.3-8] an MQTT 3.1 client needs a Client Identifier', async (t) => {
  const { broker } = await startBroker(t)
  const client = openClient(broker, 3)

  client.sendBytes(connectOf({ protocolName: text('MQIsdp'), level: 3, payload: [text('')] }))

  await client.expect(t, 'connack', { returnCode: 2 })
  t.deepEqual(await client.closed(), [])
})

test('[MQTT-3.1.3-8] a Client Identifier of more than 23 characters is refused in MQTT 3.1 alone', async (t) => {
  const { broker } = await startBroker(t)
  const clientId = 'x'.repeat(24)
  const client = openClient(broker, 3)

  client.connect({ clientId })

  await client.expect(t, 'connack', { returnCode: 2 })
  await connectClient(t, broker, { version: 4, clientId })
  await connectClient(t, broker, { version: 5, clientId: `${clientId}5` })
})

for (const version of [4, 5] as const) {
  test(`[MQTT-3.1.3-8] [3.1.1: MQTT-3.1.3-9] a Client Identifier beyond connection.clientIdentifierBytesMax is refused (version ${version})`, async (t) => {
    const { broker } = await startBroker(t, { connection: { clientIdentifierBytesMax: 23 } })
    const client = openClient(broker, version)

    client.connect({ clientId: 'é'.repeat(12) })

    await client.expect(t, 'connack', version === 5 ? { reasonCode: 0x85 } : { returnCode: 2 })
    t.deepEqual(await client.closed(), [])
  })

  test(`[MQTT-3.1.3-8] where none are assigned an empty Client Identifier is refused (version ${version})`, async (t) => {
    const { broker } = await startBroker(t, { connection: { assignClientIdentifiers: false } })
    const client = openClient(broker, version)

    client.connect({ clientId: '' })

    await client.expect(t, 'connack', version === 5 ? { reasonCode: 0x85 } : { returnCode: 2 })
    t.deepEqual(await client.closed(), [])
  })
}
