/** Finds packets that stand one behind the other and are the same but for Packet Identifier and payload. */

import type { Buffer } from 'node:buffer'
import { isSame } from './same-bytes.ts'

/**
 * How many there are, up to `max`, with the packet from `start` to `end`, whose payload begins at `payloadStart` and
 * whose Packet Identifier stands `identifierAt` bytes behind `start`, or nowhere if that is 0. The fixed header is the
 * same too, so they all have its size. Of the first `known` it is known.
 */
export function countAlike(
  bytes: Buffer,
  start: number,
  identifierAt: number,
  payloadStart: number,
  end: number,
  max: number,
  known = 1,
): number {
  const size = end - start
  const headBytes = identifierAt === 0 ? payloadStart - start : identifierAt
  const tailAt = identifierAt + 2
  const tailBytes = identifierAt === 0 ? 0 : payloadStart - start - tailAt
  let count = known
  for (let next = start + known * size; count < max && next + size <= bytes.length; next += size) {
    if (!isSame(bytes, next, headBytes, bytes, start)) break
    if (!isSame(bytes, next + tailAt, tailBytes, bytes, start + tailAt)) break
    if (identifierAt !== 0 && isZero(bytes, next + identifierAt)) break
    count++
  }
  return count
}

function isZero(bytes: Buffer, at: number): boolean {
  return (bytes[at]! | bytes[at + 1]!) === 0
}
