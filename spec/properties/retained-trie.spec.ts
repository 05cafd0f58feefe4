import test from 'ava'
import fc from 'fast-check'
import { RetainedMessages } from '../../lib/retained/retained-messages.ts'
import { anyTopicFilter, anyTopicName, naiveMatch } from '../support/naive-matcher.ts'
import { bodyOf } from '../support/retained-body.ts'

interface Kept {
  readonly text: string
  readonly expiresAt: number
  readonly version: number
}

/** The retained messages under test beside the truth as a plain map. */
class World {
  readonly messages = new RetainedMessages({ messagesMax: 1000, bytesMax: 1_000_000 })
  readonly kept = new Map<string, Kept>()
  now = 1000
  sets = 0

  set(topic: string, lifeMs: number): void {
    this.sets++
    const text = `message ${this.sets}`
    const expiresAt = lifeMs === 0 ? Number.POSITIVE_INFINITY : this.now + lifeMs
    this.kept.set(topic, { text, expiresAt, version: this.sets })
    this.messages.set(topic, bodyOf(topic, text), 1, expiresAt, this.now)
  }

  clear(topic: string): void {
    this.messages.clear(topic)
    this.kept.delete(topic)
  }

  /** Forgets what has expired; the messages under test may keep it, but must not show it. */
  dropExpired(): void {
    for (const [topic, { expiresAt }] of this.kept) {
      if (expiresAt <= this.now) this.kept.delete(topic)
    }
  }

  expected(topicFilter: string): unknown {
    this.dropExpired()
    const matching = [...this.kept].filter(([topic]) => naiveMatch(topicFilter, topic))
    return matching.toSorted(byTopic)
  }

  found(topicFilter: string): unknown {
    const entries = this.messages.lookup(topicFilter, this.now).map((match): [string, Kept] => {
      const { topic, expiresAt, version } = match
      const text = this.messages.bodyOf(match).toString('utf8', bodyOf(topic, '').length)
      return [topic, { text, expiresAt, version }]
    })
    return entries.toSorted(byTopic)
  }
}

function byTopic([a]: [string, unknown], [b]: [string, unknown]): number {
  return a < b ? -1 : 1
}

type Step = (world: World) => void
const anyStep: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.tuple(anyTopicName, fc.constantFrom(0, 0, 1, 5, 20)).map(
      ([topic, lifeMs]) =>
        (world: World) =>
          world.set(topic, lifeMs),
    ),
  },
  {
    weight: 2,
    arbitrary: anyTopicName.map((topic) => (world: World) => world.clear(topic)),
  },
  {
    weight: 2,
    arbitrary: fc.nat(10).map((ms) => (world: World) => {
      world.now += ms
    }),
  },
  { weight: 1, arbitrary: fc.constant((world: World) => void world.messages.expire(world.now)) },
)

test('a lookup finds the retained messages that the rules of section 4.7 name', (t) => {
  fc.assert(
    fc.property(
      fc.array(anyStep, { maxLength: 60 }),
      fc.array(anyTopicFilter),
      (steps, filters) => {
        const world = new World()
        for (const step of steps) {
          step(world)
          t.deepEqual(world.found('#'), world.expected('#'))
        }
        for (const filter of [...filters, '$s/#', '+/+', 'a/#']) {
          t.deepEqual(world.found(filter), world.expected(filter))
        }

        world.messages.expire(world.now)
        t.is(world.messages.count, world.kept.size)
        const bytes = [...world.kept].map(([topic, { text }]) => bodyOf(topic, text).length)
        t.is(
          world.messages.bytes,
          bytes.reduce((sum, length) => sum + length, 0),
        )
      },
    ),
    { numRuns: 200 },
  )
})
