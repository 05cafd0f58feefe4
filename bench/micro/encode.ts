/** Messages to bytes: the first receiver of a shape, and all others of it. */

import { decodePublish, PublishHeader } from '../../lib/codec/publish-decoder.ts'
import { PublishEncoder, type PublishShape } from '../../lib/codec/publish-encoder.ts'
import { packetWith } from './decode.ts'
import type { MicroCase } from './harness.ts'

const MESSAGES = 100

const plain: PublishShape = {
  version: 4,
  qos: 0,
  retain: false,
  subscriptionIdentifiers: undefined,
  topicAlias: 0,
  isTopicSent: true,
}

export const encodeCases: readonly MicroCase[] = [
  encodeCase('encode 3.1.1, passed on as it came', plain, 1),
  encodeCase('encode 3.1.1, QoS 1, first receiver', { ...plain, qos: 1 }, 1),
  encodeCase('encode 3.1.1, QoS 1, each of 100 receivers', { ...plain, qos: 1 }, 100),
  encodeCase('encode 5.0 of a message of 3.1.1', { ...plain, version: 5 }, 1),
  encodeCase(
    'encode 5.0 with a Subscription Identifier',
    { ...plain, version: 5, subscriptionIdentifiers: [7] },
    1,
  ),
]

function encodeCase(name: string, shape: PublishShape, receivers: number): MicroCase {
  const bytes = packetWith({ qos: shape.qos })
  const messages = Array.from({ length: MESSAGES }, () =>
    decodePublish(bytes, 0, 2, bytes.length, 4, 0, new PublishHeader()),
  )
  const encoder = new PublishEncoder()
  const run = () => {
    let total = 0
    for (const message of messages) {
      for (let i = 0; i < receivers; i++) total += encoder.encode(message, shape, 0).size
    }
    return total
  }
  return { name, operations: MESSAGES * receivers, run }
}
