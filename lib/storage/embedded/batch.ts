/**
 * What is written in one transaction: all of a turn of the event loop, and of the turns that pass while the
 * batch before it is on its way. It stays as it is until it is durable, however often that is tried.
 */

import type { Buffer } from 'node:buffer'
import type { Seq, Sink, StoreError, Unit } from '../storage.ts'
import type { Database } from './database.ts'
import { Kind, keyOf } from './keys.ts'
import { sealRecord } from './record-fields.ts'
import { encodeProgress, PRESENT } from './records.ts'
import type { SessionState } from './session-state.ts'

export class Batch {
  readonly #keys: Buffer[] = []
  /** Undefined where the key is removed. */
  readonly #values: (Buffer | undefined)[] = []
  readonly #units: Unit[] = []
  readonly #sinks: Sink[] = []
  /** Of all targets of all units, in their order; 0 where the session was gone. */
  readonly #seqs: Seq[] = []
  /** Sessions whose progress is written, as it is when the batch leaves: what is on disk never falls back. */
  readonly #progress = new Set<SessionState>()
  readonly #onSettled: ((error: StoreError | undefined) => void)[] = []
  #valueBytes = 0
  #unitBytes = 0

  get isEmpty(): boolean {
    return this.#keys.length === 0 && this.#progress.size === 0 && this.#units.length === 0
  }

  get unitCount(): number {
    return this.#units.length
  }

  /** Of the bodies of its units, each counted once. */
  get unitBytes(): number {
    return this.#unitBytes
  }

  /** About how many bytes it adds to the data. */
  get valueBytes(): number {
    return this.#valueBytes
  }

  /** The record is sealed: it is the batch's from now on. */
  put(key: Buffer, record: Buffer): void {
    sealRecord(key, record)
    this.#add(key, record)
  }

  /** For what says all by being there. */
  putMark(key: Buffer): void {
    this.#add(key, PRESENT)
  }

  #add(key: Buffer, value: Buffer): void {
    this.#keys.push(key)
    this.#values.push(value)
    this.#valueBytes += value.length
  }

  remove(key: Buffer): void {
    this.#keys.push(key)
    this.#values.push(undefined)
  }

  putProgress(state: SessionState): void {
    this.#progress.add(state)
  }

  addUnit(unit: Unit, sink: Sink): void {
    this.#units.push(unit)
    this.#sinks.push(sink)
    this.#unitBytes += unit.body.length
  }

  /** Says where the next target of the unit added last is stored; 0: nowhere. */
  addSeq(seq: Seq): void {
    this.#seqs.push(seq)
  }

  /** Calls back when the batch is durable, or never will be. */
  onSettled(callback: (error: StoreError | undefined) => void): void {
    this.#onSettled.push(callback)
  }

  /** Resolves when the batch is durable. */
  settled(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#onSettled.push((error) => (error === undefined ? resolve() : reject(error)))
    })
  }

  /** Hands everything to the transaction that is open. */
  writeTo(database: Database): void {
    for (let i = 0; i < this.#keys.length; i++) {
      const value = this.#values[i]
      // The promise is that of the transaction, which the caller has.
      if (value === undefined) void database.remove(this.#keys[i]!)
      else void database.put(this.#keys[i]!, value)
    }
    for (const state of this.#progress) {
      // That of a session which has ended would never be swept.
      if (state.isGone) continue
      const key = keyOf(Kind.Progress, state.incarnation)
      const record = encodeProgress(state)
      sealRecord(key, record)
      void database.put(key, record)
    }
  }

  /** Tells all who wait, in the order in which they came. */
  settle(error: StoreError | undefined): void {
    for (const callback of this.#onSettled) callback(error)
    let at = 0
    for (let i = 0; i < this.#units.length; i++) {
      const unit = this.#units[i]!
      const sink = this.#sinks[i]!
      // A receiver that throws must not keep the others from what is theirs.
      try {
        if (error === undefined) this.#tell(sink, unit, at)
        else sink.failed(unit, error)
      } catch (thrown) {
        queueMicrotask(() => {
          throw thrown
        })
      }
      at += unit.targets.length
    }
  }

  #tell(sink: Sink, unit: Unit, at: number): void {
    for (let target = 0; target < unit.targets.length; target++) {
      const seq = this.#seqs[at + target]!
      if (seq !== 0) sink.stored(unit, target, seq)
    }
    sink.done(unit)
  }
}
