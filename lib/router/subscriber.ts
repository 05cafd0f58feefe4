/** What the router asks of a receiver. Sessions and the host program's own subscriptions implement it. */

import type { Message } from '../protocol/message.ts'
import type { MessageRun } from '../protocol/message-run.ts'
import type { Qos } from '../protocol/packets.ts'
import type { Seq, SessionRef } from '../storage/storage.ts'

/** A shared subscription by its name, `$share/NAME/FILTER`: the group itself may be gone. */
export interface Share {
  readonly share: string
}

export interface Subscriber {
  readonly clientIdentifier: string
  /** Set for a session that the store keeps: messages at QoS 1 and 2 go through the store. */
  readonly durable: SessionRef | undefined
  readonly isOnline: boolean
  /** Messages sent and not acknowledged, for the least-in-flight strategy. */
  readonly inFlightCount: number
  /** The router's, of what this client published last: most publish on one topic. */
  lastReceivers?: unknown

  /**
   * Takes a message at once: any message of a volatile receiver, QoS 0 of a durable one.
   * `message` belongs to this turn: `message.body()` must be called before it is kept.
   */
  deliver(
    message: Message,
    qos: Qos,
    retain: boolean,
    identifiers: readonly number[] | undefined,
    group: Share | undefined,
  ): void

  /**
   * Takes several messages at once, as `deliver` would each; false: it took none, and needs each by itself. Whoever
   * lacks it may change who gets the next message.
   */
  deliverRun?(run: MessageRun, qos: Qos, identifiers: readonly number[] | undefined): boolean

  /** Asks, before a durable delivery is written, whether the queue's bounds and policy allow it. */
  admits(message: Message): boolean

  /** A durable delivery is in the store at `seq`; deliveries of a session come in the order of `seq`. */
  deliverStored(
    seq: Seq,
    message: Message,
    qos: Qos,
    retain: boolean,
    identifiers: readonly number[] | undefined,
    group: Share | undefined,
  ): void

  /**
   * The durable delivery at `seq` goes elsewhere in this turn, and is removed here with that. It does not
   * count as acknowledged before `arrived`, which is returned, is called: the other copy is durable.
   */
  giveAway(seq: Seq): () => void
}
