/**
 * What a payload says: when its message was due, by whom it was sent, to whom, and as which one. A check word
 * guards these, and the rest is one byte over and over, so that a receiver knows whether all of it came whole.
 *
 *   0 stamp, microseconds   4 publisher   6 receiver   8 sequence   12 check   16 filling
 */

/** Room for what a payload says. */
export const PAYLOAD_BYTES_MIN = 16

/** A receiver that stands for all of them. */
export const EVERYBODY = 0xffff

const FILLING = 'x'.charCodeAt(0)

/** Eight bytes of filling, read as one number. */
const EIGHT_FILLINGS = new DataView(new Uint8Array(8).fill(FILLING).buffer).getFloat64(0)

/** Microseconds since this process began, modulo 2^32: 71 minutes. */
export function stampNow(): number {
  return (performance.now() * 1000) >>> 0
}

/** Makes a payload that says nothing yet. */
export function blankPayload(bytes: number): Buffer {
  return Buffer.alloc(bytes, FILLING)
}

export function writePayload(
  view: DataView,
  at: number,
  stamp: number,
  publisher: number,
  receiver: number,
  sequence: number,
): void {
  const who = ((publisher << 16) | receiver) >>> 0
  view.setUint32(at, stamp)
  view.setUint32(at + 4, who)
  view.setUint32(at + 8, sequence)
  view.setUint32(at + 12, checkOf(stamp, who, sequence))
}

/** Whether all bytes of the payload are as they were written. */
export function isWhole(view: DataView, at: number, bytes: number): boolean {
  const end = at + bytes
  const check = checkOf(view.getUint32(at), view.getUint32(at + 4), view.getUint32(at + 8))
  if (view.getUint32(at + 12) !== check) return false
  let i = at + PAYLOAD_BYTES_MIN
  for (; i + 8 <= end; i += 8) if (view.getFloat64(i) !== EIGHT_FILLINGS) return false
  for (; i < end; i++) if (view.getUint8(i) !== FILLING) return false
  return true
}

export function stampOf(view: DataView, at: number): number {
  return view.getUint32(at)
}

export function publisherOf(view: DataView, at: number): number {
  return view.getUint16(at + 4)
}

export function receiverOf(view: DataView, at: number): number {
  return view.getUint16(at + 6)
}

export function sequenceOf(view: DataView, at: number): number {
  return view.getUint32(at + 8)
}

/** Any flipped bit changes it. */
function checkOf(stamp: number, who: number, sequence: number): number {
  const mixed = Math.imul(Math.imul(stamp ^ 0x9e3779b9, 0x85ebca6b) ^ who, 0xc2b2ae35) ^ sequence
  return (mixed ^ (mixed >>> 15)) >>> 0
}
