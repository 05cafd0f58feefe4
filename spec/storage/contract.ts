/**
 * What any `Store` does (lib/storage/storage.ts), as tests: the spec of each store calls
 * `storageContract` with the way to open it. Nothing here asks what survives the process.
 */

import test, { type ExecutionContext } from 'ava'
import type { Store } from '../../lib/storage/storage.ts'
import type { Clock } from '../../lib/util/clock.ts'
import { ManualClock } from '../support/clock.ts'
import { keeping } from './contract-kept.ts'
import { queues } from './contract-queues.ts'
import { claiming } from './contract-sessions.ts'
import { closing, writing } from './contract-writes.ts'

/** Opens an empty store that tells the time by `clock`; closes it, if need be, as the test ends. */
export type OpenStore = (t: ExecutionContext, clock: Clock) => Promise<Store>

type Run = (t: ExecutionContext) => Promise<void>

/** Titles of tests that do not apply to a store, each with the reason. */
export type Exceptions = Readonly<Record<string, string>>

/**
 * Declares the tests that `name` has to pass; `wrap` may keep them from running. Whoever names exceptions
 * shows elsewhere that each is needed.
 */
export function storageContract(
  name: string,
  openStore: OpenStore,
  {
    wrap = (run) => run,
    exceptions = {},
  }: { readonly wrap?: (run: Run) => Run; readonly exceptions?: Exceptions } = {},
): void {
  const all = { ...claiming, ...writing, ...queues, ...keeping, ...closing }
  for (const [title, run] of Object.entries(all)) {
    if (title in exceptions) continue
    const runOpened: Run = async (t) => {
      const clock = new ManualClock()
      await run(t, await openStore(t, clock), clock)
    }
    test(`${name}: ${title}`, wrap(runOpened))
  }
  test(`${name}: every exception is one of the tests`, (t) => {
    t.deepEqual(
      Object.keys(exceptions).filter((title) => !(title in all)),
      [],
    )
  })
}
