/**
 * A campaign: clients publish and receive under load while a fault strikes, round after round; then the
 * load ends, everybody comes back, and what was promised is compared with what came.
 */

import { setTimeout as delay } from 'node:timers/promises'
import { type Random, seededRandom } from '../../lib/util/random.ts'
import type { Fault } from './fault.ts'
import { Publisher } from './publisher.ts'
import { Subscriber, WillClient } from './subscriber.ts'
import {
  type Audience,
  countLost,
  expectedOf,
  expectedWills,
  judge,
  listLost,
  type Row,
} from './verdict.ts'
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

const WINDOW = 12

class Load {
  readonly publishers: Publisher[]
  readonly retained: Publisher
  readonly alone: Subscriber[]
  readonly members: Subscriber[]
  readonly wills: WillClient[] = []
  readonly #world: World
  readonly #random: Random

  constructor(world: World, random: Random) {
    this.#world = world
    this.#random = random
    this.publishers = [1, 2, 3, 4].map((n) => {
      const qos = n % 2 === 0 ? 2 : 1
      return new Publisher(world, `p${n}`, { topic: `t/${n}`, qos, window: WINDOW })
    })
    const options = { topic: 'r/1', qos: 1, window: 1, isRetained: true } as const
    this.retained = new Publisher(world, 'retained', options)
    this.alone = [1, 2].map((n) => new Subscriber(world, `s${n}`, ['t/#', 'w/#', 'end']))
    this.members = [1, 2].map((n) => new Subscriber(world, `m${n}`, ['$share/g/t/#', 'end']))
  }

  get subscribers(): Subscriber[] {
    return [...this.alone, ...this.members]
  }

  get all(): (Publisher | Subscriber)[] {
    return [...this.publishers, this.retained, ...this.subscribers]
  }

  async start(): Promise<void> {
    for (const subscriber of this.subscribers) subscriber.start()
    await Promise.all(this.subscribers.map(({ subscribed }) => subscribed))
    for (const publisher of [...this.publishers, this.retained]) publisher.start()
  }

  /** Lets some subscribers leave and others come back. */
  shuffle(): void {
    for (const subscriber of this.subscribers) {
      subscriber.stop()
      if (this.#random.below(4) > 0) subscriber.start()
    }
  }

  addWill(round: number): void {
    const will = new WillClient(this.#world, `w${round}`, `w/${round}`)
    this.wills.push(will)
    will.start()
  }

  /** A client that has a will and was killed with its broker does not come back. */
  stopWills(): void {
    for (const will of this.wills) will.stop()
  }

  /** Everybody comes back; resolves when all that was sent is acknowledged. */
  async finish(): Promise<void> {
    for (const subscriber of this.subscribers) {
      subscriber.stop()
      subscriber.start()
    }
    await Promise.all([...this.publishers, this.retained].map((publisher) => publisher.finish()))
  }

  /** Exchanges of publishers that are not over. */
  get unfinished(): number {
    const publishers = [...this.publishers, this.retained]
    return publishers.reduce((sum, { underWay }) => sum + underWay.size, 0)
  }

  stop(): void {
    for (const client of this.all) client.stop()
    this.stopWills()
  }
}

/** Runs `fault` and says what became of everything. */
export async function run(fault: Fault, options: CampaignOptions): Promise<Row> {
  const random = seededRandom(options.seed)
  const world = new World(await fault.prepare())
  const load = new Load(world, random)
  try {
    await world.startBroker()
    await load.start()
    for (let round = 1; round <= options.rounds; round++) {
      if (fault.killsBroker) load.addWill(round)
      await delay(ROUND_MIN_MS + random.below(ROUND_MAX_MS - ROUND_MIN_MS))
      await fault.strike(world, random, () => load.stopWills())
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
  const numbered = expectedOf(load.publishers)
  const expected = [...numbered, ...expectedWills(load.wills)]
  const audiences: Audience[] = [
    ...load.alone.map((subscriber) => ({ subscribers: [subscriber], expected })),
    { subscribers: load.members, expected: numbered },
  ]
  // The marker comes behind all else; what is handed over or willed may come later than that.
  const heard = load.subscribers.map((each) => each.until(({ got }) => got.has('end')))
  await Promise.race([Promise.all(heard), tooLate])
  while (countLost(audiences) > 0 && !timeout.aborted) await delay(50)
  end.stop()
  const lostSessions = load.all.reduce((sum, each) => sum + each.lostSessions, 0)
  const lostRetained = await countLostRetained(world, load.retained, tooLate)
  const { name, store } = fault
  const missing = listLost(audiences)
  const rest = { unfinished, lostSessions, lostRetained, missing }
  return { fault: name, store, strikes: world.strikes, ...judge(audiences), ...rest }
}

/** 1 if the retained message is older than the last that was acknowledged. */
async function countLostRetained(
  world: World,
  { topic, acknowledged }: Publisher,
  tooLate: Promise<unknown>,
): Promise<number> {
  const fresh = new Subscriber(world, 'fresh', [topic])
  fresh.start()
  await Promise.race([fresh.until(({ got }) => got.has(topic)), tooLate])
  fresh.stop()
  const [number = 0] = fresh.got.get(topic) ?? []
  return number >= Math.max(0, ...acknowledged) ? 0 : 1
}
