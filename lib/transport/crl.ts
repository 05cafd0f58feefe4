/** Certificate revocation lists (RFC 5280) as far as we need them: one by one, and until when they are good. */

import { Buffer } from 'node:buffer'

export interface RevocationList {
  /** PEM. OpenSSL reads but one list of a text. */
  readonly pem: string
  /** From then on it refuses everybody, in ms since 1970; undefined if it has no end. */
  readonly nextUpdateAt: number | undefined
}

const LIST = /-----BEGIN X509 CRL-----([\w+/=\s]*)-----END X509 CRL-----/g
/** So many authorities have no broker. */
const LISTS_MAX = 1000

const SEQUENCE = 0x30
const INTEGER = 0x02
const UTC_TIME = 0x17
const GENERALIZED_TIME = 0x18

/** Returns all lists of a PEM text. Throws an `Error` that says, for people, what is wrong with it. */
export function revocationLists(text: string): RevocationList[] {
  const lists = [...text.matchAll(LIST)].map(([pem, base64 = '']) => ({
    pem: `${pem}\n`,
    nextUpdateAt: nextUpdateOf(Buffer.from(base64, 'base64')),
  }))
  if (lists.length === 0) throw new Error('there is no revocation list in it (BEGIN X509 CRL)')
  if (lists.length > LISTS_MAX) throw new Error(`there are more than ${LISTS_MAX} lists in it`)
  return lists
}

/** CertificateList → tbsCertList → version?, signature, issuer, thisUpdate, nextUpdate? */
function nextUpdateOf(der: Buffer): number | undefined {
  const list = contentOf(der, SEQUENCE)
  let rest = contentOf(list, SEQUENCE)
  if (rest[0] === INTEGER) rest = behind(rest)
  const fromNextUpdate = behind(behind(behind(rest)))
  return timeOf(fromNextUpdate)
}

interface Element {
  readonly start: number
  readonly end: number
}

/** Where the content of the first element of `der` is. */
function measure(der: Buffer): Element {
  const first = der[1] ?? 0
  const lengthBytes = first < 0x80 ? 0 : first & 0x7f
  if (lengthBytes > 4 || der.length < 2 + lengthBytes) throw damaged()
  const length = lengthBytes === 0 ? first : der.readUIntBE(2, lengthBytes)
  const start = 2 + lengthBytes
  if (der.length < start + length) throw damaged()
  return { start, end: start + length }
}

function contentOf(der: Buffer, tag: number): Buffer {
  if (der[0] !== tag) throw damaged()
  const { start, end } = measure(der)
  return der.subarray(start, end)
}

function behind(der: Buffer): Buffer {
  return der.subarray(measure(der).end)
}

/** UTCTime has two digits of the year, from 1950 to 2049; GeneralizedTime has four. */
function timeOf(der: Buffer): number | undefined {
  const tag = der[0]
  if (tag !== UTC_TIME && tag !== GENERALIZED_TIME) return undefined
  const text = contentOf(der, tag).toString('latin1')
  const century = Number(text.slice(0, 2)) < 50 ? '20' : '19'
  const full = tag === UTC_TIME ? century + text : text
  const iso = full.replace(/^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/, '$1-$2-$3T$4:$5:$6Z')
  const at = Date.parse(iso)
  if (Number.isNaN(at)) throw damaged()
  return at
}

function damaged(): Error {
  return new Error('a revocation list in it is damaged')
}
