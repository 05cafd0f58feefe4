/**
 * What the broker asks of a network connection, and what a connection tells the broker. TCP, TLS,
 * WebSocket, Unix sockets and the in-memory pair implement `Transport`, an ordered, lossless stream of
 * bytes both ways [MQTT-4.2-1]; `connection/` drives it.
 */

import type { Buffer } from 'node:buffer'

/** Facts about the other end, for logs, hooks and rules. */
export interface Peer {
  /** Name of the listener that accepted the connection. */
  readonly listener: string
  readonly protocol: 'tcp' | 'tls' | 'ws' | 'wss' | 'unix' | 'memory'
  /** Address of the client: behind a proxy the one that the proxy named. */
  readonly address: string
  /** 0 where the transport has no ports. */
  readonly port: number
  /** A verified client certificate. */
  readonly certificate: PeerCertificate | undefined
  /** Who the client is, proved by its certificate or pre-shared key: no password is asked for. */
  readonly userName?: string | undefined
}

/** What a client certificate says; it is verified, so its authority has said so too. */
export interface PeerCertificate {
  /** Empty if there is none, the first one if there are several. */
  readonly commonName: string
  /** SHA-256 of the whole certificate: `AB:CD:…`. */
  readonly fingerprint256: string
  /** In hexadecimal digits. */
  readonly serialNumber: string
  /** Subject Alternative Names, by kind. */
  readonly dnsNames: readonly string[]
  readonly emailAddresses: readonly string[]
  readonly uris: readonly string[]
}

/** Receives what happens on a transport. All calls are synchronous and never nested. */
export interface TransportEvents {
  /**
   * Bytes arrived. Nobody may change `chunk` from now on: it may be written to others as it is. It may pin a
   * larger buffer: who keeps a part of it copies it.
   */
  received(chunk: Buffer): void
  /** Everything written has left: `pendingBytes` is 0 again. */
  drained(): void
  /**
   * The transport is closed for good; called exactly once, also after `close` and `destroy`.
   * `error` is a sentence for the log if the network or the peer's framing failed.
   */
  closed(error: string | undefined): void
}

export interface Transport {
  readonly peer: Peer
  /** Must be set, synchronously, before the first turn ends; bytes before that are held. */
  events: TransportEvents
  /** Bytes written that the operating system (or the other half) has not taken. */
  readonly pendingBytes: number
  /**
   * Sends bytes. Nobody may change `bytes` afterwards, the transport neither: other transports may have been
   * given the same.
   * Does nothing once closed.
   */
  write(bytes: Buffer): void
  /** Stops reading: the peer is slowed by its own send buffer. */
  pause(): void
  resume(): void
  /** Sends what is pending, for at most `CLOSE_TIMEOUT_MS`, then closes. No more `received`. */
  close(): void
  /** Closes at once; pending bytes are dropped. */
  destroy(): void
}

/** How long a closing transport may take to hand over its last bytes (a peer may never read them). */
export const CLOSE_TIMEOUT_MS = 2_000

/** A place where clients arrive. */
export interface Listener {
  readonly name: string
  /** Where it listens, as a URL: `mqtt://127.0.0.1:1883`, `ws://127.0.0.1:8083/mqtt`, `unix:/run/x.sock`. */
  readonly url: string
  /** Stops accepting. Connections already accepted stay. */
  close(): Promise<void>
}

/** Judges who knocks, before anything of it is read. `broker/` implements it. */
export interface Doorkeeper {
  /** Why nobody from this address may come in now, as a sentence for the log; undefined: it may. */
  refusal(address: string, protocol: Peer['protocol']): string | undefined
  /**
   * One is on its way that has said nothing yet; `end` is called if it has to make room. Returns what is to be
   * called when it is there, or gone.
   */
  enter(address: string, end: (sentence: string) => void): () => void
  /** One has gone before it was there. */
  failed(address: string): void
}

/** Called for each accepted connection, after PROXY header, TLS and WebSocket handshakes. */
export type AcceptTransport = (transport: Transport) => void
