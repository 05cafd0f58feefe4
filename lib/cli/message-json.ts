/** Messages as JSON: `sub --json` for programs, `%j` and `%J` as mosquitto_sub writes them. */

import { isUtf8 } from 'node:buffer'
import { isoTimeWithMicroseconds } from './local-time.ts'
import { type ReceivedMessage, userPropertiesOf } from './received-message.ts'

/** One line of `--json`. Bytes that are no UTF-8 come in base64, and `encoding` says which it is. */
export function toJsonLine(message: ReceivedMessage): string {
  const { topicName, payload, qos, retain, receivedAtMs } = message
  const isText = isUtf8(payload)
  return JSON.stringify({
    timestamp: new Date(receivedAtMs).toISOString(),
    topic: topicName,
    qos,
    retain,
    payload: payload.toString(isText ? 'utf8' : 'base64'),
    encoding: isText ? 'utf8' : 'base64',
    properties: plainProperties(message),
  })
}

/** Returns undefined when the payload is not JSON, so that `%J` cannot show it. */
export function toMosquittoJson(
  message: ReceivedMessage,
  payload: 'quoted' | 'embedded',
): string | undefined {
  const head = {
    tst: isoTimeWithMicroseconds(message.receivedAtMs),
    topic: message.topicName,
    qos: message.qos,
    retain: message.retain ? 1 : 0,
    payloadlen: message.payload.length,
    ...(message.qos === 0 ? {} : { mid: message.packetIdentifier }),
    ...mosquittoProperties(message),
  }
  const shown = payload === 'quoted' ? quote(message.payload) : embed(message.payload)
  return shown === undefined
    ? undefined
    : `${JSON.stringify(head).slice(0, -1)},"payload":${shown}}`
}

/** Properties under Noctule's names; binary ones in base64. */
function plainProperties(message: ReceivedMessage): Record<string, unknown> {
  const { payloadFormatIndicator, correlationData, ...rest } = message.properties
  const { userProperties: _, subscriptionIdentifier, topicAlias: __, ...plain } = rest
  const users = userPropertiesOf(message)
  return {
    ...plain,
    ...(payloadFormatIndicator === undefined
      ? {}
      : { payloadFormatIndicator: Number(payloadFormatIndicator) }),
    ...(correlationData === undefined
      ? {}
      : { correlationData: correlationData.toString('base64') }),
    ...(subscriptionIdentifier === undefined
      ? {}
      : { subscriptionIdentifiers: [subscriptionIdentifier].flat() }),
    ...(users.length === 0 ? {} : { userProperties: users }),
  }
}

/** The names and the order of mosquitto_sub 2.0. */
function mosquittoProperties({ properties }: ReceivedMessage): {
  properties?: Record<string, unknown>
} {
  const named = {
    'topic-alias': properties.topicAlias,
    // A name that is given twice has a list; mosquitto_sub writes the key twice, which few can read.
    'user-properties': properties.userProperties,
    'content-type': properties.contentType,
    'correlation-data': properties.correlationData?.toString(),
    'message-expiry-interval': properties.messageExpiryInterval,
    'payload-format-indicator':
      properties.payloadFormatIndicator === undefined
        ? undefined
        : Number(properties.payloadFormatIndicator),
    'response-topic': properties.responseTopic,
    'subscription-identifier': properties.subscriptionIdentifier,
  }
  const given = Object.fromEntries(Object.entries(named).filter(([, value]) => value !== undefined))
  return Object.keys(given).length === 0 ? {} : { properties: given }
}

function quote(payload: Buffer): string {
  return payload.length === 0 ? 'null' : JSON.stringify(payload.toString())
}

function embed(payload: Buffer): string | undefined {
  const text = payload.toString()
  if (text === '') return 'null'
  try {
    JSON.parse(text)
    return text
  } catch (error) {
    if (error instanceof SyntaxError) return undefined
    throw error
  }
}
