/** Opens the listeners of the configuration: all of them, or none. */

import type { ListenerConfiguration } from '../config/options.ts'
import type { ListenOptions } from '../transport/peer.ts'
import { listenTcp } from '../transport/tcp.ts'
import { listenTls, type TlsListener } from '../transport/tls.ts'
import type { AcceptTransport, Doorkeeper, Listener, Peer } from '../transport/transport.ts'
import { listenUnix } from '../transport/unix.ts'
import { listenWebSocket } from '../transport/websocket.ts'
import type { LimitedLog } from '../util/limited-log.ts'
import type { EncryptedListener } from './credentials.ts'
import type { FileEnd } from './expiry-report.ts'
import { type EncryptionParts, LiveEncryption } from './live-encryption.ts'

export interface OpenListener extends Listener {
  /**
   * Reads key, certificate, authorities and lists again and returns what puts them in force for clients to
   * come, which cannot fail any more: so all listeners change, or none. Throws `ListenError` if they cannot
   * be used.
   */
  prepareCertificates(): Promise<() => void>
  /** When its certificates end. */
  fileEnds(): readonly FileEnd[]
}

export interface ListenerParts extends EncryptionParts {
  readonly limitedLog: LimitedLog
  readonly doorkeeper: Doorkeeper
}

/** Opens every listener; if one fails, closes those that were open and throws its `ListenError`. */
export async function openListeners(
  configurations: readonly ListenerConfiguration[],
  parts: ListenerParts,
  acceptFor: (configuration: ListenerConfiguration) => AcceptTransport,
): Promise<OpenListener[]> {
  const open: OpenListener[] = []
  try {
    for (const configuration of configurations) {
      open.push(await openListener(configuration, parts, acceptFor(configuration)))
    }
  } catch (error) {
    await Promise.all(open.map((listener) => listener.close()))
    throw error
  }
  return open
}

async function openListener(
  configuration: ListenerConfiguration,
  parts: ListenerParts,
  accept: AcceptTransport,
): Promise<OpenListener> {
  const common = commonOptions(configuration.name, parts)
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
    case 'tls':
      return openEncrypted(configuration, parts, (encryption) =>
        listenTls({ ...configuration, ...common, ...encryption }, accept),
      )
    case 'wss':
      return openEncrypted(configuration, parts, (encryption) =>
        listenWebSocket({ ...configuration, ...common, ...encryption }, accept),
      )
  }
}

function commonOptions(
  name: string,
  { log, limitedLog, doorkeeper }: ListenerParts,
): ListenOptions {
  return {
    name,
    doorkeeper,
    refused: (peer: Peer, sentence: string) =>
      limitedLog.warn(
        'refused',
        { address: `${peer.address}:${peer.port}`, listener: name, rule: sentence },
        'connection refused',
      ),
    noticed: (peer: Peer, sentence: string) =>
      limitedLog.warn(
        'certificate',
        { address: `${peer.address}:${peer.port}`, listener: name, rule: sentence },
        'a client certificate counts as none',
      ),
    failed: (sentence) => log.error({ listener: name }, sentence),
  }
}

function withoutCertificates(listener: Listener): OpenListener {
  return { ...listener, prepareCertificates: async () => () => {}, fileEnds: () => [] }
}

type Listen = (encryption: LiveEncryption['options']) => Promise<TlsListener>

async function openEncrypted(
  configuration: EncryptedListener,
  parts: ListenerParts,
  listen: Listen,
): Promise<OpenListener> {
  const encryption = await LiveEncryption.open(configuration, parts)
  let listener: TlsListener
  try {
    listener = await listen(encryption.options)
  } catch (error) {
    encryption.close()
    throw error
  }
  encryption.serve(listener)
  return {
    ...listener,
    close() {
      encryption.close()
      return listener.close()
    },
    prepareCertificates: () => encryption.prepare(),
    fileEnds: () =>
      [...encryption.ends].map(([option, endsAt]) => ({
        listener: configuration.name,
        option,
        endsAt,
      })),
  }
}
