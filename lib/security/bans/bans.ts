/**
 * Who may not connect for a while: what `bans.file` says, which people change (`noctule ban`), and what the
 * broker adds to it itself: addresses that try passwords, clients that come and go without end.
 *
 * A wrong password counts for the pair of user and address, and for the address. Never for the user alone: else
 * anybody could lock anybody out.
 */

import { createHash } from 'node:crypto'
import { isIP } from 'node:net'
import type { BansConfiguration } from '../../config/options.ts'
import { ConfigurationError, wrongFile } from '../../config/problems.ts'
import { isOfThisMachine, parseAddressRange, sourceOf } from '../../util/address.ts'
import type { Clock } from '../../util/clock.ts'
import type { Logger } from '../../util/logger.ts'
import type { Timer, Timers } from '../../util/timers.ts'
import { changeWholeFile } from '../../util/whole-file.ts'
import type { ClientInfo } from '../access.ts'
import { FileProblem } from '../file-problem.ts'
import { LiveFile } from '../live-file.ts'
import { type Ban, parseBanFile, subjectOf, withBans, withoutBans } from './ban-file.ts'
import { BanList } from './ban-list.ts'
import { Offences } from './offences.ts'

/** Bans of the broker's own are written to the file together, once in so long. */
export const WRITE_DELAY_MS = 5_000

/** Longer names of users and clients are not banned by name: so many of them would fill memory. */
export const NAME_LENGTH_MAX = 1_024

/** Longer ones are counted by their digest. */
const NAME_LENGTH_COUNTED_MAX = 64

const HEADER = '# Who may not connect: noctule ban, or the broker itself. See docs/security.md.\n'

export interface BansParts {
  readonly clock: Clock
  readonly timers: Timers
  readonly log: Logger
  /** Whether the broker's own bans are for this machine too. */
  readonly loopback: boolean
}

type Somebody = Pick<ClientInfo, 'clientIdentifier' | 'userName' | 'address'>

export class Bans {
  /** Called when bans that people made are in force: they are for those who are connected too. */
  onChanged: () => void = () => {}
  readonly #options: BansConfiguration
  readonly #parts: BansParts
  readonly #file: LiveFile | undefined
  #list: BanList
  /** Bans of the broker's own that are not in the file yet. */
  readonly #unwritten = new Map<string, Ban>()
  #writing: Timer | undefined
  readonly #logins: Offences
  readonly #loginsOfAddress: Offences
  readonly #connections: Offences

  constructor(options: BansConfiguration, parts: BansParts) {
    const { clock, log } = parts
    const { file: path } = options
    const windowMs = options.windowSeconds * 1000
    this.#options = options
    this.#parts = parts
    this.#list = new BanList(options.entriesMax)
    this.#logins = new Offences(options.failedLoginsMax, windowMs, clock)
    this.#loginsOfAddress = new Offences(options.failedLoginsPerAddressMax, windowMs, clock)
    this.#connections = new Offences(options.flappingMax, windowMs, clock)
    if (path === undefined) return
    const hint = 'noctule ban makes it'
    const use = (text: string): void => this.#use(text)
    this.#file = new LiveFile({ option: 'bans.file', path, hint, use, clock, log })
  }

  /** How many there are. */
  get size(): number {
    return this.#list.size
  }

  /** Rejects with a `ConfigurationError` if the file cannot be used. */
  async open(): Promise<void> {
    const { file: path } = this.#options
    if (path === undefined) return
    try {
      changeWholeFile(path, (text) => (text === '' ? HEADER : text))
    } catch (error) {
      const found = (error as Error).message
      throw new ConfigurationError([wrongFile(`bans.file ${path}`, 'a file', found)])
    }
    await this.#file?.open()
  }

  async reload(): Promise<void> {
    await this.#file?.check()
  }

  close(): void {
    this.#writing?.cancel()
    this.#write()
    this.#writing?.cancel()
    this.#file?.close()
  }

  /** The ban of an address, before anything is known of who comes from there. */
  ofAddress(address: string): Ban | undefined {
    return this.#list.ofAddress(address, this.#parts.clock.now())
  }

  of(client: Somebody): Ban | undefined {
    return this.#list.of(client, this.#parts.clock.now())
  }

  /** The ban that people made of a client that is connected. */
  ofConnected(client: Somebody): Ban | undefined {
    const ban = this.of(client)
    return ban?.isAutomatic === true ? undefined : ban
  }

  /** Somebody had a wrong password. */
  noteFailedLogin(client: Somebody): void {
    const source = this.#sourceOf(client)
    if (source === undefined) return
    const { userName: user } = client
    const { failedLoginsMax, failedLoginsPerAddressMax } = this.#options
    if (this.#loginsOfAddress.note(source)) {
      this.#ban({ source }, `more than ${failedLoginsPerAddressMax} wrong passwords`)
    }
    if (user === undefined || user.length > NAME_LENGTH_MAX) return
    if (this.#logins.note(pairOf(user, source))) {
      this.#ban({ source, user }, `more than ${failedLoginsMax} wrong passwords`)
    }
  }

  /** Somebody had the right password. */
  noteLogin(client: Somebody): void {
    const source = this.#sourceOf(client)
    if (source !== undefined) this.#logins.forgive(pairOf(client.userName ?? '', source))
  }

  /** A client that may connect does so. It may be banned for it. */
  noteConnection(client: Somebody): void {
    const source = this.#sourceOf(client)
    const { clientIdentifier } = client
    if (source === undefined || clientIdentifier.length > NAME_LENGTH_MAX) return
    if (!this.#connections.note(pairOf(clientIdentifier, source))) return
    const { flappingMax } = this.#options
    this.#ban({ source, client: clientIdentifier }, `more than ${flappingMax} connections`)
  }

  /** Undefined for whom the broker bans nobody. */
  #sourceOf({ address }: Somebody): string | undefined {
    const isExempt = isIP(address) === 0 || (!this.#parts.loopback && isOfThisMachine(address))
    return isExempt ? undefined : sourceOf(address)
  }

  #ban(
    { source, user, client }: { source: string; user?: string; client?: string },
    what: string,
  ): void {
    const { durationSeconds, windowSeconds } = this.#options
    const { clock, log } = this.#parts
    const ban: Ban = {
      address: parseAddressRange(source),
      user,
      client,
      until: clock.now() + durationSeconds * 1000,
      isAutomatic: true,
      reason: `${what} within ${windowSeconds} s`,
    }
    this.#list.expire(clock.now())
    this.#list.add(ban)
    log.warn(
      { user, client, address: source, rule: ban.reason, seconds: durationSeconds },
      'banned: noctule ban remove ends it, the options of bans say when it happens',
    )
    if (this.#file === undefined) return
    this.#unwritten.set(subjectOf(ban), ban)
    this.#writeLater()
  }

  #use(text: string): void {
    const list = this.#listOf(text)
    for (const ban of this.#unwritten.values()) list.add(ban)
    this.#list = list
    this.onChanged()
  }

  /** Throws a `FileProblem`. */
  #listOf(text: string): BanList {
    const list = new BanList(this.#options.entriesMax)
    for (const ban of parseBanFile(text)) list.add(ban)
    list.expire(this.#parts.clock.now())
    return list
  }

  #write(): void {
    this.#writing = undefined
    const { file: path } = this.#options
    if (path === undefined || this.#unwritten.size === 0) return
    const added = [...this.#unwritten.values()]
    const now = this.#parts.clock.now()
    try {
      changeWholeFile(path, (text) => this.#cut(withBans(text, added, now)))
      this.#unwritten.clear()
    } catch (error) {
      const { message } = error as Error
      this.#parts.log.warn({ file: path, rule: message }, 'bans are not in their file yet')
      this.#writeLater()
    }
  }

  #writeLater(): void {
    this.#writing ??= this.#parts.timers.after(WRITE_DELAY_MS, () => this.#write())
  }

  /** What is more than `bans.entriesMax` is not kept in the file either. */
  #cut(text: string): string {
    if (text.split('\n').length <= this.#options.entriesMax) return text
    try {
      const list = this.#listOf(text)
      return withoutBans(text, (ban) => ban.isAutomatic && !list.has(ban))
    } catch (error) {
      if (error instanceof FileProblem) return text
      throw error
    }
  }
}

function pairOf(name: string, source: string): string {
  const isLong = name.length > NAME_LENGTH_COUNTED_MAX
  const counted = isLong ? createHash('sha256').update(name).digest('base64') : name
  return `${source} ${isLong ? '#' : '='}${counted}`
}
