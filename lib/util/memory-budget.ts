/**
 * One bound over everything that is kept for clients: queues, stored and retained messages, bytes that
 * sockets have not taken. Rooms report what they hold; whoever can shed or slow asks for the level.
 */

import { negated } from './negated.ts'

/** How full the budget is, and what is done about it: each level includes those before. */
export const MemoryLevel = {
  Normal: 0,
  /** 80 %: messages at QoS 0 are shed towards clients that do not keep up. */
  ShedQos0: 1,
  /** 90 %: nothing more is read from clients that publish. */
  PauseReaders: 2,
  /** 95 %: CONNECT is refused with 0x97. */
  RefuseConnections: 3,
} as const
export type MemoryLevel = (typeof MemoryLevel)[keyof typeof MemoryLevel]

/** The levels, and from which share of the limit on each holds. */
const LEVELS = [
  { level: MemoryLevel.Normal, share: Number.NEGATIVE_INFINITY },
  { level: MemoryLevel.ShedQos0, share: 0.8 },
  { level: MemoryLevel.PauseReaders, share: 0.9 },
  { level: MemoryLevel.RefuseConnections, share: 0.95 },
] as const

export class MemoryBudget {
  readonly limitBytes: number
  /** Called when the level changes, in the middle of whatever held or released the bytes. */
  onLevel: (level: MemoryLevel) => void = () => {}
  #usedBytes = 0
  #level: MemoryLevel = MemoryLevel.Normal
  /** By what is held here, and by what somebody else has found. */
  #own: MemoryLevel = MemoryLevel.Normal
  #pressed: MemoryLevel = MemoryLevel.Normal
  /** The bounds of the present level, so that most changes are two comparisons. */
  #lower = Number.NEGATIVE_INFINITY
  #upper: number

  constructor(limitBytes: number) {
    this.limitBytes = limitBytes
    this.#upper = limitBytes * LEVELS[1].share
  }

  get usedBytes(): number {
    return this.#usedBytes
  }

  get level(): MemoryLevel {
    return this.#level
  }

  /** All is used: nothing more can be kept, whoever asks. */
  get isExhausted(): boolean {
    return this.#usedBytes >= this.limitBytes
  }

  hold(bytes: number): void {
    this.#usedBytes += bytes
    if (this.#usedBytes >= this.#upper || this.#usedBytes < this.#lower) this.#changeLevel()
  }

  release(bytes: number): void {
    this.hold(negated(bytes))
  }

  /** Holds the level at `level` at least: the process is short of memory, whatever is held here. */
  press(level: MemoryLevel): void {
    this.#pressed = level
    this.#tell()
  }

  #changeLevel(): void {
    let level: MemoryLevel = MemoryLevel.Normal
    this.#lower = Number.NEGATIVE_INFINITY
    this.#upper = Number.POSITIVE_INFINITY
    for (const next of LEVELS) {
      const bound = this.limitBytes * next.share
      if (this.#usedBytes < bound) {
        this.#upper = bound
        break
      }
      level = next.level
      this.#lower = bound
    }
    this.#own = level
    this.#tell()
  }

  #tell(): void {
    const level = this.#own > this.#pressed ? this.#own : this.#pressed
    if (level === this.#level) return
    this.#level = level
    this.onLevel(level)
  }
}
