/**
 * The way on which changes of one slot reach Redis: one batch at a time, in order, each exactly once.
 *
 * A batch carries its number, and the script remembers the last number with its results. So one whose
 * reply was lost is sent again as it is, and answered without being applied again. While it is under way
 * the next turns gather behind it; a turn is never divided, as what was discarded in it goes with what was
 * written. Without a Cluster there is one lane, with one lane per group.
 */

import { StoreError } from '../storage.ts'
import { Batch, type Growth, type Operation } from './batch.ts'
import { PackReader } from './pack.ts'

/** Sends what lanes have made. */
export interface LaneOffice {
  /** Whether batches may leave at all. */
  readonly isOpen: boolean
  readonly epoch: number
  /**
   * Resolves to the results when they are as durable as they have to be. Rejects with a `LaneRefusal` if
   * nothing was applied for a reason of this lane, and does not settle while Redis is away.
   */
  send(lane: Lane, batch: LaneBatch): Promise<Buffer>
  /** The lane has nothing more to send. */
  idle(): void
}

export interface LaneBatch {
  readonly keys: readonly string[]
  readonly number: number
  readonly operations: Buffer
  /** Whether it needs room: it is refused when Redis has none. */
  readonly grows: boolean
  /** Whether the lane must stand right before it. */
  readonly isNext: boolean
}

/** Why a lane has to change what it sent. */
export type LaneRefusal =
  | { readonly kind: 'full' }
  | { readonly kind: 'behind' }
  | { readonly kind: 'emptied' }
  | { readonly kind: 'failed'; readonly error: StoreError }

/** No turn joins a batch that would become so large: Redis serves nobody else meanwhile. */
const BATCH_OPERATIONS_MAX = 1_024
const BATCH_BYTES_MAX = 4 * 1024 ** 2

export class Lane {
  readonly key: string
  readonly group: number
  readonly #office: LaneOffice
  /** What has to be done when Redis is found to be behind, see `Refusal.Behind`. */
  readonly #recover: (lane: Lane) => Operation[]
  #turn: Operation[] = []
  #waiting: Operation[][] = []
  /** Of the last that waits. */
  #lastBytes = 0
  /** What waits until the store is written back; undefined while it is not being written back. */
  #held: Operation[][] | undefined
  #underWay: Operation[] | undefined
  readonly #batch = new Batch()
  #number = 0

  constructor(
    key: string,
    group: number,
    office: LaneOffice,
    recover: (lane: Lane) => Operation[],
  ) {
    this.key = key
    this.group = group
    this.#office = office
    this.#recover = recover
  }

  get isIdle(): boolean {
    return this.#underWay === undefined && this.#waiting.length === 0 && this.#turn.length === 0
  }

  get hasTurn(): boolean {
    return this.#turn.length > 0
  }

  /** Adds to this turn. */
  add(operation: Operation): void {
    this.#turn.push(operation)
  }

  /** The turn is over. */
  seal(): void {
    const turn = this.#turn
    this.#turn = []
    if (this.#held === undefined) {
      this.#enqueue(turn)
    } else {
      this.#enqueue(turn.filter(({ writesBack }) => writesBack))
      this.#held.push(turn.filter(({ writesBack }) => !writesBack))
    }
    this.pump()
  }

  /** Sends the next batch if it may leave. */
  pump(): void {
    if (this.#underWay !== undefined || !this.#office.isOpen) return
    const operations = this.#next()
    if (operations === undefined) return this.#office.idle()
    this.#underWay = operations
    this.#number++
    void this.#deliver(operations, false)
  }

  /** Whether it waits until the store is written back. */
  get isHeld(): boolean {
    return this.#held !== undefined
  }

  /**
   * Holds everything but what writes back; Redis knows nothing of this lane any more. What was written
   * back before Redis became empty once more fails, as it has to be given anew.
   */
  hold(): void {
    const unanswered = [...(this.#underWay ?? []), ...this.#waiting.flat()]
    this.#underWay = undefined
    this.#waiting = []
    this.#number = 0
    if (this.#held === undefined) {
      this.#held = [unanswered]
      return
    }
    const error = new StoreError('unavailable', 'Redis has become empty again.')
    for (const operation of unanswered) operation.fail(error)
  }

  /** Lets go what `hold` held. */
  resume(): void {
    for (const turn of this.#held ?? []) this.#enqueue(turn)
    this.#held = undefined
    this.pump()
  }

  /** Fails everything; nothing is under way any more. */
  abandon(error: StoreError): void {
    const turns = [this.#underWay ?? [], ...(this.#held ?? []), ...this.#waiting, this.#turn]
    this.#underWay = undefined
    this.#held = undefined
    this.#waiting = []
    this.#turn = []
    for (const operation of turns.flat()) operation.fail(error)
  }

  #enqueue(turn: Operation[]): void {
    if (turn.length === 0) return
    let turnBytes = 0
    for (const { bytes } of turn) turnBytes += bytes
    const last = this.#waiting.at(-1)
    const isLarge =
      (last?.length ?? 0) + turn.length > BATCH_OPERATIONS_MAX ||
      this.#lastBytes + turnBytes > BATCH_BYTES_MAX
    if (last === undefined || isLarge) {
      this.#waiting.push(turn)
      this.#lastBytes = turnBytes
    } else {
      for (const operation of turn) last.push(operation)
      this.#lastBytes += turnBytes
    }
  }

  #next(): Operation[] | undefined {
    for (let turn = this.#waiting.shift(); turn !== undefined; turn = this.#waiting.shift()) {
      const wanted = turn.filter(({ isCancelled }) => !isCancelled)
      if (wanted.length > 0) return wanted
    }
    return undefined
  }

  async #deliver(operations: Operation[], isFull: boolean): Promise<void> {
    const batch = this.#encode(operations, isFull)
    const grows = !isFull && operations.some(({ growth }) => asksForRoom(growth))
    const made = { keys: batch.keys, number: this.#number, operations: batch.finish() }
    let results: Buffer
    try {
      results = await this.#office.send(this, { ...made, grows, isNext: true })
    } catch (refusal) {
      if (this.#underWay === operations) await this.#refused(operations, refusal as LaneRefusal)
      return
    }
    if (this.#underWay === operations) this.#settle(operations, results)
  }

  #encode(operations: readonly Operation[], isFull: boolean): Batch {
    this.#batch.begin(this.key, isFull)
    for (const operation of operations) operation.encode(this.#batch)
    return this.#batch
  }

  #settle(operations: readonly Operation[], results: Buffer): void {
    const reader = new PackReader(results)
    reader.startArray()
    for (const operation of operations) operation.settle(reader)
    this.#underWay = undefined
    this.pump()
  }

  async #refused(operations: Operation[], refusal: LaneRefusal): Promise<void> {
    switch (refusal.kind) {
      case 'full':
        return this.#goOnFull(operations)
      case 'behind':
        return this.#catchUp(operations)
      case 'failed':
        this.#underWay = undefined
        this.#number--
        for (const operation of operations) operation.fail(refusal.error)
        return this.pump()
      case 'emptied':
    }
  }

  /** What needs room fails; acknowledgements and all else that makes room goes on. */
  async #goOnFull(operations: readonly Operation[]): Promise<void> {
    const error = new StoreError('full', 'Redis has no memory left: raise its maxmemory.')
    const isRefused = ({ growth }: Operation): boolean =>
      growth === 'needed' || growth === 'companion'
    const rest = operations.filter((operation) => !isRefused(operation))
    const refused = operations.filter(isRefused)
    this.#underWay = rest
    for (const operation of refused) operation.fail(error)
    if (this.#underWay !== rest) return
    if (rest.length > 0) return this.#deliver(rest, true)
    this.#underWay = undefined
    this.#number--
    this.pump()
  }

  /** Redis has lost batches that it had confirmed: numbers that were given out must not come again. */
  async #catchUp(operations: Operation[]): Promise<void> {
    const repairs = this.#recover(this)
    const batch = this.#encode(repairs, false)
    const made = { keys: batch.keys, number: this.#number, operations: batch.finish() }
    try {
      await this.#office.send(this, { ...made, grows: false, isNext: false })
    } catch (refusal) {
      if (this.#underWay === operations) await this.#refused(operations, refusal as LaneRefusal)
      return
    }
    this.#number++
    await this.#deliver(operations, false)
  }
}

function asksForRoom(growth: Growth): boolean {
  return growth === 'needed' || growth === 'avoidable'
}
