/** A broker for one test: no listeners unless asked for, time in the test's hands. */

import type { ExecutionContext } from 'ava'
import { type Broker, type CreateBrokerOptions, createBroker } from '../../lib/index.ts'
import { ManualClock } from './clock.ts'

export interface TestBroker {
  readonly broker: Broker
  readonly clock: ManualClock
}

export async function startBroker(
  t: ExecutionContext,
  options: CreateBrokerOptions = {},
): Promise<TestBroker> {
  const clock = new ManualClock()
  const broker = await createBroker({ listeners: [], clock, ...options })
  t.teardown(async () => {
    const closed = broker.close()
    // Clients that do not read are given up when `shutdown.drainTimeoutMs` is over.
    await clock.advance(60_000)
    await closed
  })
  return { broker, clock }
}
