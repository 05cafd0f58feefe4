import { Buffer } from 'node:buffer'
import test, { type ExecutionContext } from 'ava'
import fc from 'fast-check'
import { composeBody, Message } from '../../lib/protocol/message.ts'
import type { Qos } from '../../lib/protocol/packets.ts'
import { RetainedMessages } from '../../lib/retained/retained-messages.ts'
import { Router } from '../../lib/router/router.ts'
import type { Outlet } from '../../lib/session/outlet.ts'
import { Session } from '../../lib/session/session.ts'
import type { SessionParts } from '../../lib/session/session-parts.ts'
import { MemoryStore } from '../../lib/storage/memory.ts'
import { packetIdentifierOf } from '../../lib/storage/storage.ts'
import { Counters } from '../../lib/util/counters.ts'
import { MemoryBudget } from '../../lib/util/memory-budget.ts'
import { seededRandom } from '../../lib/util/random.ts'
import { ManualClock } from '../support/clock.ts'

function makeParts(): SessionParts {
  const clock = new ManualClock()
  const budget = new MemoryBudget(1e12)
  const store = new MemoryStore(clock, budget)
  const retainedLimits = { messagesMax: 1, bytesMax: 1 }
  const retained = new RetainedMessages(retainedLimits, budget)
  const router = new Router(
    { sharedStrategy: 'round-robin', retainedExpirySeconds: 0 },
    { store, retained, clock, random: seededRandom(1), budget },
  )
  const limits = {
    queueMessagesMax: 100_000,
    queueBytesMax: 1e9,
    queuePolicy: 'drop-oldest' as const,
    inflightMax: 65_535,
  }
  return { router, retained, store, clock, counters: new Counters(), budget, limits, dropped() {} }
}

function messageOf(content: string, qos: Qos): Message {
  const body = composeBody('t', Buffer.alloc(0), Buffer.from(content))
  return Message.fromBody(body, qos, false, Number.POSITIVE_INFINITY)
}

/** A client that acknowledges what and when the plan says, and checks what a client may rely on. */
class Client implements Outlet {
  readonly isSlowed = false
  readonly receiveMaximum: number
  /** Unacknowledged on this connection: Packet Identifier → content and the answer it waits for. */
  readonly unacknowledged = new Map<
    number,
    { content: string; next: 'puback' | 'pubrec' | 'pubcomp' }
  >()
  /** Contents in the order of their first arrival, and those of this connection. */
  readonly contents: string[] = []
  readonly arrivals: { content: string; isDuplicate: boolean }[] = []
  /** PUBREL that came, to be answered by PUBCOMP. */
  readonly released = new Set<number>()
  readonly faults: string[] = []
  isWritable = true

  constructor(receiveMaximum: number) {
    this.receiveMaximum = receiveMaximum
  }

  sendPublish(
    message: Message,
    qos: Qos,
    _retain: boolean,
    isDuplicate: boolean,
    packetIdentifier: number,
  ): boolean {
    const content = message.payload.toString()
    if (packetIdentifier < 1 || packetIdentifier > 65_535) this.faults.push('no identifier')
    if (this.unacknowledged.has(packetIdentifier)) this.faults.push('a live identifier again')
    this.unacknowledged.set(packetIdentifier, { content, next: qos === 1 ? 'puback' : 'pubrec' })
    if (this.unacknowledged.size > this.receiveMaximum) this.faults.push('over Receive Maximum')
    if (this.contents.includes(content) !== isDuplicate) this.faults.push('DUP is wrong')
    if (!isDuplicate) this.contents.push(content)
    this.arrivals.push({ content, isDuplicate })
    return true
  }

  sendRun(): boolean {
    return false
  }

  sendPubrel(packetIdentifier: number): void {
    this.released.add(packetIdentifier)
  }

  sendPubrels(): void {
    this.faults.push('a row where none came')
  }

  endFor(_reasonCode: number, rule: string): void {
    this.faults.push(rule)
  }

  /** Acknowledges the n-th of what waits for an answer. */
  answer(session: Session, n: number, isFailure: boolean): void {
    const open = [...this.unacknowledged].filter(
      ([id, { next }]) => next !== 'pubcomp' || this.released.has(id),
    )
    const [packetIdentifier, entry] = open[n % (open.length || 1)] ?? []
    if (packetIdentifier === undefined || entry === undefined) return
    const { next } = entry
    const exchanges = session.exchanges!
    if (next === 'pubrec' && !isFailure) {
      entry.next = 'pubcomp'
      if (!exchanges.handlePubrec(packetIdentifier, 0)) this.faults.push('PUBREC refused')
      session.pump()
      return
    }
    this.unacknowledged.delete(packetIdentifier)
    this.released.delete(packetIdentifier)
    if (next === 'puback' && !exchanges.handlePuback(packetIdentifier))
      this.faults.push('PUBACK refused')
    if (next === 'pubrec') exchanges.handlePubrec(packetIdentifier, 0x97)
    if (next === 'pubcomp' && !exchanges.handlePubcomp(packetIdentifier))
      this.faults.push('PUBCOMP refused')
    session.pump()
  }
}

type Step =
  | { readonly does: 'publish'; readonly qos: Qos }
  | { readonly does: 'answer'; readonly n: number; readonly isFailure: boolean }
  | { readonly does: 'block' }

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ does: fc.constant('publish'), qos: fc.constantFrom(1, 2) }) },
  {
    weight: 4,
    arbitrary: fc.record({
      does: fc.constant('answer'),
      n: fc.oneof(fc.constant(0), fc.nat()),
      isFailure: fc.constantFrom(false, false, true),
    }),
  },
  { weight: 1, arbitrary: fc.record({ does: fc.constant('block') }) },
)
const steps = fc.array(step, { maxLength: 120, size: 'max' })

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}

/** Delivers as the router does: through the store where the session is durable. */
function deliver(session: Session, parts: SessionParts, message: Message): void {
  parts.router.deliverTo(session, message, message.qos, false, undefined, undefined)
}

async function run(
  t: ExecutionContext,
  session: Session,
  parts: SessionParts,
  receiveMaximum: number,
  plan: readonly Step[],
): Promise<void> {
  const client = new Client(receiveMaximum)
  session.attach(client)
  session.resume()
  const published: string[] = []
  for (const each of plan) {
    if (each.does === 'publish') {
      published.push(`${published.length}`)
      deliver(session, parts, messageOf(published.at(-1) ?? '', each.qos))
    } else if (each.does === 'answer') client.answer(session, each.n, each.isFailure)
    else client.isWritable = !client.isWritable
    if (client.isWritable) session.pump()
    if (session.durable !== undefined) await turn()
    t.deepEqual(client.faults, [])
  }
  client.isWritable = true
  session.pump()
  for (let i = 0; i < 1_000 && client.unacknowledged.size > 0; i++) {
    client.answer(session, i, false)
    if (session.durable !== undefined) await turn()
  }

  t.deepEqual(client.faults, [])
  t.deepEqual(client.contents, published)
  t.is(session.inFlightCount, 0)
}

const durable = { cleanStart: true, expirySeconds: 100, will: undefined }
const receiveMaximum = fc.constantFrom(1, 2, 5, 20)

test('[MQTT-3.3.4-9] [MQTT-2.2.1-4] [MQTT-4.6.0-5] a session sends in order, within the Receive Maximum, and never with an identifier that is in use', async (t) => {
  await fc.assert(
    fc.asyncProperty(receiveMaximum, steps, async (maximum, plan) => {
      const parts = makeParts()
      const session = new Session('c', parts, undefined)
      await run(t, session, parts, maximum, plan)
      session.dispose()
      t.is(parts.budget.usedBytes, 0)
    }),
    { numRuns: 150 },
  )
})

test('[MQTT-3.3.4-9] [MQTT-2.2.1-4] [MQTT-4.6.0-5] a durable session does so too, and leaves the store empty', async (t) => {
  await fc.assert(
    fc.asyncProperty(receiveMaximum, steps, async (maximum, plan) => {
      const parts = makeParts()
      const stored = await parts.store.claim('c', durable)
      const session = new Session('c', parts, stored)
      await run(t, session, parts, maximum, plan)
      const left = await parts.store.readQueue(stored.ref, 0, 1_000, 1e9)
      t.deepEqual(left, [])
    }),
    { numRuns: 40 },
  )
})

test('[MQTT-2.2.1-4] a message that is never acknowledged holds up those that would need its identifier', (t) => {
  const parts = makeParts()
  const session = new Session('c', parts, undefined)
  const client = new Client(10)
  session.attach(client)
  session.resume()
  for (let i = 1; i <= 65_535; i++) {
    deliver(session, parts, messageOf('x', 1))
    client.contents.length = 0 // All have one content here.
    if (client.unacknowledged.size > 1) client.answer(session, 1, false)
  }

  const sentBefore = client.arrivals.length
  t.is(sentBefore, 65_534)

  client.answer(session, 0, false)
  t.is(client.arrivals.length, 65_535)
})

test('[MQTT-4.4.0-1] a session that resumes sends again what was not acknowledged, in order, before anything else', async (t) => {
  const parts = makeParts()
  const stored = await parts.store.claim('c', durable)
  const session = new Session('c', parts, stored)
  const first = new Client(4)
  session.attach(first)
  session.resume()
  for (const i of [0, 1, 2, 3, 4, 5]) deliver(session, parts, messageOf(`${i}`, i === 1 ? 2 : 1))
  await turn()
  first.answer(session, 1, false) // PUBREC for 1.
  first.answer(session, 1, false) // PUBACK for 2, which lets 4 go.
  await turn()
  session.detach()

  const second = new Client(4)
  second.contents.push(...first.contents)
  session.attach(second)
  session.resume()
  await turn()

  t.deepEqual([...second.released], [packetIdentifierOf(2)])
  t.deepEqual(
    second.arrivals.map(({ content, isDuplicate }) => `${content} ${isDuplicate}`),
    ['0 true', '3 true', '4 true', '5 false'],
  )
  t.deepEqual(second.faults, [])
})
