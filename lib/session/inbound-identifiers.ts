/**
 * Packet Identifiers of QoS 2 messages that a client has sent and not released yet [MQTT-4.3.3-10]. Most clients never send
 * one, so nothing is made before the first.
 */

import type { Publication } from '../router/publication.ts'

export class InboundIdentifiers {
  #known: Set<number> | undefined
  /** Those whose message is on its way into the store. */
  #pending: Map<number, Publication> | undefined

  constructor(stored: readonly number[] | undefined) {
    this.#known = stored === undefined || stored.length === 0 ? undefined : new Set(stored)
    this.#pending = undefined
  }

  /** Those whose message is where it has to be. */
  get settled(): number[] {
    return [...(this.#known ?? [])].filter((each) => this.pendingOf(each) === undefined)
  }

  has(packetIdentifier: number): boolean {
    return this.#known?.has(packetIdentifier) === true
  }

  add(packetIdentifier: number): void {
    this.#known ??= new Set()
    this.#known.add(packetIdentifier)
  }

  /** Says whether it was known. */
  delete(packetIdentifier: number): boolean {
    return this.#known?.delete(packetIdentifier) === true
  }

  /** The message that was sent with it, while the store is writing that. */
  pendingOf(packetIdentifier: number): Publication | undefined {
    return this.#pending?.get(packetIdentifier)
  }

  setPending(packetIdentifier: number, publication: Publication): void {
    this.#pending ??= new Map()
    this.#pending.set(packetIdentifier, publication)
  }

  settle(packetIdentifier: number): void {
    this.#pending?.delete(packetIdentifier)
  }
}
