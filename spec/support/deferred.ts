/** A promise that a test settles when it wants to: a hook that takes its time. */

export interface Deferred<T> {
  readonly promise: Promise<T>
  resolve(value: T): void
}

export function defer<T>(): Deferred<T> {
  const deferred: { resolve?: (value: T) => void } = {}
  const promise = new Promise<T>((resolve) => {
    deferred.resolve = resolve
  })
  return { promise, resolve: (value) => deferred.resolve?.(value) }
}

/** A few turns of the event loop: whatever is on its way in memory has arrived. */
export async function turns(count = 5): Promise<void> {
  for (let i = 0; i < count; i++) await new Promise((resolve) => setImmediate(resolve))
}

/** So many microtasks, within one turn: between any two steps of something asynchronous. */
export async function microtasks(count: number): Promise<void> {
  for (let i = 0; i < count; i++) await Promise.resolve()
}
