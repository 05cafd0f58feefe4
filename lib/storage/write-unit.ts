/** Units of a store, one promise each: for whoever waits for single messages. */

import type { Seq, Sink, Store, Unit } from './storage.ts'

const nothing = {
  expiresAt: Number.POSITIVE_INFINITY,
  qos: 0,
  targets: [],
  retain: undefined,
  publisher: undefined,
  willOf: undefined,
} as const

/**
 * Writes a unit and resolves when it is durable. `onStored` is called before, in the order of the queues,
 * for each target whose session is there.
 */
export function writeUnit(
  store: Store,
  unit: Partial<Unit> & Pick<Unit, 'topic' | 'body'>,
  onStored: (target: number, seq: Seq) => void = () => {},
): Promise<void> {
  return new Promise((resolve, reject) => {
    const sink: Sink = {
      stored: (_, target, seq) => onStored(target, seq),
      done: () => resolve(),
      failed: (_, error) => reject(error),
    }
    store.write({ ...nothing, ...unit }, sink)
  })
}
