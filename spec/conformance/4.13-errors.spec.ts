import { Buffer } from 'node:buffer'
import test from 'ava'
import type { ConnectionEnd } from '../../lib/index.ts'
import { startBroker } from '../support/broker.ts'
import { connectClient } from '../support/client.ts'
import { block, frame, property, text, twoBytes, type } from '../support/raw-packets.ts'

const versions = [3, 4, 5] as const

/** What ends a connection in every version, and the code by which MQTT 5.0 hears why. */
const faults = [
  ['packet type 0', [0x00, 0], 0x81],
  ['CONNACK', [0x20, 2, 0, 0], 0x82],
  ['SUBACK', [0x90, 3, 0, 1, 0], 0x82],
  ['UNSUBACK', [0xb0, 2, 0, 1], 0x82],
  ['PINGRESP', [0xd0, 0], 0x82],
  ['packet type 15', [0xf0, 0], 0x82],
  ['a PINGREQ with a body', [0xc0, 1, 0], 0x81],
  ['a PUBLISH of QoS 3', [0x36, 5, 0, 1, 0x61, 0, 1], 0x81],
  ['a PUBLISH that is cut off', [0x30, 2, 0, 9], 0x81],
  ['a PUBLISH to a wildcard', [0x30, 6, 0, 3, 0x61, 0x2f, 0x23, 0], 0x90],
  ['a PUBACK without Packet Identifier', [0x40, 0], 0x81],
  ['a PUBACK with Packet Identifier 0', [0x40, 2, 0, 0], 0x81],
  ['a SUBSCRIBE without a body', [0x82, 0], 0x81],
] as const

for (const version of versions) {
  for (const [what, bytes, code] of faults) {
    test(`[MQTT-4.13.1-1] [MQTT-4.13.2-1] [3.1.1: MQTT-4.8.0-1] ${what} ends the connection (version ${version})`, async (t) => {
      const { broker } = await startBroker(t)
      const ends: ConnectionEnd[] = []
      broker.on('disconnected', (_, end) => ends.push(end))
      const client = await connectClient(t, broker, { version })

      client.sendBytes(bytes)
      client.send({ cmd: 'pingreq' })

      const farewell = await client.closed()
      t.deepEqual(
        farewell.map(({ cmd, reasonCode }) => [cmd, reasonCode]),
        version === 5 ? [['disconnect', code]] : [],
      )
      t.like(ends, [{ reasonCode: code, by: 'broker' }])
    })
  }

  test(`an error of one client leaves the others alone (version ${version})`, async (t) => {
    const { broker } = await startBroker(t)
    const [bystander, wrong] = [
      await connectClient(t, broker, { version }),
      await connectClient(t, broker, { version }),
    ]

    wrong.sendBytes([0xff, 0xff, 0xff, 0xff, 0xff])

    await wrong.closed()
    t.deepEqual(await bystander.settled(), [])
    t.is(broker.counters.protocolErrors, 1)
  })
}

/** Section 4.13 and the sections of the packets name a code for each. */
const namedFaults = [
  ['Topic Alias 0', frame(type.publish, 0, text('a'), block(property('topicAlias', 0))), 0x94],
  [
    'an unknown Topic Alias',
    frame(type.publish, 0, text(''), block(property('topicAlias', 1))),
    0x82,
  ],
  [
    'a Topic Alias too large',
    frame(type.publish, 0, text('a'), block(property('topicAlias', 999))),
    0x94,
  ],
  ['an empty Topic Name', frame(type.publish, 0, text(''), block()), 0x82],
  [
    'Payload Format Indicator 2',
    frame(type.publish, 0, text('a'), block(property('payloadFormatIndicator', 2))),
    0x82,
  ],
  [
    'a property twice',
    frame(
      type.publish,
      0,
      text('a'),
      block(property('contentType', 'a'), property('contentType', 'b')),
    ),
    0x82,
  ],
  [
    'a property of another packet',
    frame(type.publish, 0, text('a'), block(property('receiveMaximum', 1))),
    0x81,
  ],
  ['a property that does not exist', frame(type.publish, 0, text('a'), block(0x7f, 0)), 0x81],
  [
    'Subscription Identifier 0',
    frame(
      type.subscribe,
      2,
      twoBytes(1),
      block(property('subscriptionIdentifiers', 0)),
      text('a'),
      0,
    ),
    0x82,
  ],
  ['no Topic Filter', frame(type.subscribe, 2, twoBytes(1), block()), 0x82],
  [
    'reserved Subscription Options',
    frame(type.subscribe, 2, twoBytes(1), block(), text('a'), 0x40),
    0x81,
  ],
  ['Retain Handling 3', frame(type.subscribe, 2, twoBytes(1), block(), text('a'), 0x30), 0x82],
  ['a PUBACK with a code it has not', frame(type.puback, 0, twoBytes(1), 0x92), 0x82],
  ['a packet of 256 MiB', Buffer.from([0x30, 0xff, 0xff, 0xff, 0x7f]), 0x95],
] as const

for (const [what, bytes, code] of namedFaults) {
  test(`[MQTT-4.13.1-1] [MQTT-3.14.2-1] ${what} is answered by DISCONNECT 0x${code.toString(16)} with a reason`, async (t) => {
    const { broker } = await startBroker(t)
    const client = await connectClient(t, broker)

    client.sendBytes(bytes)

    const disconnect = await client.expect(t, 'disconnect', { reasonCode: code })
    t.truthy(disconnect['properties'].reasonString)
    t.deepEqual(await client.closed(), [])
  })
}
