/** Key, certificate, authorities and revocation lists of a listener, read from its files. */

import type { Buffer } from 'node:buffer'
import { X509Certificate } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import type { ListenerConfiguration } from '../config/options.ts'
import { revocationLists } from '../transport/crl.ts'
import { errorOf, ListenError } from '../transport/listen.ts'
import { checkCredentials, type TlsCredentials } from '../transport/tls.ts'
import { fileSentence } from '../util/file-sentence.ts'

export type EncryptedListener = Extract<ListenerConfiguration, { type: 'tls' | 'wss' }>

/** The files that end some day. */
export type EndingFile = 'certFile' | 'caFile' | 'crlFile'

export interface ReadCredentials {
  readonly credentials: TlsCredentials
  /** When each file, or the first of what is in it, ends, in ms since 1970. */
  readonly ends: ReadonlyMap<EndingFile, number>
}

export const credentialFiles = ['keyFile', 'certFile', 'caFile', 'crlFile'] as const

type CredentialFile = (typeof credentialFiles)[number]

/** Rejects with a `ListenError` if they cannot be read, or cannot be used together. */
export async function readCredentials(configuration: EncryptedListener): Promise<ReadCredentials> {
  const { name, minTlsVersion: minVersion } = configuration
  const [key, cert, ca, crl] = await Promise.all(
    credentialFiles.map((option) => readPem(configuration, option)),
  )
  const lists = crl && understand(configuration, 'crlFile', () => revocationLists(crl.toString()))
  const credentials = { key, cert, ca, crl: lists?.map(({ pem }) => pem), minVersion }
  checkCredentials(credentials, name)
  const ends = new Map<EndingFile, number>()
  const setEnd = (option: EndingFile, all: readonly number[]) => {
    if (all.length > 0) ends.set(option, Math.min(...all))
  }
  if (cert)
    setEnd(
      'certFile',
      understand(configuration, 'certFile', () => endsOf(cert)),
    )
  if (ca)
    setEnd(
      'caFile',
      understand(configuration, 'caFile', () => endsOf(ca)),
    )
  setEnd('crlFile', lists?.flatMap(({ nextUpdateAt }) => nextUpdateAt ?? []) ?? [])
  return { credentials, ends }
}

/** Says whether two are the same, so that nothing has to be done. */
export function areSame(a: TlsCredentials, b: TlsCredentials): boolean {
  return textOf(a) === textOf(b)
}

function textOf({ key, cert, ca, crl }: TlsCredentials): string {
  return [key, cert, ca, ...(crl ?? [])].join('\n')
}

const CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g

function endsOf(pem: Buffer): number[] {
  const found = pem.toString().match(CERTIFICATE) ?? []
  if (found.length === 0) throw new Error('there is no certificate in it')
  return found.map((one) => Date.parse(new X509Certificate(one).validTo))
}

async function readPem(
  configuration: EncryptedListener,
  option: CredentialFile,
): Promise<Buffer | undefined> {
  const path = configuration[option]
  if (path === undefined) return undefined
  try {
    return await readFile(path)
  } catch (error) {
    const fault = error as NodeJS.ErrnoException
    throw fileError(configuration, option, fault.code ?? 'EIO', fileSentence(fault), error)
  }
}

function understand<T>(configuration: EncryptedListener, option: CredentialFile, read: () => T): T {
  try {
    return read()
  } catch (error) {
    const { message } = errorOf(error)
    throw fileError(configuration, option, 'ERR_CERTIFICATE', message, error)
  }
}

function fileError(
  configuration: EncryptedListener,
  option: CredentialFile,
  code: string,
  why: string,
  cause: unknown,
): ListenError {
  const file = `${option} ${configuration[option]}`
  return new ListenError(
    code,
    `Cannot open listener ${configuration.name}: ${file}: ${why}. Correct ${option} in the configuration.`,
    cause,
  )
}
