import { Buffer } from 'node:buffer'
import test from 'ava'
import { encodeProperties } from '../../lib/codec/property-block.ts'
import { readProperties } from '../../lib/codec/property-cursor.ts'
import { properties } from '../support/raw-packets.ts'

test('[MQTT-2.2.2-1] no properties are a Property Length of zero', (t) => {
  t.deepEqual(encodeProperties({}), Buffer.of(0))
})

test('the properties of a message are written by increasing identifier', (t) => {
  const written = {
    payloadFormatIndicator: 1,
    messageExpiryInterval: 0xffff_ffff,
    contentType: '',
    responseTopic: 'ä',
    correlationData: Buffer.from([0, 0xff]),
    subscriptionIdentifiers: [1, 300, 268_435_455],
    topicAlias: 65_535,
  } as const
  const given = { ...written, subscriptionIdentifiers: [...written.subscriptionIdentifiers] }

  const bytes = encodeProperties(given)

  t.deepEqual(bytes, properties(given))
  t.deepEqual(readProperties(bytes, 0, bytes.length, 'publish'), given)
})

test('User Properties are written in their order, with a Property Length of two bytes', (t) => {
  const userProperties = Array.from({ length: 40 }, (_, i) => [`${i % 3}`, `${i}`] as const)

  const bytes = encodeProperties({ userProperties })

  t.deepEqual(bytes, properties({ userProperties }))
  t.deepEqual(readProperties(bytes, 0, bytes.length, 'suback'), { userProperties })
})
