/** A short campaign of each fault that has one; `npm run faults` runs long ones. */

import test, { type ExecutionContext } from 'ava'
import { withRedis } from '../support/redis-test.ts'
import { run } from './campaign.ts'
import { type Campaign, campaigns, control } from './campaigns.ts'
import { isKept } from './verdict.ts'

/** Printed with the result: the same seed makes the same choices. */
const seed = Date.now() % 1_000_000

const SETTLE_TIMEOUT_MS = 45_000

/** Strikes, and what for. One after the other: each loads both cores. */
function short({ make, shortRounds: rounds, needs }: Campaign): void {
  const { name, store } = make()
  const strike = async (t: ExecutionContext): Promise<void> => {
    t.timeout(90_000)
    const row = await run(make(), { rounds, seed, settleTimeoutMs: SETTLE_TIMEOUT_MS })

    t.log(`seed ${seed}:`, row)
    t.true(row.acknowledged > 0)
    t.true(isKept(row))
  }
  const title = `every promise is kept: ${name}, ${store}`
  test.serial(title, needs === 'Redis' ? withRedis(strike) : strike)
}

function isPossible({ needs }: Campaign): boolean {
  if (needs === 'root') return process.getuid?.() === 0
  return needs !== 'Linux' || process.platform === 'linux'
}

for (const campaign of campaigns) {
  if (campaign.shortRounds > 0 && isPossible(campaign)) short(campaign)
}

test.serial('the campaigns find losses where nothing is kept', async (t) => {
  const row = await run(control(), { rounds: 3, seed, settleTimeoutMs: 2_000 })

  t.log(`seed ${seed}:`, row)
  t.true(row.lost > 0)
  t.true(row.lostSessions > 0)
})
