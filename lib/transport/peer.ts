/** Facts and sentences about the other end that every transport needs. */

import type { Socket } from 'node:net'
import { plainAddress } from '../util/address.ts'
import type { Doorkeeper, Peer, PeerCertificate } from './transport.ts'

/** What a listener of any kind is told. */
export interface ListenOptions {
  /** Name of the listener, for logs and for `Peer.listener`. */
  readonly name: string
  /**
   * Told of each client that was turned away before it became a transport, and why. A client that
   * leaves before it has sent a byte is not reported: load balancers knock that way.
   */
  readonly refused?: ((peer: Peer, sentence: string) => void) | undefined
  /** Told of a client that was let in, but not as it may have wanted, and why. */
  readonly noticed?: ((peer: Peer, sentence: string) => void) | undefined
  /** Absent: everybody may come in. */
  readonly doorkeeper?: Doorkeeper | undefined
  /** Told when the listener itself has trouble after it was opened, for instance no file descriptors. */
  readonly failed?: ((sentence: string) => void) | undefined
}

/** Returns the address of the other end of `socket`: `unknown` if it has gone already. */
export function addressOf(socket: Socket): string {
  const address = socket.remoteAddress
  if (address === undefined) return 'unknown'
  return socket.remoteFamily === 'IPv6' ? plainAddress(address) : address
}

export function peerOf(
  listener: string,
  protocol: Peer['protocol'],
  address: string,
  port: number,
  certificate?: PeerCertificate,
  userName?: string,
): Peer {
  return { listener, protocol, address, port, certificate, userName }
}

const SENTENCES: Readonly<Record<string, string>> = {
  ECONNRESET: 'the client reset the connection',
  EPIPE: 'the client closed the connection while it was being written to',
  ETIMEDOUT: 'the network to the client no longer answers',
  EHOSTUNREACH: 'there is no route to the client any more',
  ENETUNREACH: 'the network of the client is unreachable',
  ECONNABORTED: 'the connection was aborted by the network',
}

/** What in-memory and real clients alike leave behind when they go without closing. */
export const RESET_SENTENCE = 'the client reset the connection'

/** Returns what a failed socket means, as a sentence for the log. */
export function networkSentence(error: NodeJS.ErrnoException): string {
  return SENTENCES[error.code ?? ''] ?? `the connection failed: ${error.message}`
}

/** Listens for errors that need no answer because the 'close' event follows. */
export function ignoreError(): void {}
