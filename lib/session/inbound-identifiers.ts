/**
 * Packet Identifiers of QoS 2 messages that a client has sent and not released yet [MQTT-4.3.3-10]. Most clients never send
 * one, so nothing is made before the first.
 */

import type { Publication } from '../router/publication.ts'
import { PacketIdentifierSet } from './packet-identifier-set.ts'

export class InboundIdentifiers {
  #known: PacketIdentifierSet | undefined
  /** Those whose message is on its way into the store. */
  #pending: Map<number, Publication> | undefined

  constructor(stored: readonly number[] | undefined) {
    this.#known = undefined
    this.#pending = undefined
    for (const packetIdentifier of stored ?? []) this.add(packetIdentifier)
  }

  /** Those whose message is where it has to be. */
  get settled(): number[] {
    return (this.#known?.values() ?? []).filter((each) => this.pendingOf(each) === undefined)
  }

  has(packetIdentifier: number): boolean {
    return this.#known?.has(packetIdentifier) === true
  }

  add(packetIdentifier: number): void {
    this.#known ??= new PacketIdentifierSet()
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
