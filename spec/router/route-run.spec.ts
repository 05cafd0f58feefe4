/** In which order the receivers of a run of messages get them. */

import { Buffer } from 'node:buffer'
import test from 'ava'
import { Message } from '../../lib/protocol/message.ts'
import { MessageRun } from '../../lib/protocol/message-run.ts'
import { RetainedMessages } from '../../lib/retained/retained-messages.ts'
import { Router } from '../../lib/router/router.ts'
import type { Subscriber } from '../../lib/router/subscriber.ts'
import { MemoryStore } from '../../lib/storage/memory.ts'
import { MemoryBudget } from '../../lib/util/memory-budget.ts'
import { seededRandom } from '../../lib/util/random.ts'
import { ManualClock } from '../support/clock.ts'

const PACKET_BYTES = 4

/** Says what it gets; takes runs if it is told to. */
class Receiver implements Subscriber {
  readonly clientIdentifier: string
  readonly durable = undefined
  readonly isOnline = true
  readonly inFlightCount = 0
  readonly #takesRuns: boolean
  readonly #got: string[]

  constructor(clientIdentifier: string, takesRuns: boolean, got: string[]) {
    this.clientIdentifier = clientIdentifier
    this.#takesRuns = takesRuns
    this.#got = got
  }

  deliver({ payloadStart }: Message): void {
    this.#got.push(`${this.clientIdentifier} ${payloadStart / PACKET_BYTES}`)
  }

  deliverRun({ count }: MessageRun): boolean {
    if (this.#takesRuns) this.#got.push(`${this.clientIdentifier} all ${count}`)
    return this.#takesRuns
  }

  deliverStored(): void {}
  giveAway(): () => void {
    return () => {}
  }

  admits(): boolean {
    return true
  }
}

/** Says who got what; undefined where each is to be routed by itself. */
function route(receivers: (got: string[]) => readonly Subscriber[]): string[] | undefined {
  const clock = new ManualClock()
  const budget = new MemoryBudget(1e12)
  const router = new Router(
    { sharedStrategy: 'round-robin', retainedExpirySeconds: 0 },
    {
      store: new MemoryStore(clock, budget),
      retained: new RetainedMessages({ messagesMax: 1, bytesMax: 1 }, budget),
      clock,
      random: seededRandom(1),
      budget,
    },
  )
  const got: string[] = []
  const publisher = new Receiver('publisher', true, got)
  for (const receiver of receivers(got)) {
    router.subscribe(receiver, {
      topicFilter: 'a',
      qos: 0,
      noLocal: false,
      retainAsPublished: false,
      subscriptionIdentifier: 0,
    })
  }
  const bytes = Buffer.alloc(3 * PACKET_BYTES)
  const first = new Message('a', 0, false, Number.POSITIVE_INFINITY, bytes)
  const asked = router.runReceiversOf(first, publisher)
  if (asked === undefined) return undefined
  router.routeRun(new MessageRun(first, 0, 3, PACKET_BYTES, 0), asked, publisher)
  return got
}

/** In pairs as they came, each sorted: which of two receivers is first is nobody's business. */
function byMessage(got: readonly string[]): string[] {
  return [0, 2, 4].flatMap((at) => got.slice(at, at + 2).toSorted())
}

test('who takes it gets it whole; of the others all get one message before any gets the next', (t) => {
  const got = route((all) => [
    new Receiver('A', false, all),
    new Receiver('B', true, all),
    new Receiver('C', false, all),
  ])

  t.is(got?.[0], 'B all 3')
  t.deepEqual(byMessage(got?.slice(1) ?? []), ['A 0', 'C 0', 'A 1', 'C 1', 'A 2', 'C 2'])
})

test('beside a receiver that knows no runs each message is routed by itself', (t) => {
  const got = route((all) => {
    const plain: Subscriber = new Receiver('A', false, all)
    Object.assign(plain, { deliverRun: undefined })
    return [plain, new Receiver('B', true, all)]
  })

  t.is(got, undefined)
})
