/** What a client's certificate says about it: names for rules, for logs, and the one that may be its user name. */

import type { TLSSocket } from 'node:tls'
import type { PeerCertificate } from './transport.ts'

/** A field of a certificate that can be a user name. */
export type CertificateField = 'commonName' | 'dns' | 'email' | 'uri'

/** A verified certificate; undefined if the client showed none, or one that does not verify. */
export function certificateOf(socket: TLSSocket): PeerCertificate | undefined {
  // A handshake with a pre-shared key is authorized without a certificate.
  if (!socket.authorized) return undefined
  const shown = shownBy(socket)
  if (shown === undefined) return undefined
  const { commonName, fingerprint256, serialNumber, subjectaltname = '' } = shown
  return { commonName, fingerprint256, serialNumber, ...namesOf(subjectaltname) }
}

/** Names whatever certificate the client showed, verified or not: `"meter-7", serial 0A1B`. */
export function describeShown(socket: TLSSocket): string | undefined {
  const shown = shownBy(socket)
  return shown && `${JSON.stringify(shown.commonName)}, serial ${shown.serialNumber}`
}

/** The first name of that kind; undefined if there is none that MQTT allows as a User Name. */
export function userNameIn(
  certificate: PeerCertificate,
  field: CertificateField,
): string | undefined {
  const name = namesFor[field](certificate)
  return name === undefined || name === '' || name.includes('\0') ? undefined : name
}

const namesFor: Readonly<Record<CertificateField, (from: PeerCertificate) => string | undefined>> =
  {
    commonName: ({ commonName }) => commonName,
    dns: ({ dnsNames }) => dnsNames[0],
    email: ({ emailAddresses }) => emailAddresses[0],
    uri: ({ uris }) => uris[0],
  }

interface Shown {
  readonly commonName: string
  readonly serialNumber: string
  readonly fingerprint256: string
  readonly subjectaltname?: string | undefined
}

function shownBy(socket: TLSSocket): Shown | undefined {
  const { subject, serialNumber, fingerprint256, subjectaltname } = socket.getPeerCertificate()
  // Typed as always there, but empty without a certificate.
  if ((subject as unknown) === undefined) return undefined
  // Typed as a string, but an array if the subject has several.
  const name: string | string[] | undefined = subject.CN
  const commonName = (Array.isArray(name) ? name[0] : name) ?? ''
  return { commonName, serialNumber, fingerprint256, subjectaltname }
}

// Node puts a name between quotes, as JSON, if it could be taken for two.
const ALTERNATIVE_NAME = /(?:^|, )([^:,"]+):("(?:[^"\\]|\\.)*"|[^,]*)/gy

type AlternativeNames = Pick<PeerCertificate, 'dnsNames' | 'emailAddresses' | 'uris'>

/** Takes apart what Node makes of the Subject Alternative Names: `DNS:a.example, email:b@example`. */
export function namesOf(text: string): AlternativeNames {
  const entries = [...text.matchAll(ALTERNATIVE_NAME)]
  const of = (kind: string) =>
    entries.flatMap(([, found, value = '']) => (found === kind ? unquoted(value) : []))
  return { dnsNames: of('DNS'), emailAddresses: of('email'), uris: of('URI') }
}

/** What cannot be read is no name: a handshake is no place to throw. */
function unquoted(value: string): string | [] {
  if (!value.startsWith('"')) return value
  try {
    return JSON.parse(value) as string
  } catch {
    return []
  }
}
