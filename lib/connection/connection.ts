/**
 * One network connection: bytes in, packets dispatched by state, packets out.
 *
 * Everything here is synchronous. A handler that has to wait (hooks, store) returns a promise: nothing
 * more of the connection is worked on until it settles, so that packets keep their order and what waits is
 * bounded by two chunks. Handlers throw `ProtocolError`; it is caught here, once.
 */

import type { Buffer } from 'node:buffer'
import { Decoder } from '../codec/decoder.ts'
import { checkPacket } from '../codec/packet-check.ts'
import { decodePacket } from '../codec/packet-decoder.ts'
import { ProtocolError } from '../protocol/errors.ts'
import { type Connect, type Disconnect, PacketType } from '../protocol/packets.ts'
import { ReasonCode } from '../protocol/reason-codes.ts'
import type { ClientInfo } from '../security/access.ts'
import type { Session } from '../session/session.ts'
import type { Transport, TransportEvents } from '../transport/transport.ts'
import { AccountGroup } from './account-group.ts'
import { takeSilent } from './admission.ts'
import { type Authentication, handleAuth } from './auth.ts'
import { refuseFailed } from './connack.ts'
import { handleConnect } from './connect.ts'
import type { ConnectionContext, ConnectionEnd } from './context.ts'
import { handleDisconnect } from './disconnect.ts'
import { DEFECT, failureBy } from './failure.ts'
import { Expiry } from './grant.ts'
import { KeepAlive } from './keep-alive.ts'
import { reportEnd, reportProtocolError } from './log.ts'
import type { Meter } from './meter.ts'
import type { Negotiated } from './negotiated.ts'
import { ConnectionOutlet } from './outlet.ts'
import { Inlet, Pause } from './pause.ts'
import { Probation } from './probation.ts'
import { handlePublish, InboundFlow } from './publish.ts'
import { handleAcknowledgement } from './publish-ack.ts'
import { inboundMeter } from './rates.ts'
import { Stall } from './stall.ts'
import { handleSubscribe } from './subscribe.ts'
import { handleUnsubscribe } from './unsubscribe.ts'

/** One connection is worked for so long at a stretch, looked at every so many packets. */
const SLICE_MS = 10
const SLICE_CHECK_PACKETS = 16

/** `authenticating` is a `connecting` in which the client has to send AUTH. */
export type ConnectionState =
  | 'awaiting connect'
  | 'connecting'
  | 'authenticating'
  | 'connected'
  | 'closed'

export class Connection implements TransportEvents {
  readonly context: ConnectionContext
  readonly transport: Transport
  readonly decoder: Decoder
  /** Where PUBLISH and all other packets leave. */
  readonly outlet: ConnectionOutlet
  /** Those it counts for, of whom something is limited. */
  readonly accounts: AccountGroup = new AccountGroup()
  state: ConnectionState = 'awaiting connect'
  /** Set from CONNECT on. */
  client: ClientInfo | undefined
  negotiated: Negotiated | undefined
  /** Set while `connected`. */
  session: Session | undefined
  /** The enhanced authentication under way, or that has been. */
  authentication: Authentication | undefined
  /** When bytes last arrived, in ms. */
  receivedAt: number
  /** When CONNACK was sent, in ms. */
  connectedAt = 0
  /** Set by DISCONNECT: what it says decides about the will. */
  clientEnd: ConnectionEnd | undefined
  /** Heard when the transport is closed. */
  #closed: (() => void)[] | undefined
  /** The transport is closed; what came before that may still be worked on. */
  isGone = false
  readonly #inlet: Inlet
  #heldBytes = 0
  /** Until it is let in, or gone. */
  probation: Probation | undefined
  /** Undefined while nothing limits how much it may send. */
  #meter: Meter | undefined
  #inboundFlow: InboundFlow | undefined
  readonly #keepAlive: KeepAlive
  readonly #stall: Stall
  /** Ends it when what let the client in is not valid any more. */
  readonly expiry: Expiry

  constructor(context: ConnectionContext, transport: Transport) {
    this.context = context
    this.transport = transport
    this.#inlet = new Inlet(transport)
    this.decoder = new Decoder(context.limits.maximumPacketSizeBytes)
    this.outlet = new ConnectionOutlet(this)
    this.receivedAt = context.clock.now()
    this.#keepAlive = new KeepAlive(this)
    this.#stall = new Stall(this)
    this.expiry = new Expiry(this)
    const { accounts } = context.protection
    this.accounts.add(accounts.ofAddress(transport.peer.address))
    this.accounts.add(accounts.ofListener(transport.peer.listener, context.limits))
    this.probation = new Probation(this)
    context.connections.add(this)
    context.counters.socketsOpened++
    transport.events = this
  }

  /** The client's messages; made with the first, as many clients only listen. */
  get inboundFlow(): InboundFlow {
    this.#inboundFlow ??= new InboundFlow(this)
    return this.#inboundFlow
  }

  received(chunk: Buffer): void {
    if (this.state === 'closed') return
    this.context.counters.bytesReceived += chunk.length
    this.context.outside.note(chunk.length)
    this.receivedAt = this.context.clock.now()
    this.decoder.push(chunk)
    if (!this.isPaused) return this.#work()
    this.#inlet.stop()
    this.#noteHeld()
  }

  /** Counts what waits to be worked on in the memory budget: packets, and one that has not come whole. */
  #noteHeld(): void {
    const bytes = this.state === 'closed' ? 0 : this.decoder.heldBytes
    if (bytes === this.#heldBytes) return
    this.context.budget.hold(bytes - this.#heldBytes)
    this.#heldBytes = bytes
  }

  drained(): void {
    this.unpause(Pause.Output)
    this.outlet.noteDrained()
    this.session?.pump()
  }

  closed(error: string | undefined): void {
    this.isGone = true
    const isUnread = this.state !== 'closed' && this.isPaused && error === undefined
    if (!isUnread) return this.#noteClosed(error)
    // It said all and left, and not all of that has been worked on: its DISCONNECT may be there [MQTT-3.14.4-3].
    if (this.state === 'connected') this.outlet.close()
    this.unpause(Pause.Output)
  }

  #noteClosed(error: string | undefined): void {
    try {
      this.#finish({
        reasonCode: ReasonCode.UnspecifiedError,
        rule: error ?? 'the client closed the connection without DISCONNECT',
        by: 'network',
      })
    } finally {
      this.#tellClosed()
    }
  }

  /** Calls back when the transport is closed, at once if it is. */
  onceClosed(callback: () => void): void {
    if (this.state === 'closed' && this.isGone) callback()
    else this.#closed = [...(this.#closed ?? []), callback]
  }

  #tellClosed(): void {
    for (const callback of this.#closed ?? []) callback()
    this.#closed = undefined
  }

  get isPaused(): boolean {
    return this.#inlet.isPaused
  }

  /** Whether something limits how much it may send. */
  get isMetered(): boolean {
    return this.#meter !== undefined
  }

  /** Works on nothing more for a reason, until `unpause` with the same. */
  pause(reason: Pause): void {
    this.#inlet.pause(reason)
    if (reason === Pause.Output) this.#stall.start()
  }

  unpause(reason: Pause): void {
    const isLast = this.#inlet.unpause(reason)
    if (reason === Pause.Output) this.#stall.stop()
    if (!isLast || this.state === 'closed') return
    this.receivedAt = this.context.clock.now() // While paused the keep-alive clock stands.
    this.#work()
    // Not before: a client that has said all closes, and what it said would be lost.
    if (this.isPaused) return
    if (this.isGone) this.#noteClosed(undefined)
    else this.#inlet.start()
  }

  /** Handles every whole packet there is, until one has to be waited for. */
  #work(): void {
    try {
      const { clock } = this.context
      const sliceEnd = this.receivedAt + SLICE_MS
      let packets = 0
      while (!this.isPaused && this.state !== 'closed') {
        const type = this.decoder.next()
        if (type === 0) return
        if (packets >= SLICE_CHECK_PACKETS) {
          packets = 0
          if (clock.now() > sliceEnd) this.#yieldTurn()
        }
        const waiting = this.#dispatch(type)
        if (waiting !== undefined) this.#waitFor(waiting)
        packets += this.decoder.packets
      }
    } catch (error) {
      this.fail(error)
    } finally {
      this.#noteHeld()
    }
  }

  /** Lets the others have their turn: a chunk may hold hundreds of thousands of packets. */
  #yieldTurn(): void {
    this.pause(Pause.Turn)
    setImmediate(() => this.unpause(Pause.Turn))
  }

  #waitFor(waiting: Promise<void>): void {
    this.pause(Pause.Handler)
    waiting
      .catch((error: unknown) => this.fail(error))
      .then(() => this.unpause(Pause.Handler))
      .catch((error: unknown) => this.fail(error))
  }

  #dispatch(type: number): Promise<void> | undefined {
    this.context.counters.packetsReceived[type]!++
    if (this.#meter !== undefined) {
      const { start, end } = this.decoder
      this.#meter.take(type === PacketType.Publish ? 1 : 0, end - start)
      if (this.state === 'closed') return undefined
    }
    if (this.state === 'connected') return this.#dispatchConnected(type)
    return this.#dispatchConnecting(type)
  }

  #dispatchConnected(type: number): Promise<void> | undefined {
    const { bytes, start, bodyStart, end } = this.decoder
    const version = this.negotiated?.version
    switch (type) {
      case PacketType.Publish:
        return handlePublish(this)
      case PacketType.Puback:
      case PacketType.Pubrec:
      case PacketType.Pubrel:
      case PacketType.Pubcomp:
        return handleAcknowledgement(this, type)
    }
    checkPacket(bytes, start, bodyStart, end, version)
    const packet = decodePacket(bytes, start, end, version)
    switch (packet.type) {
      case 'subscribe':
        return handleSubscribe(this, packet)
      case 'unsubscribe':
        return handleUnsubscribe(this, packet)
      case 'auth':
        return handleAuth(this, packet)
      case 'disconnect':
        handleDisconnect(this, packet)
        return undefined
      case 'pingreq':
        this.outlet.sendPingresp() // [MQTT-3.12.4-1]
        return undefined
      case 'connect': // [MQTT-3.1.0-2]
      case 'puback':
      case 'pubrec':
      case 'pubrel':
      case 'pubcomp':
        throw new ProtocolError(ReasonCode.ProtocolError, `unexpected ${packet.type}`)
    }
  }

  #dispatchConnecting(type: number): Promise<void> | undefined {
    const { bytes, start, bodyStart, end } = this.decoder
    if (this.state === 'awaiting connect') {
      if (type !== PacketType.Connect) {
        throw new ProtocolError(ReasonCode.ProtocolError, 'the first packet is not CONNECT') // [MQTT-3.1.0-1]
      }
      this.state = 'connecting'
      this.probation?.keepPlace()
      checkPacket(bytes, start, bodyStart, end, undefined) // [MQTT-3.1.4-1]
      return handleConnect(this, decodePacket(bytes, start, end, undefined) as Connect)
    }
    if (type !== PacketType.Auth && type !== PacketType.Disconnect) {
      throw new ProtocolError(
        ReasonCode.ProtocolError,
        'neither AUTH nor DISCONNECT before CONNACK',
      ) // [MQTT-3.1.2-30]
    }
    checkPacket(bytes, start, bodyStart, end, this.negotiated?.version)
    const packet = decodePacket(bytes, start, end, this.negotiated?.version)
    this.probation?.keepPlace()
    if (packet.type === 'auth') return handleAuth(this, packet)
    handleDisconnect(this, packet as Disconnect)
    return undefined
  }

  /** CONNACK is sent: from now on the client is heard; it is sent messages when its outlet is opened. */
  establish(session: Session): void {
    this.state = 'connected' // [MQTT-3.2.0-2]
    this.session = session
    this.connectedAt = this.context.clock.now()
    this.#endProbation()
    this.#keepAlive.start()
    this.expiry.restart()
    this.#meter = inboundMeter(this)
  }

  #endProbation(): void {
    this.probation?.end()
    this.probation = undefined
  }

  /** Something was thrown while a packet of this connection was handled. */
  fail(error: unknown): void {
    if (this.state === 'closed') return
    if (error instanceof ProtocolError) reportProtocolError(this, error)
    const failure = failureBy(error)
    if (failure === undefined) {
      const what = 'a defect of the broker or its host ended a connection'
      this.context.log.error({ err: error, ...this.client }, what)
    }
    const { reasonCode, rule } = failure ?? DEFECT
    this.#endFailed(reasonCode, rule)
  }

  #endFailed(reasonCode: number, rule: string): void {
    if (this.state === 'connecting' || this.state === 'authenticating') {
      refuseFailed(this, reasonCode, rule)
    }
    // DISCONNECT does not know "server unavailable".
    const isUnsayable = reasonCode === ReasonCode.ServerUnavailable && this.state === 'connected'
    this.end(isUnsayable ? ReasonCode.ServerBusy : reasonCode, rule)
  }

  /** Ends the connection from our side; an MQTT 5.0 client is told why. */
  end(reasonCode: number, rule: string): void {
    if (this.state === 'closed') return
    if (this.state === 'connected') this.outlet.sendDisconnect(reasonCode, rule) // [MQTT-3.14.0-1]
    this.#closeWith({ reasonCode, rule, by: 'broker' }) // [MQTT-3.14.4-2] [MQTT-4.13.2-1]
  }

  /** The client said DISCONNECT. */
  endByClient(end: ConnectionEnd): void {
    this.clientEnd = end
    this.#closeWith(end)
  }

  /** A CONNACK that refuses has been sent. */
  endRefused(reasonCode: number, rule: string, hint?: string): void {
    this.#closeWith({ reasonCode, rule, by: 'broker', ...(hint !== undefined && { hint }) }) // [MQTT-3.2.2-7] [MQTT-3.1.4-6]
  }

  /** Whatever goes wrong in whoever hears of the end, the transport is closed. */
  #closeWith(end: ConnectionEnd): void {
    try {
      this.#finish(end)
    } finally {
      if (this.isGone) this.#tellClosed()
      else this.transport.close()
    }
  }

  #finish(end: ConnectionEnd): void {
    if (this.state === 'closed') return
    const { state } = this
    // To say nothing is not cheaper than to say CONNECT.
    if (state === 'awaiting connect') takeSilent(this)
    this.state = 'closed'
    this.#endProbation()
    this.#keepAlive.stop()
    this.expiry.stop()
    this.#stall.stop()
    this.#meter?.stop()
    this.accounts.leave()
    this.outlet.close()
    this.#noteHeld()
    this.context.connections.delete(this)
    if (state === 'connected' && this.session !== undefined) {
      const isNormal = this.clientEnd?.reasonCode === ReasonCode.Success
      this.context.registry.close(this.session, this.outlet, isNormal ? 'normal' : 'with will')
    }
    reportEnd(this, end, state)
    if (state === 'connected') this.context.observers.disconnected(this, end)
  }
}
