/**
 * The names of everything in Redis. All that belongs together has the group as its hash tag, so that a
 * script of one group touches one slot of a Redis Cluster. The layout is the same without a Cluster.
 *
 *     PREFIX meta             hash    id of the store, layout, number of groups, counters
 *     PREFIX node             string  who has the store, with a time to live
 *     PREFIX {g}:lane         hash    e: epoch of the owner, n: last batch applied, r: what it resulted in
 *     PREFIX {g}:sessions     zset    Client Identifier -> when the session ends
 *     PREFIX {g}:retained     hash    Topic Name -> frame
 *     PREFIX {g}:m:ID         hash    a session and its subscriptions
 *     PREFIX {g}:q:ID         stream  its queue; entry INCARNATION-SEQ, field m: frame
 *     PREFIX {g}:r:ID         zset    seqs for which PUBREC came
 *     PREFIX {g}:i:ID         hash    Packet Identifiers of inbound QoS 2 messages; n: how many there were
 *     PREFIX {g}:d:ID         hash    token -> seq of what must not be queued twice
 */

/** Kept in `meta`: another layout is not for us to touch. */
export const LAYOUT = 1

/** How many groups a new store is divided into; stands in `meta` and never changes. */
export const GROUPS = 64

export class Keys {
  readonly prefix: string
  readonly groups: number
  readonly #groupPrefixes: readonly string[]

  constructor(prefix: string, groups: number = GROUPS) {
    this.prefix = prefix
    this.groups = groups
    this.#groupPrefixes = Array.from({ length: groups }, (_, group) => `${prefix}{${group}}:`)
  }

  get meta(): string {
    return `${this.prefix}meta`
  }

  get node(): string {
    return `${this.prefix}node`
  }

  /** Which group a Client Identifier or Topic Name belongs to: FNV-1a over its UTF-16 code units. */
  groupOf(name: string): number {
    let hash = 0x811c9dc5
    for (let i = 0; i < name.length; i++) {
      hash = Math.imul(hash ^ name.charCodeAt(i), 0x01000193)
    }
    return (hash >>> 0) % this.groups
  }

  lane(group: number): string {
    return `${this.#groupPrefixes[group]}lane`
  }

  sessions(group: number): string {
    return `${this.#groupPrefixes[group]}sessions`
  }

  retained(group: number): string {
    return `${this.#groupPrefixes[group]}retained`
  }

  session(group: number, clientIdentifier: string): string {
    return `${this.#groupPrefixes[group]}m:${clientIdentifier}`
  }

  queue(group: number, clientIdentifier: string): string {
    return `${this.#groupPrefixes[group]}q:${clientIdentifier}`
  }

  released(group: number, clientIdentifier: string): string {
    return `${this.#groupPrefixes[group]}r:${clientIdentifier}`
  }

  inbound(group: number, clientIdentifier: string): string {
    return `${this.#groupPrefixes[group]}i:${clientIdentifier}`
  }

  tokens(group: number, clientIdentifier: string): string {
    return `${this.#groupPrefixes[group]}d:${clientIdentifier}`
  }
}
