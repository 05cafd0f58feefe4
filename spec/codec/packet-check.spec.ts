import { Buffer } from 'node:buffer'
import test from 'ava'
import type { MqttVersion } from '../../lib/protocol/packets.ts'
import { check, refuses } from '../support/check.ts'
import { block, frame, type Part, property, text, twoBytes, type } from '../support/raw-packets.ts'

type Case = readonly [what: string, MqttVersion, Buffer]

const id = twoBytes(1)
const noProperties = block()
const reason = block(property('reasonString', 'r'))
const method = block(property('authenticationMethod', 'm'))

function publish(flags: number, ...body: readonly Part[]): Buffer {
  return frame(type.publish, flags, ...body)
}

function subscribe(...body: readonly Part[]): Buffer {
  return frame(type.subscribe, 2, id, ...body)
}

function unsubscribe(...body: readonly Part[]): Buffer {
  return frame(type.unsubscribe, 2, id, ...body)
}

const notUtf8 = text([0xc3])
const withNul = text('a\0b')
const badText = 'is not well-formed UTF-8 without U+0000'

/** Each packet is refused with this reason code, and the error names this rule. */
function refused(reasonCode: number, rule: string, cases: readonly Case[]): void {
  for (const [what, version, packet] of cases) {
    test(`${what} is refused`, (t) => {
      refuses(t, () => check(packet, version), reasonCode, rule)
    })
  }
}

refused(0x81, 'PUBLISH with both QoS bits set', [
  ['[MQTT-3.3.1-4] a PUBLISH with both QoS bits set', 5, publish(6, text('t'), id, noProperties)],
  ['[MQTT-3.3.1-4] a PUBLISH of 3.1.1 with both QoS bits set', 4, publish(6, text('t'), id)],
])

refused(0x81, 'PUBLISH with DUP at QoS 0', [
  ['[MQTT-3.3.1-2] a PUBLISH with DUP at QoS 0', 4, publish(8, text('t'))],
])

refused(0x81, 'Topic Name is missing', [
  ['[MQTT-3.3.2-1] a PUBLISH without a Topic Name', 4, publish(0)],
  ['a PUBLISH that ends in the length of its Topic Name', 5, publish(0, 0)],
])

refused(0x81, 'Topic Name runs past the end of the packet', [
  ['a PUBLISH that ends in its Topic Name', 5, publish(0, [0, 2, 0x61])],
])

refused(0x81, `Topic Name ${badText}`, [
  ['[MQTT-1.5.4-1] a PUBLISH whose Topic Name is not UTF-8', 4, publish(0, notUtf8)],
  ['[MQTT-4.7.3-2] a PUBLISH whose Topic Name has U+0000', 4, publish(0, withNul)],
])

refused(0x90, 'wildcard in a Topic Name', [
  ['[MQTT-3.3.2-2] a PUBLISH to a filter with +', 4, publish(0, text('a/+/b'))],
  ['[MQTT-3.3.2-2] a PUBLISH to a filter with #', 5, publish(0, text('a/#'), noProperties)],
  ['[MQTT-4.7.0-1] a PUBLISH to a name with # within a level', 3, publish(0, text('a#b'))],
])

refused(0x90, 'empty Topic Name', [
  ['[MQTT-4.7.3-1] a PUBLISH of 3.1.1 without a topic', 4, publish(0, text(''))],
])

refused(0x82, 'empty Topic Name without a Topic Alias', [
  ['a PUBLISH of 5.0 with neither topic nor alias', 5, publish(0, text(''), noProperties)],
])

refused(0x81, 'Packet Identifier 0', [
  ['[MQTT-2.2.1-3] a PUBLISH with Packet Identifier 0', 4, publish(2, text('t'), [0, 0])],
])

refused(0x81, 'Packet Identifier is missing', [
  ['a PUBLISH of QoS 2 without a Packet Identifier', 4, publish(4, text('t'), 0)],
])

refused(0x81, 'PUBLISH without a Property Length', [
  ['[MQTT-2.2.2-1] a PUBLISH of 5.0 without a Property Length', 5, publish(0, text('t'))],
])

refused(0x82, 'Subscription Identifier in a PUBLISH of a client', [
  [
    '[MQTT-3.3.4-6] a PUBLISH with a Subscription Identifier',
    5,
    publish(0, text('t'), block(property('subscriptionIdentifiers', 1))),
  ],
])

refused(0x94, 'Topic Alias 0', [
  [
    '[MQTT-3.3.2-8] a PUBLISH with Topic Alias 0',
    5,
    publish(0, text('t'), block(property('topicAlias', 0))),
  ],
])

refused(0x82, 'wildcard in a Response Topic', [
  [
    '[MQTT-3.3.2-14] a PUBLISH with a wildcard in its Response Topic',
    5,
    publish(0, text('t'), block(property('responseTopic', '+'))),
  ],
])

const responses = [
  ['puback', 0, 'a', '[MQTT-3.4.2-1] a'],
  ['pubrec', 0, 'a', '[MQTT-3.5.2-1] a'],
  ['pubrel', 2, '[MQTT-3.6.1-1] a', '[MQTT-3.6.2-1] a'],
  ['pubcomp', 0, 'a', '[MQTT-3.7.2-1] a'],
] as const

for (const [name, flags, flagsTag, codeTag] of responses) {
  const title = name.toUpperCase()
  const response = (...body: readonly Part[]): Buffer => frame(type[name], flags, ...body)

  refused(0x81, `${title} with reserved bits of its fixed header changed`, [
    [`${flagsTag} ${title} with other flags`, 5, frame(type[name], flags ^ 2, id)],
    [`[MQTT-2.1.3-1] a ${title} of 3.1.1 with DUP`, 4, frame(type[name], flags | 8, id)],
  ])

  refused(0x81, 'Packet Identifier is missing', [
    [`a ${title} without a Packet Identifier`, 5, response()],
    [`a ${title} of one byte`, 4, response(1)],
  ])

  refused(0x81, 'Packet Identifier 0', [
    [`a ${title} with Packet Identifier 0`, 4, response([0, 0])],
  ])

  refused(0x81, `bytes behind the last field of ${title}`, [
    [`a ${title} of 3.1.1 with a third byte`, 4, response(id, 0)],
    [`a ${title} of 3.1 with a third byte`, 3, response(id, 0)],
    [`a ${title} with bytes behind its properties`, 5, response(id, 0, reason, 0)],
  ])

  const suback = '0xa1 subscription identifiers not supported'
  refused(0x82, `${title} of a client with reason code ${suback}`, [
    [`${codeTag} ${title} with a reason code of SUBACK`, 5, response(id, 0xa1)],
  ])

  refused(0x81, `Content Type in ${title}`, [
    [`a ${title} with a Content Type`, 5, response(id, 0, block(property('contentType', 'c')))],
  ])

  refused(0x81, `Property Length of ${title} runs past its end`, [
    [`a ${title} whose properties run past its end`, 5, response(id, 0, [5, 0x1f, 0, 0])],
  ])
}

refused(0x81, 'SUBSCRIBE with reserved bits of its fixed header changed', [
  [
    '[MQTT-3.8.1-1] a SUBSCRIBE with other flags',
    5,
    frame(type.subscribe, 0, id, noProperties, text('f'), 0),
  ],
  ['[MQTT-3.8.1-1] a SUBSCRIBE of 3.1.1 with DUP', 4, frame(type.subscribe, 10, id, text('f'), 0)],
])

refused(0x81, 'Packet Identifier 0', [
  [
    '[MQTT-2.2.1-3] a SUBSCRIBE with Packet Identifier 0',
    4,
    frame(type.subscribe, 2, [0, 0], text('f'), 0),
  ],
  [
    '[MQTT-2.2.1-3] an UNSUBSCRIBE with Packet Identifier 0',
    5,
    frame(type.unsubscribe, 2, [0, 0], noProperties, text('f')),
  ],
])

refused(0x82, 'SUBSCRIBE without a Topic Filter', [
  ['[MQTT-3.8.3-2] a SUBSCRIBE without a Topic Filter', 5, subscribe(noProperties)],
  ['[MQTT-3.8.3-2] a SUBSCRIBE of 3.1.1 without a Topic Filter', 4, subscribe()],
])

refused(0x81, `Topic Filter ${badText}`, [
  ['[MQTT-3.8.3-1] a SUBSCRIBE to a filter that is not UTF-8', 4, subscribe(notUtf8, 0)],
  ['[MQTT-4.7.3-2] a SUBSCRIBE to a filter with U+0000', 5, subscribe(noProperties, withNul, 0)],
  [
    '[MQTT-3.10.3-1] an UNSUBSCRIBE from a filter that is not UTF-8',
    4,
    unsubscribe(text('f'), notUtf8),
  ],
])

refused(0x8f, 'empty Topic Filter', [
  ['[MQTT-4.7.3-1] a SUBSCRIBE to an empty filter', 4, subscribe(text(''), 0)],
  ['[MQTT-4.7.3-1] an UNSUBSCRIBE from an empty filter', 4, unsubscribe(text(''))],
])

refused(0x81, 'Topic Filter without Subscription Options', [
  ['a SUBSCRIBE whose filter has no options', 4, subscribe(text('f'))],
  [
    'a SUBSCRIBE whose second filter has no options',
    5,
    subscribe(noProperties, text('f'), 0, text('g')),
  ],
])

refused(0x81, 'Topic Filter runs past the end of the packet', [
  ['a SUBSCRIBE that ends in a filter', 5, subscribe(noProperties, text('f'), 0, [0, 2, 0x61])],
])

refused(0x81, 'reserved bits in the Subscription Options', [
  ['[MQTT-3.8.3-5] a SUBSCRIBE with option bit 6 set', 5, subscribe(noProperties, text('f'), 0x40)],
  [
    '[MQTT-3.8.3-5] a SUBSCRIBE with option bit 7 set in its second filter',
    5,
    subscribe(noProperties, text('f'), 0, text('f'), 0x80),
  ],
])

refused(0x82, 'Maximum QoS 3 in the Subscription Options', [
  ['a SUBSCRIBE with QoS 3', 5, subscribe(noProperties, text('f'), 3)],
])

refused(0x82, 'Retain Handling 3 in the Subscription Options', [
  ['a SUBSCRIBE with Retain Handling 3', 5, subscribe(noProperties, text('f'), 0x30)],
])

refused(0x82, 'No Local on a Shared Subscription', [
  [
    '[MQTT-3.8.3-4] a SUBSCRIBE with No Local to a shared filter',
    5,
    subscribe(noProperties, text('$share/g/f'), 4),
  ],
])

refused(0x81, 'Requested QoS byte of 3', [
  ['[3.1.1: MQTT-3.8.3-4] a SUBSCRIBE of 3.1.1 with QoS 3', 4, subscribe(text('f'), 3)],
])

refused(0x81, 'Requested QoS byte of 4', [
  ['a SUBSCRIBE of 3.1.1 with No Local', 4, subscribe(text('f'), 4)],
])

refused(0x82, 'Subscription Identifier more than once in SUBSCRIBE', [
  [
    'a SUBSCRIBE with two Subscription Identifiers',
    5,
    subscribe(block([0x0b, 1, 0x0b, 2]), text('f'), 0),
  ],
])

refused(0x81, 'UNSUBSCRIBE with reserved bits of its fixed header changed', [
  [
    '[MQTT-3.10.1-1] an UNSUBSCRIBE with other flags',
    5,
    frame(type.unsubscribe, 3, id, noProperties, text('f')),
  ],
])

refused(0x82, 'UNSUBSCRIBE without a Topic Filter', [
  ['[MQTT-3.10.3-2] an UNSUBSCRIBE without a Topic Filter', 5, unsubscribe(noProperties)],
  ['[MQTT-3.10.3-2] an UNSUBSCRIBE of 3.1 without a Topic Filter', 3, unsubscribe()],
])

refused(0x81, 'Topic Filter is missing', [
  ['an UNSUBSCRIBE with a byte behind its filter', 4, unsubscribe(text('f'), 0)],
])

refused(0x81, 'Subscription Identifier in UNSUBSCRIBE', [
  ['an UNSUBSCRIBE with a Subscription Identifier', 5, unsubscribe(block([0x0b, 1]), text('f'))],
])

refused(0x81, 'bytes behind the last field of PINGREQ', [
  ['a PINGREQ with a payload', 5, frame(type.pingreq, 0, 0)],
])

refused(0x81, 'PINGREQ with reserved bits of its fixed header changed', [
  ['[MQTT-2.1.3-1] a PINGREQ with flags', 4, frame(type.pingreq, 1)],
])

refused(0x81, 'DISCONNECT with reserved bits of its fixed header changed', [
  ['[MQTT-3.14.1-1] a DISCONNECT with flags', 5, frame(type.disconnect, 2)],
])

refused(0x81, 'bytes behind the last field of DISCONNECT', [
  ['a DISCONNECT of 3.1.1 with a reason code', 4, frame(type.disconnect, 0, 0)],
  [
    'a DISCONNECT with bytes behind its properties',
    5,
    frame(type.disconnect, 0, 0, noProperties, 0),
  ],
])

refused(0x82, 'DISCONNECT of a client with reason code 0x8e session taken over', [
  [
    '[MQTT-3.14.2-1] a DISCONNECT with the reason code of a server',
    5,
    frame(type.disconnect, 0, 0x8e),
  ],
])

refused(0x82, 'DISCONNECT of a client with reason code 0x05', [
  [
    '[MQTT-3.14.2-1] a DISCONNECT with a reason code that does not exist',
    5,
    frame(type.disconnect, 0, 0x05),
  ],
])

refused(0x81, 'AUTH with reserved bits of its fixed header changed', [
  ['[MQTT-3.15.1-1] an AUTH with flags', 5, frame(type.auth, 1, 0x18, method)],
])

refused(0x82, 'AUTH of a client with reason code 0x87 not authorized', [
  [
    '[MQTT-3.15.2-1] an AUTH with a reason code of DISCONNECT',
    5,
    frame(type.auth, 0, 0x87, method),
  ],
])

refused(0x81, 'AUTH without a Property Length', [
  ['[MQTT-2.2.2-1] an AUTH without a Property Length', 5, frame(type.auth, 0, 0x18)],
])

refused(0x82, 'AUTH without an Authentication Method', [
  ['an AUTH without an Authentication Method', 5, frame(type.auth, 0, 0x18, noProperties)],
])

refused(0x81, 'bytes behind the last field of AUTH', [
  ['an AUTH with bytes behind its properties', 5, frame(type.auth, 0, 0x18, method, 0)],
])

refused(0x82, 'AUTH from a client of MQTT 3', [
  ['an AUTH from a client of 3.1.1', 4, frame(type.auth, 0, 0x18, method)],
])

refused(0x82, 'packet of type 2, which a client must not send', [
  ['a CONNACK from a client', 5, frame(type.connack, 0, 0, 0, noProperties)],
])

refused(0x82, 'packet of type 9, which a client must not send', [
  ['a SUBACK from a client', 4, frame(type.suback, 0, id, 0)],
])

refused(0x82, 'packet of type 11, which a client must not send', [
  ['an UNSUBACK from a client', 4, frame(type.unsuback, 0, id)],
])

refused(0x82, 'packet of type 13, which a client must not send', [
  ['a PINGRESP from a client', 3, frame(type.pingresp, 0)],
])

refused(0x82, 'packet of type 0, which a client must not send', [
  ['a packet of type 0', 5, frame(0, 0)],
])

const accepted: readonly Case[] = [
  ['a PUBLISH of QoS 0 without a payload', 4, publish(0, text('t'))],
  ['a PUBLISH of QoS 0 whose payload is no UTF-8', 4, publish(1, text('t'), [0, 0xff])],
  ['a PUBLISH of QoS 1 with DUP', 3, publish(11, text('t'), id)],
  ['a PUBLISH of QoS 2', 5, publish(4, text('ä/t'), id, noProperties, [0xff])],
  [
    'a PUBLISH with an alias in place of a topic',
    5,
    publish(0, text(''), block(property('topicAlias', 65_535))),
  ],
  ['a PUBLISH to a topic with U+FEFF', 4, publish(0, text('\uFEFFt'))],
  ['a PUBLISH to a topic of 65,535 bytes', 4, publish(0, text('t'.repeat(65_535)))],
  ['a PUBACK without a reason code', 5, frame(type.puback, 0, id)],
  ['a PUBACK of 3.1.1', 4, frame(type.puback, 0, id)],
  ['a PUBREC with a reason code alone', 5, frame(type.pubrec, 0, id, 0x97)],
  ['a PUBREL with empty properties', 5, frame(type.pubrel, 2, id, 0x92, noProperties)],
  ['a PUBREL of 3.1 with DUP', 3, frame(type.pubrel, 10, id)],
  ['a PUBCOMP with properties', 5, frame(type.pubcomp, 0, twoBytes(65_535), 0x00, reason)],
  ['a SUBSCRIBE with all options', 5, subscribe(noProperties, text('f'), 0x2e, text('g/#'), 0x1d)],
  ['a SUBSCRIBE with one Subscription Identifier', 5, subscribe(block([0x0b, 1]), text('f'), 0)],
  ['a SUBSCRIBE to a shared filter', 5, subscribe(noProperties, text('$share/g/f'), 2)],
  ['a SUBSCRIBE to a filter that SUBACK refuses', 4, subscribe(text('a#/+b'), 1)],
  ['a SUBSCRIBE of 3.1 with DUP', 3, frame(type.subscribe, 10, id, text('f'), 2)],
  ['an UNSUBSCRIBE from two filters', 5, unsubscribe(noProperties, text('f'), text('g'))],
  ['an UNSUBSCRIBE of 3.1 with DUP', 3, frame(type.unsubscribe, 10, id, text('f'))],
  ['a PINGREQ', 3, frame(type.pingreq, 0)],
  ['a DISCONNECT of 3.1.1', 4, frame(type.disconnect, 0)],
  ['a DISCONNECT of 5.0 without a reason code', 5, frame(type.disconnect, 0)],
  ['a DISCONNECT with a reason code alone', 5, frame(type.disconnect, 0, 0x04)],
  [
    'a DISCONNECT with properties',
    5,
    frame(type.disconnect, 0, 0, block(property('sessionExpiryInterval', 9))),
  ],
  ['an AUTH without a reason code', 5, frame(type.auth, 0)],
  ['an AUTH with a method', 5, frame(type.auth, 0, 0x19, method)],
]

for (const [what, version, packet] of accepted) {
  test(`${what} is accepted`, (t) => {
    t.notThrows(() => check(packet, version))
  })
}

test('a reason code is allowed in a DISCONNECT when a client may send it', (t) => {
  const allowed = [0, 4, 0x80, 0x81, 0x82, 0x83, 0x90, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99]

  for (let code = 0; code < 256; code++) {
    const act = (): void => check(frame(type.disconnect, 0, code), 5)
    if (allowed.includes(code)) t.notThrows(act)
    else t.throws(act)
  }
})

test('[MQTT-3.1.0-1] any first packet but CONNECT is refused', (t) => {
  for (let packetType = 2; packetType < 16; packetType++) {
    refuses(t, () => check(frame(packetType, 0)), 0x82, 'first packet is not a CONNECT')
  }
})
