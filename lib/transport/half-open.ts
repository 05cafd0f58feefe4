/**
 * Connections that have not said who they are yet: in a handshake, or before CONNECT. They are bounded, in all and for
 * each address. When one too many comes the oldest goes: an honest client speaks at once, so the oldest is
 * most likely one that means to stay silent.
 */

import { isOfThisMachine, sourceOf } from '../util/address.ts'

export interface HalfOpenLimits {
  /** In all; 0: any number. */
  readonly max: number
  /** Of one address, an IPv6 address counting as its /64; 0: any number. */
  readonly perAddressMax: number
  /** Whether they hold for this machine too. */
  readonly loopback: boolean
}

/** One of them. */
interface Place {
  readonly source: string
  /** Ends the connection; which limit it gives way to. */
  readonly end: (rule: string) => void
}

/** Nothing is to be done. */
const leaveNothing = (): void => {}

export class HalfOpen {
  readonly #limits: HalfOpenLimits
  /** The oldest first. */
  readonly #places = new Set<Place>()
  readonly #bySource = new Map<string, Set<Place>>()

  constructor(limits: HalfOpenLimits) {
    this.#limits = limits
  }

  get count(): number {
    return this.#places.size
  }

  /**
   * One has come. `end` is called if it has to make room for another, with the rule that says so. Returns what is
   * to be called when it has spoken or is gone.
   */
  enter(address: string, end: (rule: string) => void): () => void {
    const { max, perAddressMax, loopback } = this.#limits
    if (!loopback && isOfThisMachine(address)) return leaveNothing
    const place = { source: sourceOf(address), end }
    this.#add(place)
    const same = this.#bySource.get(place.source)
    if (perAddressMax > 0 && same !== undefined && same.size > perAddressMax) {
      this.#evict(same, 'perAddress.halfOpenMax is reached, and it was the oldest')
    } else if (max > 0 && this.#places.size > max) {
      this.#evict(this.#places, 'limits.halfOpenMax is reached, and it was the oldest')
    }
    return () => this.#remove(place)
  }

  #evict(places: ReadonlySet<Place>, rule: string): void {
    const [oldest] = places
    if (oldest === undefined) return
    this.#remove(oldest)
    oldest.end(rule)
  }

  #add(place: Place): void {
    this.#places.add(place)
    const same = this.#bySource.get(place.source)
    if (same === undefined) this.#bySource.set(place.source, new Set([place]))
    else same.add(place)
  }

  #remove(place: Place): void {
    this.#places.delete(place)
    const same = this.#bySource.get(place.source)
    same?.delete(place)
    if (same?.size === 0) this.#bySource.delete(place.source)
  }
}
