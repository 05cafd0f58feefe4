/**
 * The properties of MQTT 5.0 as one table (section 2.2.2.2): identifier, name, type, the packets that
 * may carry it, and its range. The checker, the decoder and the encoder all read this table.
 */

import type { Properties } from './packets.ts'

export type PropertyType =
  | 'byte'
  | 'two-byte'
  | 'four-byte'
  | 'variable'
  | 'string'
  | 'binary'
  | 'pair'

/** Where a property may stand: a packet type in lower case, or `will` for the Will Properties. */
export type PropertyPlace =
  | 'connect'
  | 'will'
  | 'connack'
  | 'publish'
  | 'puback'
  | 'pubrec'
  | 'pubrel'
  | 'pubcomp'
  | 'subscribe'
  | 'suback'
  | 'unsubscribe'
  | 'unsuback'
  | 'disconnect'
  | 'auth'

export interface PropertyRule {
  readonly identifier: number
  readonly name: keyof Properties
  readonly type: PropertyType
  readonly places: readonly PropertyPlace[]
  /** Smallest value allowed; 0 where the standard names none. */
  readonly min: number
  /** Largest value allowed; Infinity where only the type bounds it. */
  readonly max: number
  /** Whether one packet may carry it several times. */
  readonly repeatable: boolean
}

const acknowledgements = ['puback', 'pubrec', 'pubrel', 'pubcomp', 'suback', 'unsuback'] as const
const everywhere = [
  'connect',
  'will',
  'connack',
  'publish',
  ...acknowledgements,
  'subscribe',
  'unsubscribe',
  'disconnect',
  'auth',
] as const

function rule(
  identifier: number,
  name: keyof Properties,
  type: PropertyType,
  places: readonly PropertyPlace[],
  { min = 0, max = Number.POSITIVE_INFINITY, repeatable = false } = {},
): PropertyRule {
  return { identifier, name, type, places, min, max, repeatable }
}

const flag = { max: 1 }
const positive = { min: 1 }

export const propertyRules: readonly PropertyRule[] = [
  rule(0x01, 'payloadFormatIndicator', 'byte', ['publish', 'will'], flag),
  rule(0x02, 'messageExpiryInterval', 'four-byte', ['publish', 'will']),
  rule(0x03, 'contentType', 'string', ['publish', 'will']),
  rule(0x08, 'responseTopic', 'string', ['publish', 'will']),
  rule(0x09, 'correlationData', 'binary', ['publish', 'will']),
  rule(0x0b, 'subscriptionIdentifiers', 'variable', ['publish', 'subscribe'], {
    ...positive,
    repeatable: true, // In PUBLISH only; the checker holds SUBSCRIBE to one (section 3.8.2.1.2).
  }),
  rule(0x11, 'sessionExpiryInterval', 'four-byte', ['connect', 'connack', 'disconnect']),
  rule(0x12, 'assignedClientIdentifier', 'string', ['connack']),
  rule(0x13, 'serverKeepAlive', 'two-byte', ['connack']),
  rule(0x15, 'authenticationMethod', 'string', ['connect', 'connack', 'auth']),
  rule(0x16, 'authenticationData', 'binary', ['connect', 'connack', 'auth']),
  rule(0x17, 'requestProblemInformation', 'byte', ['connect'], flag),
  rule(0x18, 'willDelayInterval', 'four-byte', ['will']),
  rule(0x19, 'requestResponseInformation', 'byte', ['connect'], flag),
  rule(0x1a, 'responseInformation', 'string', ['connack']),
  rule(0x1c, 'serverReference', 'string', ['connack', 'disconnect']),
  rule(0x1f, 'reasonString', 'string', ['connack', ...acknowledgements, 'disconnect', 'auth']),
  rule(0x21, 'receiveMaximum', 'two-byte', ['connect', 'connack'], positive),
  rule(0x22, 'topicAliasMaximum', 'two-byte', ['connect', 'connack']),
  rule(0x23, 'topicAlias', 'two-byte', ['publish']), // 0 is refused as 0x94, by the handler.
  rule(0x24, 'maximumQos', 'byte', ['connack'], flag),
  rule(0x25, 'retainAvailable', 'byte', ['connack'], flag),
  rule(0x26, 'userProperties', 'pair', everywhere, { repeatable: true }),
  rule(0x27, 'maximumPacketSize', 'four-byte', ['connect', 'connack'], positive),
  rule(0x28, 'wildcardSubscriptionAvailable', 'byte', ['connack'], flag),
  rule(0x29, 'subscriptionIdentifiersAvailable', 'byte', ['connack'], flag),
  rule(0x2a, 'sharedSubscriptionAvailable', 'byte', ['connack'], flag),
]

/** The rules by identifier; a hole is an identifier that the standard does not know. */
export const propertyRuleByIdentifier: readonly (PropertyRule | undefined)[] = Array.from(
  { length: 0x2b },
  (_, identifier) => propertyRules.find((candidate) => candidate.identifier === identifier),
)
