/**
 * Plain numbers that every room may increment and `monitor/` reads. Nobody decides anything by them.
 */
export type LimitName =
  | 'bans'
  | 'connectionRate'
  | 'connections'
  | 'halfOpen'
  | 'overload'
  | 'rateIn'
  | 'rateOut'
  | 'retained'
  | 'subscriptions'

/** Why a message was not delivered to a client. */
export type DropReason =
  | 'queue full'
  | 'memory budget'
  | 'expired'
  | 'too large'
  | 'socket blocked'
  | 'rate limit'
  | 'no member left'

/** What may be asked and refused. */
export type RefusedPacket = 'connect' | 'publish' | 'subscribe'

export class Counters {
  bytesReceived = 0
  bytesSent = 0
  /** Packets by their four-bit type (section 2.1.2). */
  readonly packetsReceived: Float64Array = new Float64Array(16)
  readonly packetsSent: Float64Array = new Float64Array(16)
  publishBytesReceived = 0
  publishBytesSent = 0
  /** Messages not delivered to somebody, and why; docs/limits.md says which limit is behind it. */
  readonly dropped: Record<DropReason, number> = {
    'queue full': 0,
    'memory budget': 0,
    expired: 0,
    'too large': 0,
    'socket blocked': 0,
    'rate limit': 0,
    'no member left': 0,
  }
  publishExpired = 0
  /** QoS 2 messages of a shared subscription that died with their session [MQTT-4.8.2-5]. */
  sharedLost = 0
  /** Messages that waited in a store which came back without them; each counts for everybody it waited for. */
  storeLost = 0
  /** Connections accepted, and CONNECT packets that led to a session. */
  socketsOpened = 0
  connectionsOpened = 0
  clientsExpired = 0
  clientsMaximum = 0
  /** How often somebody was refused, slowed or ended by a limit; docs/limits.md says which is which. */
  readonly limitsReached: Record<LimitName, number> = {
    bans: 0,
    connectionRate: 0,
    connections: 0,
    halfOpen: 0,
    overload: 0,
    rateIn: 0,
    rateOut: 0,
    retained: 0,
    subscriptions: 0,
  }
  /**
   * What was refused, by the reason code that says why: a CONNECT; a message or will; a Topic Filter, at once or when
   * other rules came to hold.
   */
  readonly refused: Readonly<Record<RefusedPacket, Float64Array>> = {
    connect: new Float64Array(256),
    publish: new Float64Array(256),
    subscribe: new Float64Array(256),
  }
  /** Connections of clients that the broker has ended, by the reason code of its DISCONNECT. */
  readonly disconnected: Float64Array = new Float64Array(256)
  /** Connections refused or closed for what the peer did wrong. */
  protocolErrors = 0

  get publishDropped(): number {
    let count = 0
    for (const why in this.dropped) count += this.dropped[why as DropReason]
    return count
  }
}
