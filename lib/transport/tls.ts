/**
 * MQTT over TLS, and the TLS step of wss (websocket.ts): certificates that can be exchanged while
 * clients stay, and handshakes that fail with a sentence.
 *
 * The server sockets belong to listen.ts; the `tls.Server` here never listens, it is given sockets whose
 * first bytes were looked at. A client that sends nothing costs no TLS state.
 */

import type { Buffer } from 'node:buffer'
import { constants } from 'node:crypto'
import type { Socket } from 'node:net'
import type { SecureContextOptions, Server, TLSSocket } from 'node:tls'
import { createSecureContext, createServer } from 'node:tls'
import type { CertificateField } from './client-certificate.ts'
import { certificateOf, describeShown, userNameIn } from './client-certificate.ts'
import type { Look } from './first-bytes.ts'
import { httpAnswer, PROXY_UNEXPECTED, readAhead, recognise } from './first-bytes.ts'
import type { Arrival } from './gate.ts'
import { Gate } from './gate.ts'
import type { NetworkOptions } from './listen.ts'
import { errorOf, ListenError, listenNetwork } from './listen.ts'
import { ignoreError } from './peer.ts'
import type { PreSharedKeys, PskOptions } from './pre-shared-keys.ts'
import { pskContext } from './pre-shared-keys.ts'
import { SocketTransport } from './socket-transport.ts'
import { handshakeSentence, REVOKED, verificationSentence } from './tls-sentences.ts'
import type { AcceptTransport, Listener } from './transport.ts'

/** What a listener uses of its own: everything in PEM. */
export interface TlsCredentials {
  /** Absent on a listener that knows pre-shared keys alone, like `cert`. */
  readonly key?: string | Buffer | undefined
  /** The certificate, followed by the intermediate ones if there are any. */
  readonly cert?: string | Buffer | undefined
  /** Those who may sign client certificates; the well-known authorities if absent. */
  readonly ca?: string | Buffer | undefined
  /** Revocation lists, one in each text: of every authority that stands above a client. */
  readonly crl?: readonly string[] | undefined
  readonly passphrase?: string | undefined
  /** Oldest version that clients may speak; TLS 1.2 if absent. */
  readonly minVersion?: 'TLSv1.2' | 'TLSv1.3' | undefined
}

export interface TlsOptions extends NetworkOptions {
  readonly credentials: TlsCredentials
  /** Asks clients for a certificate. One that does not verify counts as none, unless it is revoked. */
  readonly requestCert?: boolean | undefined
  /** Refuses clients without a certificate that verifies. */
  readonly requireCert?: boolean | undefined
  /** The field of a verified certificate that is the user name; those without it are refused. */
  readonly userNameFrom?: CertificateField | undefined
  /** Clients may prove who they are by a pre-shared key. Then no version newer than TLS 1.2 is spoken. */
  readonly preSharedKeys?: PreSharedKeys | undefined
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

/** As long as a timer of Node can be. */
const NEVER_MS = 2 ** 31 - 1

const ARRIVAL = Symbol('arrival')

interface ArrivedSocket extends Socket {
  [ARRIVAL]?: Arrival
}

/** Turns arrivals into TLS sockets. */
export class TlsStep {
  readonly #server: Server
  readonly #options: TlsOptions
  readonly #secured: (socket: TLSSocket, arrival: Arrival) => void

  constructor(options: TlsOptions, secured: (socket: TLSSocket, arrival: Arrival) => void) {
    this.#options = options
    this.#secured = secured
    const isCertRequired = options.requireCert ?? false
    this.#server = createServer({
      ...secureContextOf(options.credentials, options),
      requestCert: isCertRequired || (options.requestCert ?? false),
      rejectUnauthorized: isCertRequired,
      handshakeTimeout: NEVER_MS, // The arrival has its own, for all steps together.
      ...(options.preSharedKeys !== undefined && this.#pskOptions(options.preSharedKeys)),
    })
    this.#server.on('secureConnection', (socket) => this.#receive(socket))
    this.#server.on('tlsClientError', (error, socket) => {
      socket.on('error', ignoreError)
      const arrival = arrivalOf(socket)
      const verification = verificationOf(socket)
      if (verification === undefined) arrival.fail(handshakeSentence(error, arrival.userName))
      else arrival.fail(verificationSentence(verification, arrival.shown))
    })
    if (isCertRequired) this.#rememberShown()
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
    this.#server.setSecureContext(secureContextOf(credentials, this.#options))
  }

  #receive(socket: TLSSocket): void {
    const arrival = arrivalOf(socket)
    const refusal = this.#identify(socket, arrival)
    if (refusal === undefined) this.#secured(socket, arrival)
    else arrival.refuse(refusal)
  }

  /** Tells the arrival who it is; returns why it may not stay. */
  #identify(socket: TLSSocket, arrival: Arrival): string | undefined {
    const verification = verificationOf(socket)
    const shown = verification === undefined ? undefined : describeShown(socket)
    if (verification !== undefined && shown !== undefined) {
      const sentence = verificationSentence(verification, shown)
      // Whoever had it taken away is not let in as somebody else either.
      if (verification === REVOKED) return sentence
      arrival.notice(sentence)
      return undefined
    }
    const certificate = certificateOf(socket)
    arrival.certificate = certificate
    const { userNameFrom } = this.#options
    if (certificate === undefined || userNameFrom === undefined) return undefined
    arrival.userName = userNameIn(certificate, userNameFrom)
    if (arrival.userName !== undefined) return undefined
    return `the client certificate ${describeShown(socket)} has no field ${userNameFrom}, which userNameFromCertificate wants`
  }

  #pskOptions({ hint, keyOf }: PreSharedKeys): PskOptions {
    return {
      ...(hint !== undefined && { pskIdentityHint: hint }),
      pskCallback(socket, identity) {
        // It is proved when the handshake is complete: nobody is told before.
        arrivalOf(socket).userName = identity
        return keyOf(identity)
      },
    }
  }

  // Node destroys a socket whose certificate does not verify before it tells of it, and with it what the
  // log should name. Of a socket in a handshake only this event tells; its lines are not looked at.
  #rememberShown(): void {
    const known = new WeakSet<TLSSocket>()
    this.#server.on('keylog', (_line, socket) => {
      if (known.has(socket)) return
      known.add(socket)
      socket.prependOnceListener('secure', () => {
        arrivalOf(socket).shown = describeShown(socket)
      })
    })
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

/** OpenSSL's code for what is wrong with the client's certificate, or with its lack of one. */
function verificationOf({ authorizationError }: TLSSocket): string | undefined {
  // Typed as an error, but its code.
  const code: unknown = authorizationError
  return typeof code === 'string' ? code : undefined
}

function secureContextOf(
  credentials: TlsCredentials,
  { name, preSharedKeys }: TlsOptions,
): SecureContextOptions {
  checkCredentials(credentials, name)
  const options = contextOptions(credentials)
  return preSharedKeys === undefined ? options : { ...options, ...pskContext(credentials) }
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
  const { key, cert, ca, crl, passphrase, minVersion = 'TLSv1.2' } = credentials
  const secureOptions = constants.SSL_OP_NO_RENEGOTIATION
  return { key, cert, ca, crl: crl && [...crl], passphrase, minVersion, secureOptions }
}
