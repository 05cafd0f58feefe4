/**
 * Accounts in memory: whoever was asked for, up to `usersMax`, so that connected clients are served while
 * Redis is away. What is being read while it changes is read again.
 */

import { forgetOldest } from '../../util/oldest.ts'
import { type Account, parseAccount } from './account.ts'
import type { AccountsLink } from './link.ts'

/** `null`: there is no such account. */
type Found = Account | null

export interface AccountsParts {
  readonly link: AccountsLink
  readonly usersMax: number
  /** An account cannot be understood, and is as one that is disabled. */
  readonly complain: (userName: string, rule: string) => void
}

/** How many are read again at once after changes may have been missed. */
const PAGE = 100

export class Accounts {
  readonly #parts: AccountsParts
  /** The one that was asked for last stands last. */
  readonly #known = new Map<string, Found>()
  readonly #asked = new Map<string, Promise<Found>>()
  #haveMadeRoom = false

  constructor(parts: AccountsParts) {
    this.#parts = parts
  }

  /** Whether clients may be connected whose accounts are not in memory any more. */
  get haveMadeRoom(): boolean {
    return this.#haveMadeRoom
  }

  /** What is in memory; undefined if Redis has to be asked. */
  peek(userName: string): Found | undefined {
    return this.#known.get(userName)
  }

  /** Rejects with a `StoreError` if it is not in memory and Redis is away. */
  async find(userName: string): Promise<Found> {
    const known = this.#known.get(userName)
    if (known === undefined) return this.#ask(userName)
    this.#keep(userName, known)
    return known
  }

  /**
   * As `find`, for a client that is connected: that its user has no account is kept too. Strangers could fill
   * the memory with names that there are not.
   */
  async findConnected(userName: string): Promise<Found> {
    const found = await this.find(userName)
    if (found === null) this.#keep(userName, found)
    return found
  }

  /**
   * Takes over what has changed of these users; rejects with a `StoreError`, and then nothing has. What is
   * not in memory is read when it is asked for. Returns who may be connected with other credentials.
   */
  async refresh(userNames: ReadonlySet<string>): Promise<ReadonlySet<string>> {
    const changed = await this.#readAgain(userNames)
    return this.#haveMadeRoom ? userNames : changed
  }

  /** As `refresh`, for all in memory, as changes may have been missed. */
  refreshAll(): Promise<ReadonlySet<string>> {
    return this.#readAgain(new Set([...this.#known.keys(), ...this.#asked.keys()]))
  }

  async #readAgain(userNames: ReadonlySet<string>): Promise<ReadonlySet<string>> {
    // What is under way may be older than the change; what is asked for from now on is not.
    for (const name of userNames) this.#asked.delete(name)
    const fresh = await this.#read([...userNames].filter((name) => this.#known.has(name)))
    const changed = [...fresh].filter(([name, now]) => this.#replace(name, now))
    return new Set(changed.map(([name]) => name))
  }

  /** Returns whether a client that is connected as the old one has to go. */
  #replace(userName: string, now: Found): boolean {
    const before = this.#known.get(userName)
    if (before === undefined) return true
    this.#known.set(userName, now)
    return before !== null && !isSameUser(before, now)
  }

  /** Asks once, whoever else asks meanwhile. */
  #ask(userName: string): Promise<Found> {
    const asked = this.#asked.get(userName)
    if (asked !== undefined) return asked
    const isCurrent = () => this.#asked.get(userName) === asking
    const asking = this.#fetch(userName, isCurrent).finally(() => {
      if (isCurrent()) this.#asked.delete(userName)
    })
    this.#asked.set(userName, asking)
    return asking
  }

  /** `isCurrent` says whether it has not changed since. */
  async #fetch(userName: string, isCurrent: () => boolean): Promise<Found> {
    const { link } = this.#parts
    const text = await link.ask((client) => client.hget(link.keys.users, userName))
    const found = text === null ? null : await this.#parse(userName, text)
    if (!isCurrent()) return this.find(userName)
    if (found !== null) this.#keep(userName, found)
    return found
  }

  async #read(userNames: readonly string[]): Promise<Map<string, Found>> {
    const { link } = this.#parts
    const found = new Map<string, Found>()
    for (let at = 0; at < userNames.length; at += PAGE) {
      const names = userNames.slice(at, at + PAGE)
      // oxlint-disable-next-line no-await-in-loop -- A page after the other bounds what is under way.
      const texts = await link.ask((client) => client.hmget(link.keys.users, ...names))
      for (const [i, name] of names.entries()) {
        const text = texts[i] ?? null
        // oxlint-disable-next-line no-await-in-loop -- As above.
        found.set(name, text === null ? null : await this.#parse(name, text))
      }
    }
    return found
  }

  async #parse(userName: string, text: string): Promise<Account> {
    try {
      return await parseAccount(text)
    } catch (error) {
      this.#parts.complain(userName, (error as Error).message)
      return UNREADABLE
    }
  }

  #keep(userName: string, account: Found): void {
    this.#known.delete(userName)
    this.#known.set(userName, account)
    if (forgetOldest(this.#known, this.#parts.usersMax)) this.#haveMadeRoom = true
  }
}

/** Nobody has its password. */
const UNREADABLE: Account = {
  password: { text: '', matches: async () => false },
  roles: [],
  isEnabled: false,
}

function isSameUser(old: Account, now: Found): boolean {
  return now !== null && now.password.text === old.password.text && now.isEnabled === old.isEnabled
}
