/**
 * Watches whether the broker keeps up: how late its event loop is, how much of its memory is used, how much its
 * store has still to write. While it does not, clients that are there come first: new ones are refused, and when
 * memory is short those that publish are not read.
 */

import type { OverloadConfiguration, StoreConfiguration } from '../config/options.ts'
import type { Load } from '../connection/protection.ts'
import { ReasonCode } from '../protocol/reason-codes.ts'
import { type Decision, denial } from '../security/access.ts'
import type { Store } from '../storage/storage.ts'
import type { Logger } from '../util/logger.ts'
import { type MemoryBudget, MemoryLevel } from '../util/memory-budget.ts'
import type { SystemLoad } from '../util/system-load.ts'

const SAMPLE_MS = 500

/** It has to be too much so often in a row: one long turn is no overload. */
const SAMPLES_MIN = 3

/** What was too much is over when it is below this share of the limit: else it would come and go. */
const OVER_SHARE = 0.5

/** The same for memory, in percent of all of it. */
const OVER_PERCENT = 5

interface OverloadParts {
  readonly load: SystemLoad
  readonly budget: MemoryBudget
  readonly store: Store
  readonly storeLimits: Pick<StoreConfiguration, 'pendingUnitsMax' | 'pendingBytesMax'>
  readonly log: Logger
}

/** One figure that may be too much for a while. */
class Watch {
  isOver = false
  #count = 0

  /** `value` is a share of its limit. Says whether it has changed sides. */
  note(value: number): boolean {
    if (value > 1) this.#count = Math.min(this.#count + 1, SAMPLES_MIN)
    else if (!this.isOver || value < OVER_SHARE) this.#count = 0
    const wasOver = this.isOver
    this.isOver = this.isOver ? this.#count > 0 : this.#count === SAMPLES_MIN
    return this.isOver !== wasOver
  }
}

const LATE = denial(
  ReasonCode.ServerBusy,
  'the event loop is late (overload.eventLoopDelayMaxMs)',
  'the broker has more to do than one processor can: fewer clients or messages, or a faster machine',
)

const STORE_BEHIND = denial(
  ReasonCode.ServerBusy,
  'the store does not keep up (store.pendingUnitsMax, store.pendingBytesMax)',
  'look at the disk or the Redis of store.url',
)

export class Overload implements Load {
  delayMs = 0
  memoryPercent = 0
  readonly #options: OverloadConfiguration
  readonly #parts: OverloadParts
  readonly #delay = new Watch()
  readonly #backlog = new Watch()
  #level: MemoryLevel = MemoryLevel.Normal
  #stop: () => void = () => {}
  #sampledAt = 0

  constructor(options: OverloadConfiguration, parts: OverloadParts) {
    this.#options = options
    this.#parts = parts
  }

  start(): void {
    const { load } = this.#parts
    this.#sampledAt = load.now()
    this.#stop = load.every(SAMPLE_MS, () => this.#sample())
  }

  stop(): void {
    this.#stop()
  }

  get state(): 'no' | 'event loop' | 'store' | 'memory' {
    if (this.#level !== MemoryLevel.Normal) return 'memory'
    if (this.#delay.isOver) return 'event loop'
    return this.#backlog.isOver ? 'store' : 'no'
  }

  /** Why nobody may connect now. That memory is short is known from the memory budget. */
  refusal(): Decision | undefined {
    if (this.#delay.isOver) return LATE
    return this.#backlog.isOver ? STORE_BEHIND : undefined
  }

  #sample(): void {
    const now = this.#parts.load.now()
    this.delayMs = Math.max(0, Math.round(now - this.#sampledAt - SAMPLE_MS))
    this.#sampledAt = now
    const { eventLoopDelayMaxMs: max } = this.#options
    if (this.#delay.note(max === 0 ? 0 : this.delayMs / max)) {
      this.#report(this.#delay.isOver, LATE, { delayMs: this.delayMs })
    }
    const { pendingUnits, pendingBytes } = this.#parts.store.pressure()
    const { pendingUnitsMax, pendingBytesMax } = this.#parts.storeLimits
    const share = Math.max(pendingUnits / pendingUnitsMax, pendingBytes / pendingBytesMax)
    if (this.#backlog.note(share)) {
      this.#report(this.#backlog.isOver, STORE_BEHIND, { pendingUnits, pendingBytes })
    }
    this.#judgeMemory()
  }

  #report(isOver: boolean, { rule, hint }: Decision, figures: object): void {
    const { log } = this.#parts
    if (isOver) log.warn({ ...figures, rule, hint }, 'overloaded: new clients are refused')
    else log.info({ ...figures, rule }, 'no longer overloaded: clients may connect')
  }

  #judgeMemory(): void {
    const { load, budget, log } = this.#parts
    this.memoryPercent = Math.round(load.memoryShare() * 100)
    const level = this.#memoryLevel(this.memoryPercent)
    if (level === this.#level) return
    const isMore = level > this.#level
    this.#level = level
    const fields = { memoryPercent: this.memoryPercent, level }
    if (isMore) {
      const hint =
        'give the process more memory (NODE_OPTIONS=--max-old-space-size, the container), or lower memory.budgetBytes'
      log.warn({ ...fields, hint }, 'memory is short: who publishes is paused')
    } else log.info(fields, 'there is more memory again')
    budget.press(level)
  }

  /** It falls only when there is some room again. */
  #memoryLevel(percent: number): MemoryLevel {
    const { pauseMemoryPercent, refuseMemoryPercent } = this.#options
    const room = (level: MemoryLevel): number => (this.#level >= level ? OVER_PERCENT : 0)
    const { PauseReaders, RefuseConnections, Normal } = MemoryLevel
    if (percent >= refuseMemoryPercent - room(RefuseConnections)) return RefuseConnections
    return percent >= pauseMemoryPercent - room(PauseReaders) ? PauseReaders : Normal
  }
}
