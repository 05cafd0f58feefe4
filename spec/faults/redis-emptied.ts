/** Redis is killed, and comes back without anything that it had. */

import { setTimeout as delay } from 'node:timers/promises'
import type { Random } from '../../lib/util/random.ts'
import { type Clients, RedisFault, type Report, TAKES_NOTHING } from './fault.ts'
import type { Verdict } from './verdict.ts'
import type { World } from './world.ts'

/** What the broker logs when it has written to Redis what it knows. */
const GIVEN_BACK = 'the store had lost what it kept'

/** How long the load runs at most before Redis dies, and before the broker does. */
const BUSY_MAX_MS = 200

/**
 * What waits in Redis alone is lost, and nothing else. Every other time nothing waits there for those who
 * are connected: they miss nothing. Two times in three the broker is killed as well, and has to find in
 * Redis what it wrote back.
 */
export class RedisEmptied extends RedisFault {
  readonly name = 'Redis came back empty'
  readonly killsBroker = true

  constructor() {
    super('always')
  }

  async strike(world: World, random: Random, clients: Clients): Promise<void> {
    if (random.below(2) === 0) await clients.catchUp()
    await delay(random.below(BUSY_MAX_MS))
    await world.untilLogged(TAKES_NOTHING, () => this.redis.kill())
    world.strikes++
    await clients.concede()
    this.redis.forget()
    await world.untilLogged(GIVEN_BACK, () => this.redis.start())
    const fate = random.below(3)
    // Before anybody leaves who has something under way.
    if (fate > 0) await clients.catchUp()
    if (fate === 1) return
    await delay(random.below(BUSY_MAX_MS))
    await world.killBroker()
    clients.died()
    await world.startBroker()
  }

  report(world: World, { conceded }: Verdict): Report {
    const told = world
      .linesWith(GIVEN_BACK)
      .reduce((sum, line) => sum + Number(line['messages']), 0)
    const missing = conceded - told
    return {
      remarks: [
        `${conceded} messages that waited in Redis alone are lost; the broker told of ${told}`,
      ],
      broken: missing > 0 ? [`${missing} messages were lost without a word`] : [],
    }
  }
}
