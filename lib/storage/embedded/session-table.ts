/** All sessions of the embedded store, and the incarnations they are given: each number once, for ever. */

import type { MemoryBudget } from '../../util/memory-budget.ts'
import type { SessionRef } from '../storage.ts'
import type { Batch } from './batch.ts'
import { Kind, keyOf, sessionKey } from './keys.ts'
import { incarnationsRecord, type Loaded } from './loading.ts'
import { SESSION_STATE_BYTES, SessionState } from './session-state.ts'

/** So many incarnations are taken at once: the others of a block need no record. A crash wastes what is left. */
const INCARNATIONS_TAKEN = 1_024

export class SessionTable {
  readonly all: ReadonlyMap<string, SessionState>
  readonly #sessions: Map<string, SessionState>
  readonly #budget: MemoryBudget
  #incarnations: number
  #incarnationsTaken: number

  constructor({ sessions, incarnationsTaken }: Loaded, budget: MemoryBudget) {
    this.all = sessions
    this.#sessions = sessions
    this.#budget = budget
    this.#incarnations = incarnationsTaken
    this.#incarnationsTaken = incarnationsTaken
    budget.hold(sessions.size * SESSION_STATE_BYTES)
  }

  /** Makes a session; its record is the caller's to write. */
  create(clientIdentifier: string, batch: Batch): SessionState {
    const state = new SessionState(clientIdentifier, ++this.#incarnations)
    if (this.#incarnations > this.#incarnationsTaken) {
      this.#incarnationsTaken += INCARNATIONS_TAKEN
      batch.put(...incarnationsRecord(this.#incarnationsTaken))
    }
    this.#sessions.set(clientIdentifier, state)
    this.#budget.hold(SESSION_STATE_BYTES)
    return state
  }

  /** Ends a session: two small records now, the rest is swept. */
  discard(state: SessionState, batch: Batch): void {
    batch.remove(sessionKey(state.clientIdentifier))
    batch.putMark(keyOf(Kind.Discarded, state.incarnation))
    state.isGone = true
    this.#sessions.delete(state.clientIdentifier)
    this.#budget.release(SESSION_STATE_BYTES)
  }

  /** The session, unless it has been started anew since. */
  sameLife(ref: SessionRef): SessionState | undefined {
    const state = this.#sessions.get(ref.clientIdentifier)
    return state?.incarnation === ref.incarnation ? state : undefined
  }

  /** The session, unless somebody else has claimed it since. */
  ownedBy(ref: SessionRef): SessionState | undefined {
    const state = this.sameLife(ref)
    return state?.epoch === ref.epoch ? state : undefined
  }

  /** Gives back what the table holds of the memory. */
  close(): void {
    this.#budget.release(this.#sessions.size * SESSION_STATE_BYTES)
    this.#sessions.clear()
  }
}
