/** Message bodies in stored form (protocol/message.ts), without properties. */

import { Buffer } from 'node:buffer'

export function bodyOf(topicName: string, payload: string | Buffer): Buffer {
  const topic = Buffer.from(topicName)
  const topicLength = Buffer.of(topic.length >> 8, topic.length & 0xff)
  const body = Buffer.concat([topicLength, topic, Buffer.of(0), Buffer.from(payload)])
  const own = Buffer.allocUnsafeSlow(body.length)
  body.copy(own)
  return own
}
