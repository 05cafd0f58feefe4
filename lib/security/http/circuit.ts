/**
 * Whether a service that fails again and again is asked at all: after so many failures in a row it is left
 * alone for a while, then one question tries whether it answers.
 */

import type { Clock } from '../../util/clock.ts'

type State =
  | { readonly kind: 'closed'; readonly failures: number }
  | { readonly kind: 'open'; readonly until: number }
  | { readonly kind: 'trying' }

const WORKING: State = { kind: 'closed', failures: 0 }

export interface CircuitOptions {
  readonly failuresMax: number
  readonly retryAfterMs: number
  /** Told when it begins and when it ends that nothing is asked. */
  readonly changed: (isOpen: boolean) => void
}

export class Circuit {
  readonly #options: CircuitOptions
  readonly #clock: Clock
  #state: State = WORKING

  constructor(options: CircuitOptions, clock: Clock) {
    this.#options = options
    this.#clock = clock
  }

  /** Whether there is no use in waiting for a turn. */
  get isOpen(): boolean {
    const state = this.#state
    return state.kind === 'trying' || (state.kind === 'open' && this.#clock.now() < state.until)
  }

  /** Whether to ask now. Who was told yes says how it went: `succeeded` or `failed`. */
  enter(): boolean {
    if (this.isOpen) return false
    if (this.#state.kind === 'open') this.#state = { kind: 'trying' }
    return true
  }

  succeeded(): void {
    if (this.#state.kind !== 'closed') this.#options.changed(false)
    this.#state = WORKING
  }

  failed(): void {
    const { failuresMax, retryAfterMs, changed } = this.#options
    const state = this.#state
    if (state.kind === 'open') return
    const failures = state.kind === 'closed' ? state.failures + 1 : failuresMax
    if (failures < failuresMax) {
      this.#state = { kind: 'closed', failures }
      return
    }
    this.#state = { kind: 'open', until: this.#clock.now() + retryAfterMs }
    if (state.kind === 'closed') changed(true)
  }
}
