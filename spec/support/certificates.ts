/** Certificates for tests, made by the openssl command once per process and removed when it exits. */

import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { readFile, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'

/** All in PEM. */
export interface KeyAndCertificate {
  readonly key: string
  readonly cert: string
}

export interface Certificates {
  /** Signed `server`, `renewedServer`, `client` and `namedClient`. */
  readonly ca: KeyAndCertificate
  /** Signed `otherClient`. */
  readonly otherCa: KeyAndCertificate
  /** For localhost, 127.0.0.1 and ::1, like `renewedServer`. Common Name `server`. */
  readonly server: KeyAndCertificate
  /** Common Name `renewed-server`. */
  readonly renewedServer: KeyAndCertificate
  /** Common Name `client-1`. */
  readonly client: KeyAndCertificate
  /** Common Name `client-2`. */
  readonly otherClient: KeyAndCertificate
  /** Common Name `client-3`, with Subject Alternative Names of each kind. */
  readonly namedClient: KeyAndCertificate
  /** Common Name `client-4`, with alternative names that look like several: `ODD_NAME`. */
  readonly oddClient: KeyAndCertificate
}

export const ODD_NAME = 'a, DNS:admin'

const run = promisify(execFile)
const CLIENT_NAMES =
  'subjectAltName=DNS:client-3.example,DNS:c3.example,email:c3@example.org,URI:urn:client:3'
const ODD = `DNS.1="${ODD_NAME}"\nemail.1=\\"a\\\\@b\nURI.1=urn:ä\nDNS.2=b\n`
const SERVER_NAMES = 'subjectAltName=DNS:localhost,IP:127.0.0.1,IP:::1'

let made: Promise<Certificates> | undefined

/** Returns the same certificates to everybody in this process. */
export function certificates(): Promise<Certificates> {
  made ??= makeAll()
  return made
}

async function makeAll(): Promise<Certificates> {
  const directory = mkdtempSync(join(tmpdir(), 'noctule-certificates-'))
  process.once('exit', () => rmSync(directory, { recursive: true, force: true }))
  // Without this file openssl reads the machine's configuration, whose extensions we do not know.
  await writeFile(
    join(directory, 'openssl.cnf'),
    `[req]\ndistinguished_name=dn\n[dn]\n[odd_client]\nsubjectAltName=@odd\n[odd]\n${ODD}`,
  )
  const [ca, otherCa] = await Promise.all([
    make(directory, 'ca', ['-addext', 'basicConstraints=critical,CA:TRUE']),
    make(directory, 'other-ca', ['-addext', 'basicConstraints=critical,CA:TRUE']),
  ])
  const [server, renewedServer, client, otherClient, namedClient, oddClient] = await Promise.all([
    make(directory, 'server', [...signedBy('ca'), '-addext', SERVER_NAMES]),
    make(directory, 'renewed-server', [...signedBy('ca'), '-addext', SERVER_NAMES]),
    make(directory, 'client-1', signedBy('ca')),
    make(directory, 'client-2', signedBy('other-ca')),
    make(directory, 'client-3', [...signedBy('ca'), '-addext', CLIENT_NAMES]),
    make(directory, 'client-4', [...signedBy('ca'), '-extensions', 'odd_client']),
  ])
  return { ca, otherCa, server, renewedServer, client, otherClient, namedClient, oddClient }
}

function signedBy(name: string): string[] {
  return ['-CA', `${name}.crt`, '-CAkey', `${name}.key`]
}

async function make(
  directory: string,
  commonName: string,
  options: readonly string[],
): Promise<KeyAndCertificate> {
  const keyFile = `${commonName}.key`
  const certFile = `${commonName}.crt`
  const subject = ['-subj', `/CN=${commonName}`, '-days', '3650']
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', keyFile]
  await run(
    'openssl',
    ['req', '-x509', '-config', 'openssl.cnf', ...key, '-out', certFile, ...subject, ...options],
    { cwd: directory },
  )
  const [keyText, cert] = await Promise.all([
    readFile(join(directory, keyFile), 'utf8'),
    readFile(join(directory, certFile), 'utf8'),
  ])
  return { key: keyText, cert }
}
