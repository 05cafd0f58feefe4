/** One run of a generator, whatever its shape: what its clients share, its time, its measuring, its failure. */

import { randomBytes } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { CommandFailure } from '../failures.ts'
import type { Client, Surroundings } from './client.ts'
import type { Job, Load, Span, Target } from './load.ts'
import { coreUsageUs, readUsage } from './process-usage.ts'
import { Turn } from './turn.ts'

/** Clients that connect at the same time. */
const PARALLEL = 64

/** A broker that has done nothing for so long will not do anything any more. */
const STALL_TIMEOUT_MS = 10_000

/** What has not come by then, with nothing else coming, is lost. */
const SETTLE_TIMEOUT_MS = 2_000

const LOOK_MS = 5

export class Run implements Surroundings {
  readonly job: Job
  readonly load: Load
  readonly target: Target
  readonly turn: Turn = new Turn()
  readonly idPrefix: string = `bench-${randomBytes(3).toString('hex')}`
  readonly notes: string[] = []
  arrivedAt = 0
  /** Rejects when a client fails. */
  readonly failed: Promise<never>
  #reject: (failure: Error) => void = () => {}

  constructor(job: Job) {
    this.job = job
    this.load = job.load
    this.target = job.target
    this.failed = new Promise((_, reject) => {
      this.#reject = reject
    })
    // Whoever runs it looks at it only after the load has begun.
    this.failed.catch(() => {})
    for (const pid of [...job.watched.broker, ...job.watched.store]) {
      if (readUsage([pid]) !== undefined) continue
      this.notes.push(`the CPU time of process ${pid} cannot be read`)
    }
  }

  fail(failure: Error): void {
    this.#reject(failure)
  }

  /** Does something with all clients, with some at a time. */
  async each<C extends Client>(
    clients: readonly C[],
    act: (client: C, index: number) => Promise<unknown>,
    parallel: number = PARALLEL,
  ): Promise<void> {
    let next = 0
    const work = async () => {
      while (next < clients.length) {
        const index = next++
        await act(clients[index] as C, index)
      }
    }
    await Promise.all(Array.from({ length: Math.min(parallel, clients.length) }, work))
  }

  /** Lets the load run; rejects when `progress` stands still for too long. */
  async pass(durationMs: number, progress: () => number): Promise<void> {
    const end = performance.now() + durationMs
    for (let left = durationMs; left > 0; left = end - performance.now()) {
      const before = progress()
      await delay(Math.min(left, STALL_TIMEOUT_MS))
      if (left >= STALL_TIMEOUT_MS && progress() === before) throw stalled()
    }
  }

  /** Waits until `isDone`, or until nothing has moved for a while: returns false then. */
  async until(
    isDone: () => boolean,
    progress: () => number,
    timeoutMs: number = SETTLE_TIMEOUT_MS,
  ): Promise<boolean> {
    let since = performance.now()
    let before = progress()
    while (!isDone()) {
      await delay(LOOK_MS)
      if (progress() !== before) {
        before = progress()
        since = performance.now()
      } else if (performance.now() - since > timeoutMs) return false
    }
    return true
  }

  /** As `until`, where nothing but a failure can be made of it. */
  async untilSurely(isDone: () => boolean, progress: () => number): Promise<void> {
    if (!(await this.until(isDone, progress, STALL_TIMEOUT_MS))) throw stalled()
  }

  /** Begins to measure; what it returns ends it, and is told how many operations there were. */
  startSpan(): (operations: number) => Measured {
    const { broker, store, core } = this.job.watched
    const read = () => ({
      ...(broker.length === 0 ? {} : { broker: readUsage(broker) }),
      ...(store.length === 0 ? {} : { store: readUsage(store) }),
      ...(core === undefined ? {} : { coreUs: coreUsageUs(core) }),
      own: process.cpuUsage(),
      at: performance.now(),
    })
    const before = read()
    return (operations) => {
      const after = read()
      const brokerCpuUs = difference(before.broker?.cpuUs, after.broker?.cpuUs)
      const storeCpuUs = difference(before.store?.cpuUs, after.store?.cpuUs)
      const seconds = (after.at - before.at) / 1000
      const othersCpuUs = difference(brokerCpuUs, difference(before.coreUs, after.coreUs))
      const span: Span = {
        seconds,
        operations,
        ...(brokerCpuUs === undefined ? {} : { brokerCpuUs }),
        ...(storeCpuUs === undefined ? {} : { storeCpuUs }),
        generatorCpuUs: after.own.user + after.own.system - before.own.user - before.own.system,
        ...(othersCpuUs === undefined
          ? {}
          : { othersShare: Math.max(0, othersCpuUs / 1_000_000 / seconds) }),
      }
      const residentBytes = after.broker?.residentBytes
      const grownBytes = difference(before.broker?.residentBytes, residentBytes)
      return {
        span,
        ...(residentBytes === undefined ? {} : { residentBytes }),
        ...(grownBytes === undefined ? {} : { grownBytes }),
      }
    }
  }
}

export interface Measured {
  readonly span: Span
  readonly residentBytes?: number
  readonly grownBytes?: number
}

function difference(before: number | undefined, after: number | undefined): number | undefined {
  return before === undefined || after === undefined ? undefined : after - before
}

function stalled(): CommandFailure {
  return new CommandFailure(`The broker did nothing for ${STALL_TIMEOUT_MS / 1000} s`)
}
