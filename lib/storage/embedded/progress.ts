/**
 * What clients have taken, and what is discarded: kept in memory first, removed from the tree a session
 * at a time, with one record that says how far its queue has come. Losing it only delivers again.
 */

import type { Clock } from '../../util/clock.ts'
import type { Seq } from '../storage.ts'
import type { Batch } from './batch.ts'
import type { Committer } from './committer.ts'
import { Kind, keyOf, numberedKey } from './keys.ts'
import { encodeProgress } from './records.ts'
import type { SessionState } from './session-state.ts'
import type { Sweeper } from './sweeper.ts'

/** With so many entries acknowledged or discarded, those of a session are removed. */
const FLUSHED_AT = 64
const FLUSHED_AFTER_MS = 1_000

/** More are not removed number by number: most may be gone, or there may be millions. */
const REMOVED_AT_ONCE_MAX = 256

export class Progress {
  readonly #clock: Clock
  readonly #committer: Committer
  readonly #sweeper: Sweeper
  readonly #unflushed = new Set<SessionState>()
  /** Those of them that have discarded messages. */
  readonly #discarding = new Set<SessionState>()
  #cancelTimer: (() => void) | undefined

  constructor(clock: Clock, committer: Committer, sweeper: Sweeper) {
    this.#clock = clock
    this.#committer = committer
    this.#sweeper = sweeper
  }

  acknowledgeTo(state: SessionState, lowWaterMark: Seq): void {
    if (lowWaterMark <= state.lowWaterMark) return
    state.unflushed += lowWaterMark - state.lowWaterMark
    state.lowWaterMark = lowWaterMark
    state.lastSeq = Math.max(state.lastSeq, lowWaterMark)
    this.#note(state)
  }

  discard(state: SessionState, seqs: readonly Seq[]): void {
    for (const seq of seqs) {
      if (seq <= state.lowWaterMark || seq > state.lastSeq || state.hidden.has(seq)) continue
      state.hidden.add(seq)
      state.discarded.push(seq)
      state.unflushed++
    }
    if (state.discarded.length === 0) return
    this.#discarding.add(state)
    this.#note(state)
  }

  /** Adds to a batch what a session has waiting. */
  flush(state: SessionState, batch: Batch): void {
    this.#unflushed.delete(state)
    this.#discarding.delete(state)
    if (state.unflushed === 0 || state.isGone) return
    state.unflushed = 0
    this.#removeDiscarded(state, batch)
    this.#removeAcknowledged(state, batch)
    batch.putProgress(state)
  }

  /** What was discarded in the turn of a unit goes with it, both or neither. */
  flushDiscarded(batch: Batch): void {
    for (const state of this.#discarding) this.flush(state, batch)
  }

  flushAll(batch: Batch): void {
    for (const state of this.#unflushed) this.flush(state, batch)
  }

  /**
   * Leaves what is acknowledged to the sweeper, which removes as little at a time as it is asked to. This goes
   * before batches that were gathered earlier, so it takes nothing that depends on them.
   */
  trimAll(batch: Batch): void {
    for (const state of this.#unflushed) {
      const lowWaterMark = state.firmMark
      if (state.isGone || lowWaterMark <= state.trimmedTo) continue
      this.#sweeper.trim(state)
      const { incarnation, lastSeq, count, bytes } = state
      const record = encodeProgress({ lowWaterMark, lastSeq, count, bytes })
      batch.put(keyOf(Kind.Progress, incarnation), record)
    }
  }

  get hasWork(): boolean {
    return this.#unflushed.size > 0
  }

  close(): void {
    this.#cancelTimer?.()
    this.#cancelTimer = undefined
  }

  #note(state: SessionState): void {
    this.#unflushed.add(state)
    // While nothing can be written this would be one more thing that waits: `relieve` takes it.
    if (state.unflushed >= FLUSHED_AT && this.#committer.isHealthy) {
      this.flush(state, this.#committer.gather())
    }
    if (this.#unflushed.size === 0) return
    this.#cancelTimer ??= this.#clock.after(FLUSHED_AFTER_MS, () => this.#flushLate())
  }

  #flushLate(): void {
    this.#cancelTimer = undefined
    if (this.#unflushed.size === 0) return
    if (this.#committer.isHealthy) this.flushAll(this.#committer.gather())
    else this.#cancelTimer = this.#clock.after(FLUSHED_AFTER_MS, () => this.#flushLate())
  }

  #removeDiscarded(state: SessionState, batch: Batch): void {
    const seqs = state.discarded
    if (seqs.length === 0) return
    state.discarded = []
    for (const seq of seqs) {
      batch.remove(numberedKey(Kind.Entry, state.incarnation, seq))
      this.#removeReleased(state, seq, batch)
    }
    batch.onSettled(() => {
      for (const seq of seqs) state.hidden.delete(seq)
    })
  }

  #removeAcknowledged(state: SessionState, batch: Batch): void {
    const { incarnation, lowWaterMark, trimmedTo } = state
    for (const seq of state.released.values()) {
      if (seq <= lowWaterMark) this.#removeReleased(state, seq, batch)
    }
    if (lowWaterMark - trimmedTo > REMOVED_AT_ONCE_MAX) {
      batch.onSettled(() => this.#sweeper.trim(state))
      return
    }
    for (let seq = trimmedTo + 1; seq <= lowWaterMark; seq++) {
      batch.remove(numberedKey(Kind.Entry, incarnation, seq))
    }
    state.trimmedTo = lowWaterMark
  }

  #removeReleased(state: SessionState, seq: Seq, batch: Batch): void {
    if (!state.released.delete(seq)) return
    batch.remove(numberedKey(Kind.Released, state.incarnation, seq))
  }
}
