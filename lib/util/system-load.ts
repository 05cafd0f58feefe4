/**
 * How much the process has to do, as the machine sees it. Not on the broker's clock: a test that moves time makes no
 * event loop late.
 */

import { totalmem } from 'node:os'
import { getHeapStatistics } from 'node:v8'

export interface SystemLoad {
  /** Milliseconds, never going back. */
  now(): number
  /** Calls `callback` every `intervalMs`, or later if the event loop is late; returns the way to end it. */
  every(intervalMs: number, callback: () => void): () => void
  /** Share of the memory that the process may have, or of V8's heap, whichever is more: 0 to 1. */
  memoryShare(): number
}

/** What the process may have in all: the container's, or the machine's. */
export function memoryLimitBytes(): number {
  const constrained = process.constrainedMemory()
  const isConstrained = constrained !== undefined && constrained > 0 && constrained < totalmem()
  return isConstrained ? constrained : totalmem()
}

export const systemLoad: SystemLoad = {
  now: () => performance.now(),
  every(intervalMs, callback) {
    const timer = setInterval(callback, intervalMs)
    timer.unref()
    return () => clearInterval(timer)
  },
  memoryShare() {
    const { used_heap_size: used, heap_size_limit: limit } = getHeapStatistics()
    return Math.max(process.memoryUsage.rss() / memoryLimitBytes(), used / limit)
  },
}
