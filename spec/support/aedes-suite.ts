/** The tests that the package of Aedes' persistences has for all of them, as tests of ava. */

import assert from 'node:assert'
import { createRequire } from 'node:module'
import test, { type ExecutionContext } from 'ava'
import type { AedesPersistenceInterface } from '../../lib/storage/aedes-persistence.ts'

/** What its tests use of those of Node. */
interface NodeTest {
  readonly assert: object
  plan(count: number): void
  diagnostic(message: string): void
}

interface AbstractOptions {
  readonly test: (title: string, run: (t: NodeTest) => Promise<void>) => void
  readonly persistence: () => AedesPersistenceInterface
  readonly testAsync: true
}

// The package has no types for it.
const abstract: (options: AbstractOptions) => void = createRequire(import.meta.url)(
  'aedes-persistence/abstract',
)

/** Its tests that only ask that nothing is thrown. */
const ASSERTING_NOTHING = new Set([
  'delete wills from dead brokers',
  'do not error if unkown messageId in outoingClearMessageId',
])

export const AEDES_TESTS = 50

/** Declares the tests; `makePersistence` is called once for each. Returns how many there are. */
export function aedesSuite(
  name: string,
  makePersistence: (t: ExecutionContext) => AedesPersistenceInterface,
): number {
  let count = 0
  // The suite makes a persistence first thing in each test, before it waits for anything.
  let current: ExecutionContext | undefined
  abstract({
    test(title, run) {
      count++
      test(`${name}: ${title}`, async (t) => {
        current = t
        await run(nodeTest(t))
        if (ASSERTING_NOTHING.has(title)) t.pass()
      })
    },
    persistence: () => makePersistence(current!),
    testAsync: true,
  })
  return count
}

/** Each assertion that holds counts for ava, which holds it against the plan. */
function nodeTest(t: ExecutionContext): NodeTest {
  return {
    assert: new Proxy(assert, {
      get: (_, name: 'equal') => (actual: unknown, expected: unknown, message?: string) => {
        assert[name](actual, expected, message)
        t.pass()
      },
    }),
    plan: (count) => t.plan(count),
    diagnostic: (message) => t.log(message),
  }
}
