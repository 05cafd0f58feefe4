/**
 * MQTT over TLS, and the TLS step of wss (websocket.ts): certificates that can be exchanged while
 * clients stay, and handshakes that fail with a sentence.
 *
 * The server sockets belong to listen.ts; the `tls.Server` here never listens, it is given sockets whose
 * first bytes were looked at. A client that sends nothing costs no TLS state.
 */

import type { Buffer } from 'node:buffer'
import type { Socket } from 'node:net'
import type { SecureContextOptions, Server, TLSSocket } from 'node:tls'
import { createSecureContext, createServer } from 'node:tls'
import type { Look } from './first-bytes.ts'
import { httpAnswer, PROXY_UNEXPECTED, readAhead, recognise } from './first-bytes.ts'
import type { Arrival } from './gate.ts'
import { Gate } from './gate.ts'
import type { NetworkOptions } from './listen.ts'
import { errorOf, ListenError, listenNetwork } from './listen.ts'
import { ignoreError } from './peer.ts'
import { SocketTransport } from './socket-transport.ts'
import { tlsSentence } from './tls-sentences.ts'
import type { AcceptTransport, Listener, PeerCertificate } from './transport.ts'

/** Everything in PEM. */
export interface TlsCredentials {
  readonly key: string | Buffer
  /** The certificate, followed by the intermediate ones if there are any. */
  readonly cert: string | Buffer
  /** Those who may sign client certificates; the well-known authorities if absent. */
  readonly ca?: string | Buffer | undefined
  readonly passphrase?: string | undefined
  /** Oldest version that clients may speak; TLS 1.2 if absent. */
  readonly minVersion?: 'TLSv1.2' | 'TLSv1.3' | undefined
}

export interface TlsOptions extends NetworkOptions {
  readonly credentials: TlsCredentials
  /** Asks clients for a certificate. One that does not verify counts as none. */
  readonly requestCert?: boolean | undefined
  /** Refuses clients without a certificate that verifies. */
  readonly requireCert?: boolean | undefined
}

export interface TlsListener extends Listener {
  /**
   * Uses new certificates and authorities for all clients from now on; connected ones stay. Throws a
   * `ListenError` and keeps the old ones if the new ones cannot be used.
   */
  reload(credentials: TlsCredentials): void
}

/** Listens for MQTT clients over TLS 1.2 or newer; throws a `ListenError` if it cannot. */
export async function listenTls(
  options: TlsOptions,
  accept: AcceptTransport,
): Promise<TlsListener> {
  const gate = new Gate(options, 'tls')
  const step = new TlsStep(options, (socket, arrival) => {
    arrival.pass()
    accept(new SocketTransport(socket, arrival.peer()))
  })
  const listener = await listenNetwork(
    options,
    'mqtts',
    '',
    (socket) => gate.enter(socket, (arrival) => step.start(arrival)),
    () => gate.close(),
  )
  return { ...listener, reload: (credentials) => step.reload(credentials) }
}

const ARRIVAL = Symbol('arrival')

interface ArrivedSocket extends Socket {
  [ARRIVAL]?: Arrival
}

/** Turns arrivals into TLS sockets. */
export class TlsStep {
  readonly #server: Server
  readonly #name: string

  constructor(options: TlsOptions, secured: (socket: TLSSocket, arrival: Arrival) => void) {
    this.#name = options.name
    const context = secureContextOf(options.credentials, this.#name)
    const isCertRequired = options.requireCert ?? false
    this.#server = createServer({
      ...context,
      requestCert: isCertRequired || (options.requestCert ?? false),
      rejectUnauthorized: isCertRequired,
    })
    this.#server.on('secureConnection', (socket) => {
      const arrival = arrivalOf(socket)
      arrival.certificate = certificateOf(socket)
      secured(socket, arrival)
    })
    this.#server.on('tlsClientError', (error, socket) => {
      socket.on('error', ignoreError)
      arrivalOf(socket).fail(tlsSentence(error, socket.authorizationError))
    })
  }

  start(arrival: Arrival): void {
    const socket: ArrivedSocket = arrival.socket
    arrival.step = 'TLS handshake'
    socket[ARRIVAL] = arrival
    readAhead(
      socket,
      (bytes) => refuseUnencrypted(arrival, bytes),
      () => this.#server.emit('connection', socket),
    )
    socket.resume()
  }

  reload(credentials: TlsCredentials): void {
    this.#server.setSecureContext(secureContextOf(credentials, this.#name))
  }
}

/** TLS itself could only say "wrong version number". */
function refuseUnencrypted(arrival: Arrival, bytes: Buffer): Look {
  const protocol = recognise(bytes)
  if (protocol === 'mqtt') {
    arrival.refuse('the client sent plain MQTT to a TLS port; switch TLS on in the client')
  } else if (protocol === 'http') {
    const sentence = 'the client sent plain HTTP to a TLS port; use wss:// or https://'
    arrival.refuse(sentence, httpAnswer(400, sentence))
  } else if (protocol === 'proxy') {
    arrival.refuse(PROXY_UNEXPECTED)
  } else {
    return 0
  }
  return 'stop'
}

// Node offers no public way from a TLS socket to the socket it was made of, and only that one's arrival
// knows the address that a PROXY header named.
function arrivalOf(socket: TLSSocket): Arrival {
  const { _parent: parent } = socket as TLSSocket & { _parent?: ArrivedSocket }
  const arrival = parent?.[ARRIVAL]
  if (arrival === undefined) throw new Error('a TLS socket must know the socket it was made of')
  return arrival
}

function certificateOf(socket: TLSSocket): PeerCertificate | undefined {
  if (!socket.authorized) return undefined
  const { subject, fingerprint256 } = socket.getPeerCertificate()
  // Typed as a string, but an array if the subject has several.
  const commonName: string | string[] | undefined = subject.CN
  return {
    commonName: (Array.isArray(commonName) ? commonName[0] : commonName) ?? '',
    fingerprint256,
  }
}

function secureContextOf(credentials: TlsCredentials, name: string): SecureContextOptions {
  checkCredentials(credentials, name)
  return contextOptions(credentials)
}

/** Throws a `ListenError` if the listener `name` could not be opened or reloaded with `credentials`. */
export function checkCredentials(credentials: TlsCredentials, name: string): void {
  try {
    createSecureContext(contextOptions(credentials))
  } catch (error) {
    const why = errorOf(error).message
    throw new ListenError(
      'ERR_CERTIFICATE',
      `Cannot use the certificates of the listener "${name}": ${why}. Check that key, certificate and CA are PEM files which belong together.`,
      error,
    )
  }
}

function contextOptions(credentials: TlsCredentials): SecureContextOptions {
  const { key, cert, ca, passphrase, minVersion = 'TLSv1.2' } = credentials
  return { key, cert, ca, passphrase, minVersion }
}
