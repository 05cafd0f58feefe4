/**
 * The durable sessions the store knows, and what of them waits to be sent: acknowledgements up to a mark,
 * and single messages to remove. They leave 64 at once, or once a second, or with whatever needs them.
 */

import type { Clock } from '../../util/clock.ts'
import type { Seq, SessionRef } from '../storage.ts'
import type { Batch } from './batch.ts'
import { Code } from './codes.ts'
import type { Keys } from './keys.ts'
import { KnownSession } from './known-session.ts'
import type { Lane } from './lane.ts'
import { LazyRequest } from './operations.ts'

/** How many acknowledgements, or removals, of a session wait at most. */
const LAZY_MAX = 64
const LAZY_MS = 1_000

/** Lua passes so many arguments to one call without trouble. */
const SEQS_MAX = 1_000

/** Where operations go. */
export interface Sending {
  laneOf(group: number): Lane
  add(lane: Lane, operation: LazyRequest): void
}

export class KnownSessions {
  readonly #keys: Keys
  readonly #sending: Sending
  readonly #clock: Clock
  readonly #sessions = new Map<string, KnownSession>()
  #lazy: KnownSession[] = []
  #cancelTimer: (() => void) | undefined

  constructor(keys: Keys, sending: Sending, clock: Clock) {
    this.#keys = keys
    this.#sending = sending
    this.#clock = clock
  }

  /** The session that `ref` means; a later life of it if there is one. */
  of({ clientIdentifier, incarnation }: SessionRef): KnownSession {
    let known = this.#sessions.get(clientIdentifier)
    if (known === undefined) {
      const group = this.#keys.groupOf(clientIdentifier)
      const queueKey = this.#keys.queue(group, clientIdentifier)
      known = new KnownSession(clientIdentifier, group, queueKey, incarnation)
      this.#sessions.set(clientIdentifier, known)
    } else if (known.incarnation < incarnation) {
      known.begin(incarnation)
    }
    return known
  }

  /** The session in this very life is there no more. */
  forget(ref: Pick<SessionRef, 'clientIdentifier' | 'incarnation'>): void {
    const known = this.#sessions.get(ref.clientIdentifier)
    if (known?.incarnation === ref.incarnation) this.#sessions.delete(ref.clientIdentifier)
  }

  [Symbol.iterator](): Iterator<KnownSession> {
    return this.#sessions.values()
  }

  acknowledgeTo(ref: SessionRef, mark: Seq): void {
    const known = this.of(ref)
    if (known.incarnation !== ref.incarnation || mark <= known.lowWaterMark) return
    known.lowWaterMark = mark
    if (mark - known.sentMark >= LAZY_MAX) this.flush(known)
    else this.#remember(known)
  }

  discard(ref: SessionRef, seqs: readonly Seq[]): void {
    const known = this.of(ref)
    if (known.incarnation !== ref.incarnation) return
    for (const seq of seqs) known.discards.push(seq)
    if (known.discards.length >= LAZY_MAX) this.#sendDiscards(known)
    else this.#remember(known)
  }

  /** Whether Redis may still have messages that were discarded. */
  hasDiscards(known: KnownSession): boolean {
    return known.discards.length > 0 || known.discarding > 0
  }

  /** Sends what waits of the session of a client, if there is one. */
  flushOf(clientIdentifier: string): void {
    const known = this.#sessions.get(clientIdentifier)
    if (known !== undefined) this.flush(known)
  }

  /** Sends what waits of one session. */
  flush(known: KnownSession): void {
    this.#sendDiscards(known)
    this.#sendMark(known)
  }

  /** Sends what waits of all. */
  flushAll(): void {
    this.#cancelTimer?.()
    this.#cancelTimer = undefined
    const lazy = this.#lazy
    this.#lazy = []
    for (const known of lazy) {
      known.isLazy = false
      this.flush(known)
    }
  }

  /** Sends what is to be removed in the lanes that have a turn anyway: it goes with what was written there. */
  flushDiscards(): void {
    for (const known of this.#lazy) {
      if (this.#sending.laneOf(known.group).hasTurn) this.#sendDiscards(known)
    }
  }

  /** Forgets what waits, and wakes no more. */
  close(): void {
    this.#cancelTimer?.()
    this.#cancelTimer = undefined
    this.#lazy = []
  }

  #remember(known: KnownSession): void {
    if (!known.isLazy) this.#lazy.push(known)
    known.isLazy = true
    this.#cancelTimer ??= this.#clock.after(LAZY_MS, () => this.flushAll())
  }

  #sendMark(known: KnownSession): void {
    const { incarnation, lowWaterMark: mark, clientIdentifier, group } = known
    if (mark <= known.sentMark) return
    known.sentMark = mark
    const keys = this.#keys
    const encode = (batch: Batch): void => {
      batch.code(Code.Trim)
      batch.key(known.queueKey)
      batch.key(keys.released(group, clientIdentifier))
      batch.key(keys.session(group, clientIdentifier))
      batch.text(String(incarnation))
      batch.text(String(mark))
      batch.text(`${incarnation}-${mark + 1}`)
    }
    const request = new LazyRequest(encode, (results) => {
      if (results.number() === 0) this.forget({ clientIdentifier, incarnation })
    })
    this.#sending.add(this.#sending.laneOf(group), request)
  }

  #sendDiscards(known: KnownSession): void {
    const { incarnation, clientIdentifier, group } = known
    while (known.discards.length > 0) {
      const seqs = known.discards.splice(0, SEQS_MAX)
      known.discarding++
      const encode = (batch: Batch): void => {
        batch.code(Code.Discard)
        batch.key(known.queueKey)
        batch.key(this.#keys.released(group, clientIdentifier))
        batch.text(String(incarnation))
        batch.list(seqs)
      }
      const settled = (): void => {
        known.discarding--
      }
      // What was discarded may be written elsewhere in the same turn: it stays if that is refused.
      const request = new LazyRequest(encode, settled, { growth: 'companion', lost: settled })
      this.#sending.add(this.#sending.laneOf(group), request)
    }
  }
}
