/**
 * A campaign: clients publish and receive under load while a fault strikes, round after round; then the
 * load ends, everybody comes back, and what was promised is compared with what came.
 */

import { setTimeout as delay } from 'node:timers/promises'
import { seededRandom } from '../../lib/util/random.ts'
import type { Fault } from './fault.ts'
import { Load } from './load.ts'
import { Publisher } from './publisher.ts'
import { Subscriber } from './subscriber.ts'
import { judge, listLost, type Row } from './verdict.ts'
import { World } from './world.ts'

export interface CampaignOptions {
  readonly rounds: number
  readonly seed: number
  /** Longest time to wait for what has to come at the end. */
  readonly settleTimeoutMs: number
}

/** How long the load runs between two strikes. */
const ROUND_MIN_MS = 30
const ROUND_MAX_MS = 300

/** Runs `fault` and says what became of everything. */
export async function run(fault: Fault, options: CampaignOptions): Promise<Row> {
  const random = seededRandom(options.seed)
  const world = new World(await fault.prepare())
  const load = new Load(world, random, options.settleTimeoutMs)
  try {
    await world.startBroker()
    await load.start()
    for (let round = 1; round <= options.rounds; round++) {
      if (fault.killsBroker) load.addWill(round)
      await delay(ROUND_MIN_MS + random.below(ROUND_MAX_MS - ROUND_MIN_MS))
      await fault.strike(world, random, load)
      load.shuffle()
    }
    return await settle(fault, world, load, options)
  } finally {
    load.stop()
    await world.remove()
    await fault.remove()
  }
}

async function settle(
  fault: Fault,
  world: World,
  load: Load,
  { settleTimeoutMs }: CampaignOptions,
): Promise<Row> {
  const timeout = AbortSignal.timeout(settleTimeoutMs)
  const tooLate = new Promise<'too late'>((resolve) => {
    timeout.addEventListener('abort', () => resolve('too late'))
  })
  await Promise.race([load.finish(), tooLate])
  const unfinished = load.unfinished
  const end = new Publisher(world, 'end', { topic: 'end', qos: 2, window: 1 })
  end.start()
  const { audiences } = load
  // The marker comes behind all else; what is handed over or willed may come later than that.
  const heard = load.subscribers.map((each) => each.until(({ got }) => got.has('end')))
  await Promise.race([Promise.all(heard), tooLate])
  const lostRetained = await countLostRetained(world, load.retained, tooLate)
  await Promise.race([Promise.all(audiences.map((audience) => audience.untilCame())), tooLate])
  end.stop()
  const lostSessions = load.all.reduce((sum, each) => sum + each.lostSessions, 0)
  const verdict = { ...judge(audiences), unfinished, lostSessions, lostRetained }
  const { name, store } = fault
  const missing = listLost(audiences)
  const report = fault.report?.(world, verdict) ?? { remarks: [], broken: [] }
  return { fault: name, store, strikes: world.strikes, ...verdict, missing, ...report }
}

/** How many retained messages are older than the last of their topic that was acknowledged. */
async function countLostRetained(
  world: World,
  publishers: readonly Publisher[],
  tooLate: Promise<unknown>,
): Promise<number> {
  const fresh = new Subscriber(world, 'fresh', ['r/#'])
  fresh.start()
  const allCame = fresh.until(({ got }) => publishers.every(({ topic }) => got.has(topic)))
  await Promise.race([allCame, tooLate])
  fresh.stop()
  const lost = publishers.filter(({ topic, acknowledged }) => {
    const [number = 0] = fresh.got.get(topic) ?? []
    return number < Math.max(0, ...acknowledged)
  })
  return lost.length
}
