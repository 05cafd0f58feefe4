/** A broker with one listener for TLS, whose files stand in a folder as an operator has them. */

import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { connect, type PeerCertificate } from 'node:tls'
import type { ExecutionContext } from 'ava'
import {
  type Broker,
  type CreateBrokerOptions,
  createBroker,
  type ListenerInput,
} from '../../lib/index.ts'
import { makeAuthority, type TestAuthority } from './authority.ts'
import type { KeyAndCertificate } from './certificates.ts'
import { temporaryDirectory } from './processes.ts'
import { type RecordingLogger, recordingLogger } from './recording-logger.ts'

/** One for all tests of a process. */
export const testAuthority: Promise<TestAuthority> = makeAuthority('broker CA')

export interface CertificateFiles {
  readonly folder: string
  readonly keyFile: string
  readonly certFile: string
  readonly caFile: string
  readonly crlFile: string
  readonly write: (name: string, text: string) => string
  readonly writeServer: (pair: KeyAndCertificate) => void
  /** Writes a pair and returns the arguments by which Mosquitto's clients use it. */
  readonly argumentsFor: (pair: KeyAndCertificate) => string[]
}

export async function certificateFiles(t: ExecutionContext): Promise<CertificateFiles> {
  const authority = await testAuthority
  const folder = temporaryDirectory(t)
  const write = (name: string, text: string): string => {
    writeFileSync(join(folder, name), text)
    return join(folder, name)
  }
  const files: CertificateFiles = {
    folder,
    write,
    keyFile: join(folder, 'server.key'),
    certFile: join(folder, 'server.crt'),
    caFile: write('ca.crt', authority.ca.cert),
    crlFile: write('ca.crl', await authority.revoke([])),
    writeServer({ key, cert }) {
      write('server.key', key)
      write('server.crt', cert)
    },
    argumentsFor: ({ key, cert }) => [
      '--cafile',
      files.caFile,
      '--key',
      write('client.key', key),
      '--cert',
      write('client.crt', cert),
    ],
  }
  files.writeServer(await authority.server())
  return files
}

export interface EncryptedBroker {
  readonly broker: Broker
  readonly log: RecordingLogger
  readonly url: string
  readonly port: number
}

/** `own` is what the listener has beside its key and certificate. */
export async function startEncrypted(
  t: ExecutionContext,
  { keyFile, certFile }: Pick<CertificateFiles, 'keyFile' | 'certFile'>,
  own: Partial<ListenerInput> = {},
  options: CreateBrokerOptions = {},
): Promise<EncryptedBroker> {
  const log = recordingLogger()
  const listener = { type: 'tls', port: 0, keyFile, certFile, ...own } as ListenerInput
  const broker = await createBroker({ listeners: [listener], logger: log, ...options })
  t.teardown(() => broker.close())
  const [url = ''] = broker.urls
  return { broker, log, url, port: Number(new URL(url).port) }
}

/** The certificate that a listener shows now. */
export async function shownBy(port: number): Promise<PeerCertificate> {
  const { ca } = await testAuthority
  const socket = connect({ host: '127.0.0.1', port, ca: ca.cert })
  await once(socket, 'secureConnect')
  const certificate = socket.getPeerCertificate()
  socket.destroy()
  return certificate
}
