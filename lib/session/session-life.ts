/**
 * One session while it lives: the connection it is on, or the timers that will end it and publish its
 * will, and what the store knows of both.
 */

import { SESSION_NEVER_EXPIRES } from '../protocol/limits.ts'
import type { Publication } from '../router/publication.ts'
import {
  type Left,
  type ReleaseOptions,
  type SessionRef,
  type StoredSession,
  StoreError,
} from '../storage/storage.ts'
import type { Timer, Timers } from '../util/timers.ts'
import type { RetainedAccounts } from './holder.ts'
import type { Outlet } from './outlet.ts'
import type { Session } from './session.ts'
import type { SessionParts } from './session-parts.ts'
import { type Will, willMessage } from './will.ts'

export interface LifeParts extends SessionParts {
  readonly timers: Timers
  /** How long clients that were connected may take to come back after a restart, see `restore`. */
  readonly willRestartGraceSeconds: number
  /** Undefined if nobody is limited in retained messages. */
  readonly retainedAccounts: RetainedAccounts | undefined
}

const NEVER = Number.POSITIVE_INFINITY

/** How long until a store without room is offered a will again. */
const WILL_RETRY_MS = 1_000

/** How long until a store that did not take a session back is given it again. */
const GIVE_BACK_RETRY_MS = 500

/** How a session is given up that ends, with all it has. */
export const ENDED: ReleaseOptions = { expiresAt: 0, willAt: undefined, sentTo: undefined }

export class SessionLife {
  readonly session: Session
  /** Its name in the store: that of a durable session, or of a volatile one whose will is kept there. */
  ref: SessionRef | undefined
  outlet: Outlet | undefined
  readonly #parts: LifeParts
  /** Called when the time of the session is up. */
  readonly #timeIsUp: (life: SessionLife) => void
  #expiry: Timer | undefined
  #willDelay: Timer | undefined

  constructor(
    parts: LifeParts,
    session: Session,
    ref: SessionRef | undefined,
    timeIsUp: (life: SessionLife) => void,
  ) {
    this.#parts = parts
    this.session = session
    this.ref = ref
    this.#timeIsUp = timeIsUp
  }

  /** Whether its time is up, and only the timer has not been called yet. */
  get isOver(): boolean {
    return this.left.expiresAt <= this.#parts.clock.now()
  }

  /** What is to become of it, should nobody resume it. */
  get left(): Left {
    return { expiresAt: this.#expiry?.deadline ?? NEVER, willAt: this.#willDelay?.deadline }
  }

  /** The store has given the session to a new connection. */
  renewClaim(ref: SessionRef): void {
    this.ref = ref
    this.session.renewClaim(ref)
  }

  /** Starts to wait for what is to become of a session that has no connection. */
  waitFor({ expiresAt, willAt }: Left): void {
    const { clock, timers } = this.#parts
    const wait = (until: number, act: () => void): Timer =>
      timers.after(Math.max(0, until - clock.now()), act)
    if (willAt !== undefined) this.#willDelay = wait(willAt, () => this.#endWill())
    if (expiresAt !== NEVER) this.#expiry = wait(expiresAt, () => this.#timeIsUp(this))
  }

  /** Stops waiting. */
  stopWaiting(): void {
    this.#expiry?.cancel() // [MQTT-4.1.0-1]
    this.#expiry = undefined
    this.#willDelay?.cancel() // [MQTT-3.1.3-9]
    this.#willDelay = undefined
  }

  /**
   * The broker has been started anew, and all sessions are here again. What counted down goes on counting. Where the client was connected,
   * expiry begins now, and the will waits for its delay or, if that is longer, for the grace.
   */
  restore({ left: before, sentTo }: Pick<StoredSession, 'left' | 'sentTo'>): void {
    const left = before === undefined ? this.#leftAtRestart() : this.#withWill(before)
    if (before === undefined) this.release({ ...left, sentTo })
    this.waitFor(left)
  }

  /** A will that was due, and that the store did not get rid of, is due still. */
  #withWill({ expiresAt, willAt }: Left): Left {
    const isDue = this.session.will !== undefined && willAt === undefined
    return { expiresAt, willAt: isDue ? this.#parts.clock.now() : willAt }
  }

  #leftAtRestart(): Left {
    const { will } = this.session
    const { clock, willRestartGraceSeconds } = this.#parts
    const now = clock.now()
    if (will === undefined) return { expiresAt: this.#expiryFrom(now), willAt: undefined }
    const graceAt = now + willRestartGraceSeconds * 1000
    return {
      expiresAt: Math.max(this.#expiryFrom(now), graceAt),
      willAt: Math.max(now + this.#willDelaySeconds * 1000, graceAt),
    }
  }

  /** Its connection is gone, and it goes on: the will goes out or waits, the expiry begins. */
  leave(): void {
    const now = this.#parts.clock.now()
    const delaySeconds = this.#willDelaySeconds
    if (delaySeconds === 0) this.publishWill()
    const willAt = delaySeconds === 0 ? undefined : now + delaySeconds * 1000
    const left = { expiresAt: this.#expiryFrom(now), willAt } // [MQTT-3.1.2-23]
    this.release({ ...left, sentTo: this.session.sentTo })
    this.waitFor(left)
  }

  /** The broker is stopping: at the next start the session is one whose client was connected. */
  keepConnected(): void {
    const { durable, sentTo } = this.session
    if (durable !== undefined) void this.#parts.store.update(durable, { sentTo }).catch(() => {})
  }

  /** How long the will waits: no longer than the session. */
  get #willDelaySeconds(): number {
    const { will, expirySeconds } = this.session
    return Math.min(will?.delaySeconds ?? 0, expirySeconds)
  }

  #expiryFrom(now: number): number {
    const { expirySeconds } = this.session
    return expirySeconds === SESSION_NEVER_EXPIRES ? NEVER : now + expirySeconds * 1000
  }

  #endWill(): void {
    // Of a volatile session that its broker did not survive, the will is all there is.
    if (this.session.durable === undefined) this.#timeIsUp(this)
    else this.publishWill()
  }

  publishWill(): void {
    const { will } = this.session
    if (will === undefined) return
    this.session.will = undefined // [MQTT-3.1.2-10]
    const { timers } = this.#parts
    const publication = will.retain ? this.#routeRetained(will) : this.#route(will)
    publication?.tell({
      published() {},
      publicationFailed: (_, { code }) => {
        if (code !== 'full') return
        // Nobody else will say it: until there is room it is due.
        timers.after(WILL_RETRY_MS, () => this.#publishAgain(will))
      },
    })
  }

  #route(will: Will): Publication | undefined {
    const { clock, router } = this.#parts
    return router.route(willMessage(will, clock.now()), this.session, { willOf: this.ref })
  }

  /** Counts for who left it. Where there is no room for one more, it is delivered and not retained. */
  #routeRetained(will: Will): Publication | undefined {
    const { clock, retained, retainedAccounts, counters } = this.#parts
    const { holder } = this.session
    const message = willMessage(will, clock.now())
    if (retainedAccounts?.mayRetain(holder, message) === false) {
      counters.limitsReached.retained++
      return this.#route({ ...will, retain: false })
    }
    const { version } = retained
    const publication = this.#route(will)
    retainedAccounts?.noteOf(holder, message, version)
    return publication
  }

  #publishAgain(will: Will): void {
    this.session.will ??= will
    this.publishWill()
  }

  forgetWill(): void {
    const { will, durable } = this.session
    if (will === undefined) return
    this.session.will = undefined
    if (durable !== undefined)
      void this.#parts.store.update(durable, { will: null }).catch(() => {})
  }

  release(options: ReleaseOptions): void {
    // A store that fails here keeps the session as connected, and finds it again at the next start.
    if (this.ref !== undefined) void this.#parts.store.release(this.ref, options).catch(() => {})
  }

  /** Gives the session to a store that has lost all it had; again until the store has it. */
  async giveBack(): Promise<void> {
    for (;;) {
      try {
        await this.#giveBackOnce()
        return
      } catch (error) {
        if (error instanceof StoreError && error.code === 'closed') throw error
        await new Promise<void>((resolve) => this.#parts.timers.after(GIVE_BACK_RETRY_MS, resolve))
      }
    }
  }

  async #giveBackOnce(): Promise<void> {
    const { ref: former, session, outlet } = this
    const { store } = this.#parts
    if (former === undefined) return
    const left = outlet === undefined ? this.left : undefined
    const { stored, entries } = session.giveBack(former, left)
    const ref = await store.adopt(stored)
    this.ref = ref
    if (session.durable === undefined) return
    this.renewClaim(ref)
    if (entries.length > 0) await store.adoptQueue(ref, entries)
  }
}

/** What a client is told that waited too long for the store. */
export function notInTime(): StoreError {
  return new StoreError('unavailable', 'it did not answer within store.timeoutMs')
}
