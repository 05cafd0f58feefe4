/**
 * A certificate authority of one's own: makes itself, signs for servers and devices, and takes back. Keys are
 * ECDSA P-256, which every TLS library has and small devices can afford.
 */

import { Buffer } from 'node:buffer'
import { createPrivateKey, KeyObject, randomBytes, webcrypto } from 'node:crypto'
import { isIP } from 'node:net'
import type { Extension, X509Certificate } from '@peculiar/x509'
import { loadX509, type X509 } from './x509.ts'

/** Both in PEM. */
export interface KeyAndCertificate {
  readonly key: string
  readonly certificate: string
}

/** From when until when, in ms since 1970. */
export interface Validity {
  readonly from: number
  readonly until: number
}

export interface Revocation {
  /** In hexadecimal digits. */
  readonly serialNumber: string
  readonly at: number
}

const KEY_ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256' }
const SIGNATURE_ALGORITHM = { name: 'ECDSA', hash: 'SHA-256' }
const SERIAL_BYTES = 16
const CRL_NUMBER = '2.5.29.20'
const PEM_LABEL = 'X509 CRL'
const DER_INTEGER = 0x02

type KeyPair = webcrypto.CryptoKeyPair

export class Authority {
  readonly #x509: X509
  readonly #key: webcrypto.CryptoKey
  readonly #certificate: X509Certificate

  private constructor(x509: X509, key: webcrypto.CryptoKey, certificate: X509Certificate) {
    this.#x509 = x509
    this.#key = key
    this.#certificate = certificate
  }

  /** Takes up an authority again. Throws an `Error` if the two do not belong together. */
  static async from({ key, certificate }: KeyAndCertificate): Promise<Authority> {
    const x509 = await loadX509()
    const parsed = new x509.X509Certificate(certificate)
    const pkcs8 = createPrivateKey(key).export({ type: 'pkcs8', format: 'der' })
    const signingKey = await webcrypto.subtle.importKey('pkcs8', pkcs8, KEY_ALGORITHM, true, [
      'sign',
    ])
    if (!(await isKeyOf(signingKey, parsed))) throw new Error('its key belongs to another one')
    return new Authority(x509, signingKey, parsed)
  }

  /** Makes a new one, of that Common Name. */
  static async make(name: string, { from, until }: Validity): Promise<KeyAndCertificate> {
    const x509 = await loadX509()
    const keys = await makeKeys()
    const { KeyUsageFlags } = x509
    const certificate = await x509.X509CertificateGenerator.createSelfSigned({
      serialNumber: newSerialNumber(),
      name: [{ CN: [name] }],
      notBefore: new Date(from),
      notAfter: new Date(until),
      keys: keys,
      signingAlgorithm: SIGNATURE_ALGORITHM,
      extensions: [
        new x509.BasicConstraintsExtension(true, 0, true),
        new x509.KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
        await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
      ],
    })
    return toPem(keys, certificate)
  }

  /** Nothing that it signs is valid for longer, in ms since 1970. */
  get until(): number {
    return this.#certificate.notAfter.getTime()
  }

  /** For a server of these host names and addresses; the first one is its Common Name too. */
  async signServer(hosts: readonly string[], validity: Validity): Promise<KeyAndCertificate> {
    const { SubjectAlternativeNameExtension, ExtendedKeyUsage } = this.#x509
    const names = hosts.map(
      (host) => ({ type: isIP(host) > 0 ? 'ip' : 'dns', value: host }) as const,
    )
    return this.#sign(hosts[0] ?? '', validity, [
      new this.#x509.ExtendedKeyUsageExtension([ExtendedKeyUsage.serverAuth]),
      new SubjectAlternativeNameExtension(names),
    ])
  }

  /** For a client of that Common Name. */
  async signDevice(name: string, validity: Validity): Promise<KeyAndCertificate> {
    const { ExtendedKeyUsage, ExtendedKeyUsageExtension } = this.#x509
    return this.#sign(name, validity, [
      new ExtendedKeyUsageExtension([ExtendedKeyUsage.clientAuth]),
    ])
  }

  /** The list of all that is taken back, in PEM. */
  async signRevocations(
    entries: readonly Revocation[],
    { from, until }: Validity,
  ): Promise<string> {
    const { X509CrlGenerator, X509CrlReason, Extension } = this.#x509
    const list = await X509CrlGenerator.create({
      issuer: this.#certificate.subjectName.toJSON(),
      thisUpdate: new Date(from),
      nextUpdate: new Date(until),
      signingAlgorithm: SIGNATURE_ALGORITHM,
      signingKey: this.#key,
      entries: entries.map(({ serialNumber, at }) => ({
        serialNumber,
        revocationDate: new Date(at),
        // Without a reason the package writes an empty list of extensions, which RFC 5280 does not allow.
        reason: X509CrlReason.privilegeWithdrawn,
      })),
      extensions: [
        await this.#authorityKeyIdentifier(),
        new Extension(CRL_NUMBER, false, derInteger(from)),
      ],
    })
    // The package's own label is one that OpenSSL does not know.
    return `${this.#x509.PemConverter.encode(list.rawData, PEM_LABEL)}\n`
  }

  /** What a list of its own says. Throws if another authority has signed it. */
  async readRevocations(list: string): Promise<Revocation[]> {
    const [der] = this.#x509.PemConverter.decode(list)
    if (der === undefined) throw new Error('it is no PEM file')
    const parsed = new this.#x509.X509Crl(der)
    const isOwn = await parsed.verify({ publicKey: this.#certificate })
    if (!isOwn) throw new Error('another authority has signed it')
    return parsed.entries.map(({ serialNumber, revocationDate }) => ({
      serialNumber,
      at: revocationDate.getTime(),
    }))
  }

  /** The serial number of a certificate that it has signed. Throws if another authority has. */
  async serialNumberOf(certificate: string): Promise<string> {
    const parsed = new this.#x509.X509Certificate(certificate)
    const isOwn = await parsed.verify({ publicKey: this.#certificate, signatureOnly: true })
    if (!isOwn) throw new Error('another authority has signed it')
    return parsed.serialNumber
  }

  async #sign(
    name: string,
    { from, until }: Validity,
    extensions: readonly Extension[],
  ): Promise<KeyAndCertificate> {
    const keys = await makeKeys()
    const x509 = this.#x509
    const certificate = await x509.X509CertificateGenerator.create({
      serialNumber: newSerialNumber(),
      subject: [{ CN: [name] }],
      issuer: this.#certificate.subjectName.toJSON(),
      notBefore: new Date(from),
      notAfter: new Date(Math.min(until, this.until)),
      publicKey: keys.publicKey,
      signingKey: this.#key,
      signingAlgorithm: SIGNATURE_ALGORITHM,
      extensions: [
        new x509.BasicConstraintsExtension(false, undefined, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
        ...extensions,
        await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
        await this.#authorityKeyIdentifier(),
      ],
    })
    return toPem(keys, certificate)
  }

  #authorityKeyIdentifier(): Promise<Extension> {
    return this.#x509.AuthorityKeyIdentifierExtension.create(this.#certificate.publicKey)
  }
}

function makeKeys(): Promise<KeyPair> {
  return webcrypto.subtle.generateKey(KEY_ALGORITHM, true, ['sign', 'verify'])
}

/** Random, so that no list of them has to be kept; positive, and never of another length. */
function newSerialNumber(): string {
  const bytes = randomBytes(SERIAL_BYTES)
  bytes[0] = ((bytes[0] as number) & 0x3f) | 0x40
  return bytes.toString('hex')
}

function derInteger(value: number): Buffer {
  const digits = value.toString(16)
  const bytes = Buffer.from(`00${digits.length % 2 === 0 ? '' : '0'}${digits}`, 'hex')
  const shortest = (bytes[1] as number) < 0x80 ? bytes.subarray(1) : bytes
  return Buffer.concat([Buffer.from([DER_INTEGER, shortest.length]), shortest])
}

async function isKeyOf(key: webcrypto.CryptoKey, certificate: X509Certificate): Promise<boolean> {
  const data = randomBytes(SERIAL_BYTES)
  const signature = await webcrypto.subtle.sign(SIGNATURE_ALGORITHM, key, data)
  const publicKey = await certificate.publicKey.export(KEY_ALGORITHM, ['verify'])
  return webcrypto.subtle.verify(
    SIGNATURE_ALGORITHM,
    publicKey as webcrypto.CryptoKey,
    signature,
    data,
  )
}

function toPem({ privateKey }: KeyPair, certificate: X509Certificate): KeyAndCertificate {
  const key = KeyObject.from(privateKey).export({ type: 'pkcs8', format: 'pem' }) as string
  return { key, certificate: `${certificate.toString('pem')}\n` }
}
