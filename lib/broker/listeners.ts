/** Opens the listeners of the configuration: all of them, or none. */

import type { Buffer } from 'node:buffer'
import { readFile } from 'node:fs/promises'
import type { ListenerConfiguration } from '../config/options.ts'
import { ListenError } from '../transport/listen.ts'
import type { ListenOptions } from '../transport/peer.ts'
import { listenTcp } from '../transport/tcp.ts'
import { checkCredentials, listenTls, type TlsCredentials } from '../transport/tls.ts'
import type { AcceptTransport, Doorkeeper, Listener, Peer } from '../transport/transport.ts'
import { listenUnix } from '../transport/unix.ts'
import { listenWebSocket } from '../transport/websocket.ts'
import type { LimitedLog } from '../util/limited-log.ts'
import type { Logger } from '../util/logger.ts'

export interface OpenListener extends Listener {
  /**
   * Reads key, certificate and CA again and returns what puts them in force for clients to come, which
   * cannot fail any more: so all listeners change, or none. Throws `ListenError` if they cannot be used.
   */
  prepareCertificates(): Promise<() => void>
}

interface Shared {
  readonly log: Logger
  readonly limitedLog: LimitedLog
  readonly doorkeeper: Doorkeeper
}

type EncryptedListener = Extract<ListenerConfiguration, { keyFile: string }>

/** Opens every listener; if one fails, closes those that were open and throws its `ListenError`. */
export async function openListeners(
  configurations: readonly ListenerConfiguration[],
  shared: Shared,
  acceptFor: (configuration: ListenerConfiguration) => AcceptTransport,
): Promise<OpenListener[]> {
  const open: OpenListener[] = []
  try {
    for (const configuration of configurations) {
      open.push(await openListener(configuration, shared, acceptFor(configuration)))
    }
  } catch (error) {
    await Promise.all(open.map((listener) => listener.close()))
    throw error
  }
  return open
}

async function openListener(
  configuration: ListenerConfiguration,
  shared: Shared,
  accept: AcceptTransport,
): Promise<OpenListener> {
  const common = commonOptions(configuration.name, shared)
  switch (configuration.type) {
    case 'tcp':
      return withoutCertificates(await listenTcp({ ...configuration, ...common }, accept))
    case 'unix': {
      const mode = Number.parseInt(configuration.mode, 8)
      return withoutCertificates(
        await listenUnix({ ...common, path: configuration.path, mode }, accept),
      )
    }
    case 'ws': {
      const options = { ...configuration, ...common }
      return withoutCertificates(await listenWebSocket(options, accept))
    }
    case 'tls': {
      const options = { ...configuration, ...common, ...(await encryptionOf(configuration)) }
      return withCertificates(await listenTls(options, accept), configuration)
    }
    case 'wss': {
      const options = { ...configuration, ...common, ...(await encryptionOf(configuration)) }
      return withCertificates(await listenWebSocket(options, accept), configuration)
    }
  }
}

function commonOptions(name: string, { log, limitedLog, doorkeeper }: Shared): ListenOptions {
  return {
    name,
    doorkeeper,
    refused: (peer: Peer, sentence: string) =>
      limitedLog.warn(
        'refused',
        { address: `${peer.address}:${peer.port}`, listener: name, rule: sentence },
        'connection refused',
      ),
    failed: (sentence) => log.error({ listener: name }, sentence),
  }
}

async function encryptionOf(configuration: EncryptedListener): Promise<{
  credentials: TlsCredentials
  requestCert: boolean
  requireCert: boolean
}> {
  const { requestClientCertificate } = configuration
  return {
    credentials: await readCredentials(configuration),
    requestCert: requestClientCertificate !== 'no',
    requireCert: requestClientCertificate === 'required',
  }
}

async function readCredentials(configuration: EncryptedListener): Promise<TlsCredentials> {
  const { name, keyFile, certFile, caFile, minTlsVersion } = configuration
  return {
    key: await readPem(name, 'keyFile', keyFile),
    cert: await readPem(name, 'certFile', certFile),
    ca: caFile === undefined ? undefined : await readPem(name, 'caFile', caFile),
    minVersion: minTlsVersion,
  }
}

const fileFaults: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such file',
  EACCES: 'this user may not read it',
  EISDIR: 'it is a directory',
}

async function readPem(listener: string, key: string, path: string): Promise<Buffer> {
  try {
    return await readFile(path)
  } catch (error) {
    const { code = 'EIO', message } = error as NodeJS.ErrnoException
    const why = fileFaults[code] ?? message
    throw new ListenError(
      code,
      `Cannot open listener ${listener}: ${key} ${path}: ${why}. Correct ${key} in the configuration.`,
      error,
    )
  }
}

function withoutCertificates(listener: Listener): OpenListener {
  return { ...listener, prepareCertificates: async () => () => {} }
}

function withCertificates(
  listener: Listener & { reload?(credentials: TlsCredentials): void },
  configuration: EncryptedListener,
): OpenListener {
  return {
    ...listener,
    async prepareCertificates() {
      const credentials = await readCredentials(configuration)
      checkCredentials(credentials, configuration.name)
      return () => listener.reload?.(credentials)
    },
  }
}
