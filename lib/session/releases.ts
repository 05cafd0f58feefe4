/**
 * PUBRECs of a durable session that the store has to know of before PUBREL leaves: after a crash the
 * message must not be sent again [MQTT-4.3.3-6]. One request to the store for all of a turn.
 */

import { ReasonCode } from '../protocol/reason-codes.ts'
import {
  packetIdentifierOf,
  type Seq,
  type SessionRef,
  type Store,
  type StoreError,
} from '../storage/storage.ts'
import type { Outlet } from './outlet.ts'

export class Releases {
  readonly #store: Store
  /** The connection that the session is on now. */
  readonly #outlet: () => Outlet | undefined
  #seqs: Seq[] = []

  constructor(store: Store, outlet: () => Outlet | undefined) {
    this.#store = store
    this.#outlet = outlet
  }

  /** PUBREC came for `seq`. */
  add(session: SessionRef, seq: Seq): void {
    this.#seqs.push(seq)
    if (this.#seqs.length === 1) queueMicrotask(() => this.#request(session))
  }

  #request(session: SessionRef): void {
    const seqs = this.#seqs
    this.#seqs = []
    const outlet = this.#outlet()
    this.#store.markReleased(session, seqs).then(
      () => {
        // A connection made in the meantime has sent them as it resumed.
        if (this.#outlet() !== outlet) return
        for (const seq of seqs) outlet?.sendPubrel(packetIdentifierOf(seq), ReasonCode.Success)
      },
      ({ message }: StoreError) =>
        outlet?.endFor(ReasonCode.UnspecifiedError, `the store did not take a PUBREC: ${message}`),
    )
  }
}
