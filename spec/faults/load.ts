/** All clients of a campaign: who publishes, who subscribes, who comes and goes. */

import { setTimeout as delay } from 'node:timers/promises'
import type { Random } from '../../lib/util/random.ts'
import { nextTurn } from '../support/turns.ts'
import { Audience, expectedOf, expectedWills, underWayOf } from './audience.ts'
import type { Clients } from './fault.ts'
import { Publisher } from './publisher.ts'
import { Subscriber, WillClient } from './subscriber.ts'
import { Visitor } from './visitor.ts'
import type { World } from './world.ts'

const WINDOW = 12

export class Load implements Clients {
  readonly publishers: readonly Publisher[]
  /** One whose message is replaced all the time, and one whose message stays. */
  readonly retained: readonly Publisher[]
  readonly audiences: readonly Audience[]
  readonly #wills: WillClient[] = []
  readonly #world: World
  readonly #random: Random
  /** Longest time to wait for what has to come. */
  readonly #patienceMs: number
  /** Those who were all connected when nothing waited for them; undefined when somebody has left since. */
  #caughtUp: ReadonlySet<Audience> | undefined

  constructor(world: World, random: Random, patienceMs: number) {
    this.#world = world
    this.#random = random
    this.#patienceMs = patienceMs
    this.publishers = [1, 2, 3, 4].map((n) => {
      const qos = n % 2 === 0 ? 2 : 1
      return new Publisher(world, `p${n}`, { topic: `t/${n}`, qos, window: WINDOW })
    })
    const options = { qos: 1, window: 1, isRetained: true } as const
    this.retained = [
      new Publisher(world, 'r1', { topic: 'r/1', ...options }),
      new Publisher(world, 'r2', { topic: 'r/2', ...options, most: 1 }),
    ]
    const alone = [1, 2].map((n) => new Subscriber(world, `s${n}`, ['t/#', 'w/#', 'end']))
    const members = [1, 2].map((n) => new Subscriber(world, `m${n}`, ['$share/g/t/#', 'end']))
    const numbered = () => expectedOf(this.publishers)
    const all = () => [...numbered(), ...expectedWills(this.#wills)]
    this.audiences = [
      ...alone.map((subscriber) => new Audience([subscriber], all)),
      new Audience(members, numbered),
    ]
  }

  get subscribers(): Subscriber[] {
    return this.audiences.flatMap(({ subscribers }) => subscribers)
  }

  get all(): (Publisher | Subscriber)[] {
    return [...this.#sources, ...this.subscribers]
  }

  get #sources(): Publisher[] {
    return [...this.publishers, ...this.retained]
  }

  async start(): Promise<void> {
    for (const subscriber of this.subscribers) subscriber.start()
    await Promise.all(this.subscribers.map(({ subscribed }) => subscribed))
    for (const publisher of this.#sources) publisher.start()
  }

  /** Lets some subscribers leave and others come back. */
  shuffle(): void {
    this.#caughtUp = undefined
    for (const subscriber of this.subscribers) {
      subscriber.stop()
      if (this.#random.below(4) > 0) subscriber.start()
    }
  }

  addWill(round: number): void {
    const will = new WillClient(this.#world, `w${round}`, `w/${round}`)
    this.#wills.push(will)
    will.start()
  }

  died(): void {
    for (const will of this.#wills) will.stop()
  }

  async catchUp(): Promise<void> {
    await this.#inTime(Promise.all(this.#sources.map((publisher) => publisher.finish())))
    const connected = this.audiences.filter(({ isConnected }) => isConnected)
    const expected = expectedOf(this.publishers)
    await this.#inTime(Promise.all(connected.map((audience) => audience.untilCame(expected))))
    for (const audience of connected) audience.insist(expected)
    this.#caughtUp = new Set(connected)
    for (const publisher of this.#sources) publisher.goOn()
  }

  async concede(): Promise<void> {
    // All that was acknowledged before is noted first.
    await new Visitor(this.#world).visit()
    await nextTurn()
    // What the store has may be acknowledged later: to whom it was sent again, or when another member has it.
    const underWay = this.#caughtUp === undefined ? underWayOf(this.publishers) : []
    for (const audience of this.audiences)
      if (this.#caughtUp?.has(audience) !== true)
        audience.concede([...audience.expected, ...underWay])
  }

  /** Everybody comes back; resolves when all that was sent is acknowledged. */
  async finish(): Promise<void> {
    this.died()
    for (const subscriber of this.subscribers) {
      subscriber.stop()
      subscriber.start()
    }
    await Promise.all(this.#sources.map((publisher) => publisher.finish()))
  }

  /** Exchanges of publishers that are not over. */
  get unfinished(): number {
    return this.#sources.reduce((sum, { underWay }) => sum + underWay.size, 0)
  }

  stop(): void {
    for (const client of this.all) client.stop()
    this.died()
  }

  /** What does not come in time is found missing in the end. */
  async #inTime(work: Promise<unknown>): Promise<void> {
    const timer = new AbortController()
    const { signal } = timer
    const late = delay(this.#patienceMs, undefined, { signal, ref: false }).catch(() => {})
    await Promise.race([work, late])
    timer.abort()
  }
}
