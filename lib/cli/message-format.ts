/** `sub -F`: the format language of mosquitto_sub, compiled once into a list of parts. */

import { UsageError } from './failures.ts'
import { isoTime, timeFields, unixTime } from './local-time.ts'
import { toMosquittoJson } from './message-json.ts'
import { type ReceivedMessage, userPropertiesOf } from './received-message.ts'

/** Returns undefined for a message that the format cannot show (`%J` of what is not JSON). */
export type MessageFormat = (message: ReceivedMessage) => Buffer | undefined

type Part = (message: ReceivedMessage) => string | Buffer | undefined

interface Layout {
  readonly isLeft: boolean
  readonly isZeroPadded: boolean
  readonly widthMin: number
  readonly widthMax: number
}

const fields: Readonly<Record<string, Part>> = {
  '%': () => '%',
  A: ({ properties }) => String(properties.topicAlias ?? ''),
  C: ({ properties }) => properties.contentType ?? '',
  D: ({ properties }) => properties.correlationData ?? '',
  E: ({ properties }) => String(properties.messageExpiryInterval ?? ''),
  F: ({ properties }) => {
    const indicator = properties.payloadFormatIndicator
    return indicator === undefined ? '' : String(Number(indicator))
  },
  I: ({ receivedAtMs }) => isoTime(receivedAtMs),
  j: (message) => toMosquittoJson(message, 'quoted'),
  J: (message) => toMosquittoJson(message, 'embedded'),
  l: ({ payload }) => String(payload.length),
  m: ({ packetIdentifier }) => String(packetIdentifier),
  p: ({ payload }) => payload,
  P: (message) =>
    userPropertiesOf(message)
      .map(([name, value]) => `${name}:${value}`)
      .join(' '),
  q: ({ qos }) => String(qos),
  r: ({ retain }) => (retain ? '1' : '0'),
  R: ({ properties }) => properties.responseTopic ?? '',
  S: ({ properties }) => [properties.subscriptionIdentifier ?? ''].flat().join(' '),
  t: ({ topicName }) => topicName,
  U: ({ receivedAtMs }) => unixTime(receivedAtMs),
  x: ({ payload }) => payload.toString('hex'),
  X: ({ payload }) => payload.toString('hex').toUpperCase(),
}

/** The fields that a 0 fills with zeros, and those whose length can be cut. */
const ZERO_PADDED = 'AEFlmSXx'
const CUTTABLE = 'CIRt'

const escapes: Readonly<Record<string, string>> = {
  '\\': '\\',
  '0': '\0',
  a: '\u0007',
  e: '\u001b',
  n: '\n',
  r: '\r',
  t: '\t',
  v: '\v',
}

const TOKEN = /%([-0]*)(\d*)(?:\.(\d+))?(.?)|@(.?)|\\(.?)|[^%@\\]+/gsu

/** Throws a sentence for a sequence that does not exist. */
export function compileFormat(format: string): MessageFormat {
  const parts = [...format.matchAll(TOKEN)].map(compileToken)
  return (message) => {
    const pieces: Buffer[] = []
    for (const part of parts) {
      const piece = part(message)
      if (piece === undefined) return undefined
      pieces.push(typeof piece === 'string' ? Buffer.from(piece) : piece)
    }
    return Buffer.concat(pieces)
  }
}

function compileToken(token: RegExpMatchArray): Part {
  const [sequence, flags = '', widthMin, widthMax, field, timeField, escape] = token
  if (field !== undefined) {
    const isCuttable = widthMax !== undefined && CUTTABLE.includes(field)
    return compileField(sequence, field, {
      isLeft: flags.includes('-'),
      isZeroPadded: flags.includes('0') && !flags.includes('-') && ZERO_PADDED.includes(field),
      widthMin: Number(widthMin),
      widthMax: isCuttable ? Number(widthMax) : Number.POSITIVE_INFINITY,
    })
  }
  if (timeField !== undefined) {
    const format = Object.hasOwn(timeFields, timeField) ? timeFields[timeField] : undefined
    if (format === undefined) throw unknown(sequence, `@${Object.keys(timeFields).join(' @')}`)
    return ({ receivedAtMs }) => format(receivedAtMs)
  }
  if (escape !== undefined) {
    const character = Object.hasOwn(escapes, escape) ? escapes[escape] : undefined
    if (character === undefined) throw unknown(sequence, `\\${Object.keys(escapes).join(' \\')}`)
    return () => character
  }
  return () => sequence
}

function compileField(sequence: string, field: string, layout: Layout): Part {
  const part = Object.hasOwn(fields, field) ? fields[field] : undefined
  if (part === undefined) throw unknown(sequence, `%${Object.keys(fields).join(' %')}`)
  if (layout.widthMin === 0 && layout.widthMax === Number.POSITIVE_INFINITY) return part
  return (message) => {
    const value = part(message)
    return value === undefined ? undefined : pad(value, layout)
  }
}

function pad(value: string | Buffer, layout: Layout): string | Buffer {
  const { isLeft, isZeroPadded, widthMin, widthMax } = layout
  if (typeof value !== 'string') {
    const padding = Buffer.alloc(Math.max(0, widthMin - value.length), ' ')
    return Buffer.concat(isLeft ? [value, padding] : [padding, value])
  }
  const shown = value.slice(0, widthMax)
  return isLeft ? shown.padEnd(widthMin) : shown.padStart(widthMin, isZeroPadded ? '0' : ' ')
}

function unknown(sequence: string, known: string): UsageError {
  return new UsageError(`-F knows no "${sequence}"; there are: ${known}`)
}
