import { Buffer } from 'node:buffer'
import test from 'ava'
import { PropertyCursor, readProperties, skipProperties } from '../../lib/codec/property-cursor.ts'
import type { Properties } from '../../lib/protocol/packets.ts'
import type { PropertyPlace } from '../../lib/protocol/properties.ts'
import { refuses } from '../support/check.ts'
import { block, join, properties, property } from '../support/raw-packets.ts'

function skip(bytes: Buffer, place: PropertyPlace): number {
  return skipProperties(bytes, 0, bytes.length, place)
}

function read(bytes: Buffer, place: PropertyPlace): Properties {
  return readProperties(bytes, 0, bytes.length, place)
}

const places: readonly PropertyPlace[] = [
  'connect',
  'will',
  'connack',
  'publish',
  'puback',
  'pubrec',
  'pubrel',
  'pubcomp',
  'subscribe',
  'suback',
  'unsubscribe',
  'unsuback',
  'disconnect',
  'auth',
]
const answers = 'puback pubrec pubrel pubcomp suback unsuback'

/** AUTH and Authentication Data want a method beside them. */
function methodBefore(name: keyof Properties, place: PropertyPlace): Buffer | [] {
  const isWanted = name === 'authenticationData' ? place.startsWith('conn') : false
  if (name === 'authenticationMethod' || (place !== 'auth' && !isWanted)) return []
  return property('authenticationMethod', 'm')
}

/** Table 2-4 of the standard once more: a valid value and where the property may stand. */
const table: readonly (readonly [keyof Properties, number | string | readonly string[], string])[] =
  [
    ['payloadFormatIndicator', 1, 'publish will'],
    ['messageExpiryInterval', 0xffff_ffff, 'publish will'],
    ['contentType', 'text/plain', 'publish will'],
    ['responseTopic', 'answers/here', 'publish will'],
    ['correlationData', 'id', 'publish will'],
    ['subscriptionIdentifiers', 268_435_455, 'publish subscribe'],
    ['sessionExpiryInterval', 0xffff_ffff, 'connect connack disconnect'],
    ['assignedClientIdentifier', 'c', 'connack'],
    ['serverKeepAlive', 0, 'connack'],
    ['authenticationMethod', 'm', 'connect connack auth'],
    ['authenticationData', 'd', 'connect connack auth'],
    ['requestProblemInformation', 0, 'connect'],
    ['willDelayInterval', 0, 'will'],
    ['requestResponseInformation', 1, 'connect'],
    ['responseInformation', 'r', 'connack'],
    ['serverReference', 's', 'connack disconnect'],
    ['reasonString', 'because', `connack ${answers} disconnect auth`],
    ['receiveMaximum', 65_535, 'connect connack'],
    ['topicAliasMaximum', 0, 'connect connack'],
    ['topicAlias', 1, 'publish'],
    ['maximumQos', 1, 'connack'],
    ['retainAvailable', 0, 'connack'],
    ['userProperties', ['name', 'value'], places.join(' ')],
    ['maximumPacketSize', 1, 'connect connack'],
    ['wildcardSubscriptionAvailable', 0, 'connack'],
    ['subscriptionIdentifiersAvailable', 0, 'connack'],
    ['sharedSubscriptionAvailable', 0, 'connack'],
  ]

for (const [name, value, allowed] of table) {
  test(`${name} stands in ${allowed} and nowhere else`, (t) => {
    const taking = places.filter((place) => {
      const bytes = block(methodBefore(name, place), property(name, value))
      try {
        return skip(bytes, place) === bytes.length
      } catch {
        return false
      }
    })

    t.deepEqual(
      taking,
      places.filter((place) => allowed.split(' ').includes(place)),
    )
  })

  const isRepeatable = name === 'userProperties' || name === 'subscriptionIdentifiers'
  const place = places.find((candidate) => allowed.split(' ').includes(candidate)) ?? 'will'
  test(`${name} ${isRepeatable ? 'may' : 'must not'} stand twice in ${place}`, (t) => {
    const one = property(name, value)
    const between = property('userProperties', ['a', 'b'])
    const bytes = block(methodBefore(name, place), one, between, one)

    if (isRepeatable) t.is(skip(bytes, place), bytes.length)
    else t.throws(() => skip(bytes, place), { message: / more than once in / })
  })
}

/** Each block is refused with this reason code, and the error names this rule. */
function refused(
  reasonCode: number,
  rule: string,
  cases: readonly (readonly [what: string, PropertyPlace, Buffer])[],
): void {
  for (const [what, place, bytes] of cases) {
    test(`${what} is refused`, (t) => {
      // What follows would complete a property that is cut off.
      const followed = bytes.length === 0 ? bytes : join(bytes, [0, 1, 0x61, 0, 1, 0x61])

      refuses(t, () => skip(followed, place), reasonCode, rule)
    })
  }
}

refused(0x81, 'unknown property 0x4 in CONNECT', [
  ['an unknown property', 'connect', block([0x04, 0])],
])

refused(0x81, 'unknown property 0x0 in CONNECT', [['property 0x00', 'connect', block([0x00, 0])]])

refused(0x81, 'unknown property 0x2b in CONNECT', [['property 0x2b', 'connect', block([0x2b, 0])]])

refused(0x81, 'unknown property 0xff in CONNECT', [
  ['property 0xff', 'connect', block([0xff, 0x01])],
])

refused(0x81, 'Receive Maximum in Will Properties', [
  ['a property of another packet', 'will', block(property('receiveMaximum', 1))],
])

refused(0x82, 'Receive Maximum more than once in CONNECT', [
  [
    'a repeated property with an identifier above 31',
    'connect',
    block(property('receiveMaximum', 1), property('receiveMaximum', 1)),
  ],
])

refused(0x82, 'Subscription Identifier more than once in SUBSCRIBE', [
  [
    'a second Subscription Identifier in SUBSCRIBE',
    'subscribe',
    properties({ subscriptionIdentifiers: [1, 2] }),
  ],
])

refused(0x82, 'Receive Maximum of 0 in CONNECT', [
  ['Receive Maximum 0', 'connect', block(property('receiveMaximum', 0))],
])

refused(0x82, 'Maximum Packet Size of 0 in CONNECT', [
  ['Maximum Packet Size 0', 'connect', block(property('maximumPacketSize', 0))],
])

refused(0x82, 'Subscription Identifier of 0 in SUBSCRIBE', [
  ['Subscription Identifier 0', 'subscribe', block(property('subscriptionIdentifiers', 0))],
])

refused(0x82, 'Payload Format Indicator of 2 in PUBLISH', [
  ['Payload Format Indicator 2', 'publish', block(property('payloadFormatIndicator', 2))],
])

refused(0x82, 'Request Problem Information of 2 in CONNECT', [
  ['Request Problem Information 2', 'connect', block(property('requestProblemInformation', 2))],
])

refused(0x82, 'Request Response Information of 255 in CONNECT', [
  [
    'Request Response Information 255',
    'connect',
    block(property('requestResponseInformation', 255)),
  ],
])

refused(0x82, 'wildcard in a Response Topic', [
  ['[MQTT-3.3.2-14] a Response Topic with +', 'publish', block(property('responseTopic', 'a/+'))],
  [
    '[MQTT-3.3.2-14] a Response Topic with # in a Will',
    'will',
    block(property('responseTopic', '#')),
  ],
])

refused(0x81, 'Response Topic is not well-formed UTF-8 without U+0000', [
  [
    '[MQTT-3.3.2-13] a Response Topic that is not UTF-8',
    'publish',
    block(property('responseTopic', Buffer.from([0xff]))),
  ],
])

refused(0x81, 'Content Type is not well-formed UTF-8 without U+0000', [
  ['[MQTT-3.3.2-19] a Content Type with U+0000', 'publish', block(property('contentType', 'a\0'))],
])

refused(0x81, 'User Property is not well-formed UTF-8 without U+0000', [
  ['a User Property with a bad name', 'auth', block(property('userProperties', ['\0', 'v']))],
  ['a User Property with a bad value', 'auth', block(property('userProperties', ['n', '\0']))],
])

refused(0x82, 'Authentication Data without an Authentication Method', [
  [
    'Authentication Data without a method in CONNECT',
    'connect',
    block(property('authenticationData', 'd')),
  ],
  [
    'Authentication Data without a method in AUTH',
    'auth',
    block(property('authenticationData', 'd')),
  ],
])

refused(0x82, 'AUTH without an Authentication Method', [
  ['AUTH properties without a method', 'auth', block(property('reasonString', 'r'))],
])

refused(0x81, 'Session Expiry Interval runs past the properties of CONNECT', [
  ['a number cut off', 'connect', block([0x11, 0, 0, 0])],
])

refused(0x81, 'Content Type runs past the properties of PUBLISH', [
  ['a string without its length', 'publish', block([0x03, 0])],
  ['a string cut off', 'publish', block([0x03, 0, 2, 0x61])],
])

refused(0x81, 'Correlation Data runs past the properties of PUBLISH', [
  ['binary data cut off', 'publish', block([0x09, 0, 2, 0x61])],
])

refused(0x81, 'User Property runs past the properties of CONNECT', [
  ['a User Property without a value', 'connect', block([0x26, 0, 1, 0x61])],
])

refused(0x81, 'Subscription Identifier runs past the properties of SUBSCRIBE', [
  ['a Subscription Identifier cut off', 'subscribe', block([0x0b, 0x80])],
])

refused(0x81, 'Variable Byte Integer longer than needed', [
  [
    '[MQTT-1.5.5-1] a Subscription Identifier longer than needed',
    'subscribe',
    block([0x0b, 0x81, 0x00]),
  ],
])

refused(0x81, 'Receive Maximum runs past the properties of CONNECT', [
  ['an identifier at the end of its block', 'connect', block([0x21])],
])

refused(0x81, 'CONNECT without a Property Length', [
  ['[MQTT-2.2.2-1] a missing Property Length', 'connect', Buffer.alloc(0)],
])

refused(0x81, 'Property Length of CONNECT runs past its end', [
  ['a Property Length past the end of the packet', 'connect', Buffer.from([100, 0x21, 0])],
])

test('the cursor tells where each property and its value stand', (t) => {
  const bytes = join(
    [0xee, 0xee],
    block(
      [0x02, 0, 1, 0, 2],
      [0x03, 0, 2, 0x61, 0x62],
      [0x0b, 0x80, 0x01],
      [0x26, 0, 0, 0, 1, 0x63],
    ),
    [0xee],
  )
  const cursor = new PropertyCursor()
  const walked: unknown[] = []

  cursor.open(bytes, 2, bytes.length, 'publish')
  while (cursor.next()) {
    const { rule, propertyStart, valueStart, valueEnd, propertyEnd, value } = cursor
    walked.push([rule.name, propertyStart, valueStart, valueEnd, propertyEnd, value])
  }

  t.deepEqual(walked, [
    ['messageExpiryInterval', 3, 4, 8, 8, 65_538],
    ['contentType', 8, 11, 13, 13, 0],
    ['subscriptionIdentifiers', 13, 14, 16, 16, 128],
    ['userProperties', 16, 17, 22, 22, 0],
  ])
  t.deepEqual([cursor.start, cursor.end], [3, 22])
})

test('a cursor opened again has forgotten the properties it saw before', (t) => {
  const bytes = properties({ receiveMaximum: 5, authenticationMethod: 'm' })
  const cursor = new PropertyCursor()

  for (let i = 0; i < 2; i++) {
    cursor.open(bytes, 0, bytes.length, 'connect')
    t.true(cursor.next())
    t.true(cursor.next())
    t.false(cursor.next())
    t.false(cursor.next())
  }
})

test('[MQTT-3.1.3-10] User Properties are read in their order, repeated names included', (t) => {
  const bytes = block(
    property('userProperties', ['b', '1']),
    property('authenticationMethod', 'm'),
    property('userProperties', ['10', '2']),
    property('userProperties', ['__proto__', '']),
    property('userProperties', ['b', '3']),
    property('userProperties', ['2', '4']),
  )

  t.deepEqual(read(bytes, 'connect'), {
    authenticationMethod: 'm',
    userProperties: [
      ['b', '1'],
      ['10', '2'],
      ['__proto__', ''],
      ['b', '3'],
      ['2', '4'],
    ],
  })
})

test('[MQTT-1.5.4-3] U+FEFF at the begin of a string property is kept', (t) => {
  t.is(read(properties({ contentType: '\uFEFFa' }), 'publish').contentType, '\uFEFFa')
})

test('zeros, empty strings and empty binary data are read as they are', (t) => {
  const all: Properties = {
    payloadFormatIndicator: 0,
    messageExpiryInterval: 0,
    contentType: '',
    responseTopic: '',
    correlationData: Buffer.alloc(0),
    userProperties: [['', '']],
  }

  t.deepEqual(read(properties(all), 'publish'), all)
})

test('binary properties are copies that later changes of the chunk do not reach', (t) => {
  const bytes = properties({ correlationData: Buffer.from('data') })
  const { correlationData } = read(bytes, 'publish')

  bytes.fill(0)

  t.deepEqual(correlationData, Buffer.from('data'))
})

test('several Subscription Identifiers of a PUBLISH are read in their order', (t) => {
  const all = { subscriptionIdentifiers: [7, 268_435_455, 1] }

  t.deepEqual(read(properties(all), 'publish'), all)
})

test('a Property Length of two bytes is read and skipped', (t) => {
  const all: Properties = { contentType: 'x'.repeat(200) }
  const bytes = properties(all)

  t.deepEqual(read(bytes, 'publish'), all)
  t.is(skip(bytes, 'publish'), 2 + 203)
})
