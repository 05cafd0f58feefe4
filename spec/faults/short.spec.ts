/** A short campaign of each fault; `npm run faults` runs long ones. */

import test, { type ExecutionContext } from 'ava'
import { withRedis } from '../support/redis-test.ts'
import { run } from './campaign.ts'
import { control } from './campaigns.ts'
import {
  BrokerKilledOnRedis,
  brokerKilled,
  DiskFull,
  type Fault,
  RedisKilled,
  RedisOutOfMemory,
  SentinelFailover,
} from './fault.ts'
import { isKept } from './verdict.ts'

/** Printed with the result: the same seed makes the same choices. */
const seed = Date.now() % 1_000_000

const SETTLE_TIMEOUT_MS = 45_000

/** Strikes, and what for. One after the other: each loads both cores. */
function campaign(fault: () => Fault, rounds: number, needsRedis: boolean): void {
  const { name, store } = fault()
  const strike = async (t: ExecutionContext): Promise<void> => {
    t.timeout(90_000)
    const row = await run(fault(), { rounds, seed, settleTimeoutMs: SETTLE_TIMEOUT_MS })

    t.log(`seed ${seed}:`, row)
    t.true(row.acknowledged > 0)
    t.true(isKept(row))
  }
  test.serial(`every promise is kept: ${name}, ${store}`, needsRedis ? withRedis(strike) : strike)
}

campaign(() => brokerKilled('disk:./data'), 5, false)
if (process.getuid?.() === 0) campaign(() => new DiskFull(), 2, false)
campaign(() => new BrokerKilledOnRedis('always'), 2, true)
campaign(() => new RedisKilled('always'), 3, true)
campaign(() => new RedisKilled('everysec', 1_000), 2, true)
campaign(() => new RedisOutOfMemory(), 2, true)
campaign(() => new SentinelFailover(), 1, true)

test.serial('the campaigns find losses where nothing is kept', async (t) => {
  const row = await run(control(), { rounds: 3, seed, settleTimeoutMs: 2_000 })

  t.log(`seed ${seed}:`, row)
  t.true(row.lost > 0)
  t.true(row.lostSessions > 0)
})
