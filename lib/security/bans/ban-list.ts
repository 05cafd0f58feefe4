/** The bans in force, so arranged that a client is looked up and not searched for. */

import { sourceOf } from '../../util/address.ts'
import type { ClientInfo } from '../access.ts'
import { type Ban, subjectOf } from './ban-file.ts'

type Banned = Pick<ClientInfo, 'clientIdentifier' | 'userName' | 'address'>

export class BanList {
  readonly #entriesMax: number
  /** By whom they are about: two of the same are one. */
  readonly #bans = new Map<string, Ban>()
  /** Those of an address alone: by `sourceOf`, and ranges that are no single source. */
  #bySource = new Map<string, Ban>()
  #ranges = new Set<Ban>()
  /** Those of a user, or else of a client, that may name an address too. */
  #byUser = new Map<string, Set<Ban>>()
  #byClient = new Map<string, Set<Ban>>()

  constructor(entriesMax: number) {
    this.#entriesMax = entriesMax
  }

  get size(): number {
    return this.#bans.size
  }

  has(ban: Ban): boolean {
    return this.#bans.has(subjectOf(ban))
  }

  /** Adds a ban, in the place of one of the same. What is too much goes: of the broker's own the one that ends first. */
  add(ban: Ban): void {
    const known = this.#bans.get(subjectOf(ban))
    if (known !== undefined) this.remove(known)
    else if (this.#bans.size >= this.#entriesMax) this.#makeRoom()
    this.#bans.set(subjectOf(ban), ban)
    const { user, client, address } = ban
    if (user !== undefined) addTo(this.#byUser, user, ban)
    else if (client !== undefined) addTo(this.#byClient, client, ban)
    else if (address?.source !== undefined) this.#bySource.set(address.source, ban)
    else this.#ranges.add(ban)
  }

  remove(ban: Ban): void {
    this.#bans.delete(subjectOf(ban))
    const { user, client, address } = ban
    if (user !== undefined) removeFrom(this.#byUser, user, ban)
    else if (client !== undefined) removeFrom(this.#byClient, client, ban)
    else if (address?.source !== undefined) this.#bySource.delete(address.source)
    else this.#ranges.delete(ban)
  }

  /** Forgets what is over. */
  expire(now: number): void {
    for (const ban of this.#bans.values()) if (ban.until <= now) this.remove(ban)
  }

  /** The ban of an address, whoever comes from there. */
  ofAddress(address: string, now: number): Ban | undefined {
    if (this.#bans.size === 0) return undefined
    const ban = this.#bySource.get(sourceOf(address))
    if (ban !== undefined && ban.until > now) return ban
    for (const range of this.#ranges) {
      if (range.until > now && range.address?.has(address) === true) return range
    }
    return undefined
  }

  /** The ban of a client: by its address, its user, its identifier, or what of them a ban names together. */
  of(client: Banned, now: number): Ban | undefined {
    if (this.#bans.size === 0) return undefined
    const applies = (ban: Ban): boolean => ban.until > now && isMeant(ban, client)
    return (
      this.ofAddress(client.address, now) ??
      find(this.#byUser.get(client.userName ?? ''), applies) ??
      find(this.#byClient.get(client.clientIdentifier), applies)
    )
  }

  #makeRoom(): void {
    let first: Ban | undefined
    for (const ban of this.#bans.values()) {
      if (ban.isAutomatic && ban.until < (first?.until ?? Number.POSITIVE_INFINITY)) first = ban
    }
    if (first !== undefined) this.remove(first)
  }
}

function isMeant({ user, client, address }: Ban, who: Banned): boolean {
  return (
    (user === undefined || user === who.userName) &&
    (client === undefined || client === who.clientIdentifier) &&
    (address === undefined ||
      address.has(who.address) ||
      (address.source !== undefined && address.source === sourceOf(who.address)))
  )
}

function find(bans: ReadonlySet<Ban> | undefined, applies: (ban: Ban) => boolean): Ban | undefined {
  for (const ban of bans ?? []) if (applies(ban)) return ban
  return undefined
}

function addTo(index: Map<string, Set<Ban>>, name: string, ban: Ban): void {
  const same = index.get(name)
  if (same === undefined) index.set(name, new Set([ban]))
  else same.add(ban)
}

function removeFrom(index: Map<string, Set<Ban>>, name: string, ban: Ban): void {
  const same = index.get(name)
  same?.delete(ban)
  if (same?.size === 0) index.delete(name)
}
