import { Buffer } from 'node:buffer'
import test from 'ava'
import { check, refuses } from '../support/check.ts'
import {
  block,
  type ConnectParts,
  connectOf,
  frame,
  property,
  text,
  twoBytes,
  type,
} from '../support/raw-packets.ts'

const client = text('c')
const will = [block(), text('will/topic'), text('gone')] as const
const badText = 'is not well-formed UTF-8 without U+0000'

function connect311(parts: ConnectParts): Buffer {
  return connectOf({ level: 4, ...parts })
}

function connect31(parts: ConnectParts): Buffer {
  return connectOf({ protocolName: text('MQIsdp'), level: 3, ...parts })
}

/** Each CONNECT is refused with this reason code, and the error names this rule. */
function refused(
  reasonCode: number,
  rule: string,
  cases: readonly (readonly [what: string, Buffer])[],
): void {
  for (const [what, packet] of cases) {
    test(`${what} is refused`, (t) => {
      refuses(t, () => check(packet), reasonCode, rule)
    })
  }
}

refused(0x81, 'CONNECT with reserved bits of its fixed header changed', [
  ['[MQTT-2.1.3-1] a CONNECT with flags in its fixed header', frame(type.connect, 2)],
])

refused(0x81, 'Protocol Name is missing', [['an empty CONNECT', frame(type.connect, 0)]])

refused(0x81, 'Protocol Name runs past the end of the packet', [
  ['a CONNECT that ends in its Protocol Name', frame(type.connect, 0, [0, 4, 0x4d])],
])

refused(0x81, 'CONNECT ends before its Keep Alive', [
  ['a CONNECT that ends before its Keep Alive', frame(type.connect, 0, text('MQTT'), 5, 2, 0)],
])

refused(0x84, 'protocol "MQTTX" of version 5: known are MQIsdp 3, MQTT 4 and MQTT 5', [
  ['[MQTT-3.1.2-1] a CONNECT of another protocol', connectOf({ protocolName: text('MQTTX') })],
])

refused(0x84, 'protocol "mqtt" of version 5: known are MQIsdp 3, MQTT 4 and MQTT 5', [
  ['[MQTT-3.1.2-1] a CONNECT of mqtt in lower case', connectOf({ protocolName: text('mqtt') })],
])

refused(0x84, 'protocol "MQIsdp\\n" of version 3: known are MQIsdp 3, MQTT 4 and MQTT 5', [
  [
    '[MQTT-3.1.2-1] a CONNECT whose Protocol Name goes on',
    connectOf({ protocolName: text('MQIsdp\n more'), level: 3 }),
  ],
])

refused(0x84, 'protocol "MQTT" of version 6: known are MQIsdp 3, MQTT 4 and MQTT 5', [
  ['[MQTT-3.1.2-2] a CONNECT of version 6', connectOf({ level: 6 })],
])

refused(0x84, 'protocol "MQTT" of version 132: known are MQIsdp 3, MQTT 4 and MQTT 5', [
  ['[MQTT-3.1.2-2] a CONNECT of a bridge, version 0x84', connectOf({ level: 0x84 })],
])

refused(0x84, 'protocol "MQIsdp" of version 4: known are MQIsdp 3, MQTT 4 and MQTT 5', [
  ['[MQTT-3.1.2-2] a CONNECT of MQIsdp 4', connectOf({ protocolName: text('MQIsdp'), level: 4 })],
])

refused(0x84, 'protocol "MQTT" of version 3: known are MQIsdp 3, MQTT 4 and MQTT 5', [
  ['[MQTT-3.1.2-2] a CONNECT of MQTT 3', connectOf({ level: 3 })],
])

refused(0x81, 'reserved Connect Flag is set', [
  ['[MQTT-3.1.2-3] a CONNECT with the reserved flag set', connectOf({ flags: 0x03 })],
])

refused(0x81, 'Will QoS without a Will', [
  ['[MQTT-3.1.2-11] a CONNECT with Will QoS and no Will', connectOf({ flags: 0x0a })],
])

refused(0x81, 'Will Retain without a Will', [
  ['[MQTT-3.1.2-13] a CONNECT with Will Retain and no Will', connectOf({ flags: 0x22 })],
])

refused(0x81, 'Will QoS 3', [
  [
    '[MQTT-3.1.2-12] a CONNECT with Will QoS 3',
    connectOf({ flags: 0x1e, payload: [client, ...will] }),
  ],
])

refused(0x81, 'Password without a User Name', [
  [
    '[3.1.1: MQTT-3.1.2-22] a CONNECT of 3.1.1 with a Password and no User Name',
    connect311({ flags: 0x42, payload: [client, text('p')] }),
  ],
  [
    'a CONNECT of 3.1 with a Password and no User Name',
    connect31({ flags: 0x42, payload: [client, text('p')] }),
  ],
])

refused(0x81, 'CONNECT without a Property Length', [
  [
    '[MQTT-2.2.2-1] a CONNECT of 5.0 without a Property Length',
    connectOf({ properties: [], payload: [] }),
  ],
])

refused(0x82, 'Receive Maximum of 0 in CONNECT', [
  [
    'a CONNECT with Receive Maximum 0',
    connectOf({ properties: block(property('receiveMaximum', 0)) }),
  ],
])

refused(0x81, 'Will Delay Interval in CONNECT', [
  [
    'a CONNECT with a property of the Will',
    connectOf({ properties: block(property('willDelayInterval', 1)) }),
  ],
])

refused(0x81, 'Client Identifier is missing', [
  ['[MQTT-3.1.3-3] a CONNECT without a Client Identifier', connectOf({ payload: [] })],
])

refused(0x81, `Client Identifier ${badText}`, [
  ['[MQTT-3.1.3-4] a Client Identifier that is not UTF-8', connectOf({ payload: [text([0xff])] })],
  ['a Client Identifier with U+0000', connect311({ payload: [text('\0')] })],
])

refused(0x81, 'Will Topic is missing', [
  ['[MQTT-3.1.2-9] a Will flag without a Will', connect311({ flags: 0x06 })],
])

refused(0x81, 'Will Properties without a Property Length', [
  ['[MQTT-3.1.2-9] a Will without Will Properties', connectOf({ flags: 0x06 })],
])

refused(0x81, 'Will Payload is missing', [
  [
    '[MQTT-3.1.2-9] a Will without a payload',
    connectOf({ flags: 0x06, payload: [client, block(), text('w')] }),
  ],
])

refused(0x81, `Will Topic ${badText}`, [
  [
    '[MQTT-3.1.3-11] a Will Topic that is not UTF-8',
    connect311({ flags: 0x06, payload: [client, text([0x80]), text('')] }),
  ],
])

refused(0x90, 'wildcard in a Will Topic', [
  [
    '[MQTT-4.7.0-1] a Will Topic with a wildcard',
    connect311({ flags: 0x06, payload: [client, text('w/#'), text('')] }),
  ],
])

refused(0x90, 'empty Will Topic', [
  [
    '[MQTT-4.7.3-1] an empty Will Topic',
    connect311({ flags: 0x06, payload: [client, text(''), text('')] }),
  ],
])

refused(0x81, 'Topic Alias in Will Properties', [
  [
    'a Will with a Topic Alias',
    connectOf({
      flags: 0x06,
      payload: [client, block(property('topicAlias', 1)), text('w'), text('')],
    }),
  ],
])

refused(0x81, 'User Name is missing', [
  ['[MQTT-3.1.2-17] a User Name flag without a User Name', connectOf({ flags: 0x82 })],
  ['[MQTT-3.1.2-17] a User Name flag of 3.1.1 without a User Name', connect311({ flags: 0x82 })],
])

refused(0x81, `User Name ${badText}`, [
  [
    '[MQTT-3.1.3-12] a User Name that is not UTF-8',
    connect311({ flags: 0x82, payload: [client, text([0xc0, 0xaf])] }),
  ],
])

refused(0x81, 'Password is missing', [
  [
    '[MQTT-3.1.2-19] a Password flag without a Password',
    connectOf({ flags: 0xc2, payload: [client, text('u')] }),
  ],
])

refused(0x81, 'Password runs past the end of the packet', [
  [
    'a Password that is cut off',
    connect31({ flags: 0xc2, payload: [client, text('u'), [0, 2, 1]] }),
  ],
])

refused(0x81, 'bytes behind the last field of CONNECT', [
  ['[MQTT-3.1.2-16] a User Name without its flag', connectOf({ payload: [client, text('u')] })],
  [
    '[MQTT-3.1.2-18] a Password without its flag',
    connect311({ flags: 0x82, payload: [client, text('u'), text('p')] }),
  ],
  ['[MQTT-3.1.4-1] a byte behind a CONNECT', connectOf({ payload: [client, 0] })],
])

const accepted: readonly (readonly [string, Buffer])[] = [
  ['a CONNECT of 5.0', connectOf()],
  ['a CONNECT of 3.1.1', connect311({})],
  ['a CONNECT of 3.1', connect31({})],
  ['an empty Client Identifier', connectOf({ payload: [text('')] })],
  ['a Password alone in 5.0', connectOf({ flags: 0x42, payload: [client, text([0, 0xff])] })],
  ['a Will of QoS 2 with RETAIN', connectOf({ flags: 0x36, payload: [client, ...will] })],
  ['a Keep Alive of 65,535', connectOf({ keepAlive: twoBytes(65_535) })],
  ['a User Name flag of 3.1 without a User Name', connect31({ flags: 0x82 })],
  [
    'a Password flag of 3.1 without a Password',
    connect31({ flags: 0xc2, payload: [client, text('u')] }),
  ],
  ['both flags of 3.1 without their fields', connect31({ flags: 0xc2 })],
]

for (const [what, packet] of accepted) {
  test(`${what} is accepted`, (t) => {
    t.notThrows(() => check(packet))
  })
}

test('[MQTT-3.1.0-2] a second CONNECT is refused', (t) => {
  refuses(t, () => check(connectOf(), 5), 0x82, 'second CONNECT on one connection')
})
