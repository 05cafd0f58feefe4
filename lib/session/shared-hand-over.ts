/**
 * What happens to messages of shared subscriptions when a member leaves (section 4.8.2).
 *
 * Not yet sent: goes to another member that is online, at once. Sent at QoS 1 and not acknowledged: goes
 * to another member when the session ends. Sent at QoS 2: stays with the session, even beyond its end.
 * Nothing is taken from a durable session before it stands in the queue of the next.
 */

import { Message } from '../protocol/message.ts'
import { lowerQos } from '../protocol/qos.ts'
import { whenDurable } from '../router/publication.ts'
import type { Router } from '../router/router.ts'
import type { SharedGroup, SharedMember } from '../router/shared-group.ts'
import type { Share } from '../router/subscriber.ts'
import { type QueueEntry, type Seq, type Store, StoreError } from '../storage/storage.ts'
import type { Timers } from '../util/timers.ts'
import type { Delivery } from './delivery.ts'
import { Session } from './session.ts'
import type { LifeParts } from './session-life.ts'

/** How many messages are moved at once, and read for it. */
const MOVES_AT_ONCE = 256
const READ_MAX = 1_024
const READ_BYTES_MAX = 1024 * 1024

/** How long until a store that did not give a message is asked again. */
const RETRY_MS = 1_000

/** What could not be moved: there is nobody who could have it, or the store failed. */
interface Rest {
  readonly deliveries: readonly Delivery[]
  readonly isFailed: boolean
}

type Among = 'online members' | 'all members'

export class SharedHandOver {
  readonly #router: Router
  readonly #store: Store
  readonly #timers: Timers
  readonly #dropped: LifeParts['dropped']
  /** The last move out of each session: one after the other keeps the messages in order. */
  readonly #moves = new WeakMap<Session, Promise<void>>()

  constructor({ router, store, timers, dropped }: LifeParts) {
    this.#router = router
    this.#store = store
    this.#timers = timers
    this.#dropped = dropped
  }

  /** A durable member is offline: those who are online get what it was not sent. */
  leave(session: Session): Promise<void> {
    return this.#inTurn(session, async () => {
      for (const group of groupsOf(session, this.#router)) {
        if (session.shared?.hasUnsent !== true || session.isOnline) return
        if (!group.hasOnline(session)) continue
        await this.#moveUnsent(session, group, 'online members')
      }
      session.shrink()
    })
  }

  /** A member is online: it may get what waits in the queues of members that are not. */
  gather(session: Session): void {
    const groups = groupsOf(session, this.#router)
    if (groups.length === 0) return
    const absent = new Set<Session>()
    for (const group of groups) {
      for (const { subscriber } of group.members) {
        if (!(subscriber instanceof Session) || subscriber.isOnline) continue
        if (subscriber.shared?.hasUnsent === true) absent.add(subscriber)
      }
    }
    for (const member of absent) void this.leave(member)
  }

  /** A member has left its group: the others get what it was not sent; if there are none, it does. */
  unsubscribe(session: Session, group: SharedGroup): void {
    void this.#inTurn(session, () => this.#moveUnsent(session, group, 'all members'))
  }

  /** A session ended, and has left its groups: all it was not acknowledged goes to whoever is left. */
  end(session: Session): Promise<void> {
    return this.#inTurn(session, async () => {
      const { shared } = session
      if (shared === undefined) return
      if (shared.hasUnsent) await this.#untilDone(() => session.readBacklog())
      const deliveries = [...shared.takeUnacknowledged(), ...shared.takeUnsent()]
      let rest = await this.#move(session, deliveries, 'all members')
      // With the session the store removes what is left: not before the others have what is theirs.
      while (rest.isFailed) {
        await this.#pause()
        rest = await this.#move(session, rest.deliveries, 'all members')
      }
      for (const { message } of rest.deliveries) this.#dropped(session, message, 'no member left')
    })
  }

  #inTurn(from: Session, act: () => Promise<void>): Promise<void> {
    const move = (this.#moves.get(from) ?? Promise.resolve()).then(act, act)
    this.#moves.set(from, move)
    return move
  }

  /** Moves what can be moved of what a session that goes on was not sent. */
  async #moveUnsent(from: Session, group: SharedGroup, among: Among): Promise<void> {
    try {
      await from.readBacklog()
    } catch {
      return // A store that fails keeps what it has: the next change of a member tries again.
    }
    const { shared } = from
    if (shared === undefined) return
    const unsent = shared.takeUnsent(group)
    const rest = await this.#move(from, unsent, among)
    for (const delivery of from.putBackShared(rest.deliveries)) await this.#renumber(from, delivery)
    shared.free(unsent.length)
  }

  /** Puts a message at the end of the queue it stands in. Until it is there, it counts as not acknowledged. */
  async #renumber(from: Session, delivery: Delivery): Promise<void> {
    const { seq, qos, retain, identifiers, group } = delivery
    const message = delivery.message ?? (await this.#messageOf(from, delivery))
    if (message === undefined) return
    const arrived = from.giveAway(seq)
    const again = this.#router.deliverTo(from, message, qos, retain, identifiers, group)
    whenDurable(again, arrived)
  }

  /** Moves what can be moved, a page at a time; returns the rest. */
  async #move(from: Session, deliveries: readonly Delivery[], among: Among): Promise<Rest> {
    const rest: Delivery[] = []
    let done = 0
    while (done < deliveries.length) {
      const page = deliveries.slice(done, done + MOVES_AT_ONCE)
      const moves = await this.#begin(from, page, among).catch((): Promise<boolean>[] => [])
      const results = await Promise.allSettled(moves)
      done += results.length
      const isMoved = (i: number): boolean => results[i]?.status === 'fulfilled' && results[i].value
      rest.push(...page.filter((_, i) => i < results.length && !isMoved(i)))
      // A store that fails keeps what it has: the next change of a member tries again.
      const isFailed = results.some(({ status }) => status === 'rejected')
      if (isFailed || results.length === 0) {
        return { deliveries: [...rest, ...deliveries.slice(done)], isFailed: true }
      }
    }
    return { deliveries: rest, isFailed: false }
  }

  /** Begins to move the first messages of a page, in order; says of each, in time, whether it was moved. */
  async #begin(
    from: Session,
    page: readonly Delivery[],
    among: Among,
  ): Promise<Promise<boolean>[]> {
    const { messages, reach } = await this.#messagesOf(from, page)
    return page
      .filter(({ seq }) => seq <= reach)
      .map((delivery) => {
        const message = delivery.message ?? messages.get(delivery.seq)
        // Acknowledged or dropped meanwhile.
        if (message === undefined) return Promise.resolve(true)
        return this.#moveOne(from, delivery, message, among)
      })
  }

  /** Reads one message, however long the store cannot give it: nobody else would send it any more. */
  async #messageOf(from: Session, delivery: Delivery): Promise<Message | undefined> {
    const { messages } = await this.#untilDone(() => this.#messagesOf(from, [delivery]))
    return messages.get(delivery.seq)
  }

  /** Tries until the store does it; rejects only when the store is closed. */
  async #untilDone<T>(attempt: () => Promise<T>): Promise<T> {
    for (;;) {
      try {
        return await attempt()
      } catch (error) {
        if (error instanceof StoreError && error.code === 'closed') throw error
        await this.#pause()
      }
    }
  }

  #pause(): Promise<void> {
    return new Promise((resolve) => this.#timers.after(RETRY_MS, resolve))
  }

  /** Reads what the store alone has of a page, as far as `reach`. */
  async #messagesOf(
    from: Session,
    page: readonly Delivery[],
  ): Promise<{ readonly messages: ReadonlyMap<Seq, Message>; readonly reach: Seq }> {
    const messages = new Map<Seq, Message>()
    const all = { messages, reach: Number.POSITIVE_INFINITY }
    if (from.durable === undefined) return all
    const missing = page.filter(({ message }) => message === undefined)
    const [first] = missing
    if (first === undefined) return all
    const count = Math.min((missing.at(-1)?.seq ?? 0) - first.seq + 1, READ_MAX)
    const entries = await this.#store.readQueue(from.durable, first.seq - 1, count, READ_BYTES_MAX)
    for (const { seq, body, qos, retain, expiresAt } of entries) {
      messages.set(seq, Message.fromBody(body, qos, retain, expiresAt))
    }
    return entries.length === 0 ? all : { messages, reach: entries.at(-1)?.seq ?? 0 }
  }

  async #moveOne(
    from: Session,
    delivery: Delivery,
    message: Message,
    among: Among,
  ): Promise<boolean> {
    for (;;) {
      // All members of a group may have left, and others made it anew.
      const group = this.#router.groupOf((delivery.group as Share).share)
      const member =
        among === 'online members'
          ? group?.pickOnline(message, from)
          : group?.pick(message, undefined, from)
      if (group === undefined || member === undefined) return false
      if (await this.#give(from, delivery, message, member, group)) return true
    }
  }

  /** Returns false if the member has gone meanwhile. */
  async #give(
    from: Session,
    delivery: Delivery,
    message: Message,
    { subscriber, qos: grantedQos, identifiers, retainAsPublished }: SharedMember,
    group: SharedGroup,
  ): Promise<boolean> {
    const qos = lowerQos(message.qos, grantedQos)
    const retain = delivery.retain && retainAsPublished
    const source = from.durable
    const session = subscriber.durable
    if (source === undefined || session === undefined || qos === 0) {
      this.#router.deliverTo(subscriber, message, qos, retain, identifiers, group)
      if (source !== undefined) this.#store.discard(source, [delivery.seq])
      return true
    }
    const to = { session, qos, retain, subscriptionIdentifiers: identifiers, share: group.share }
    let isMoved = false
    const stored = ({ seq }: QueueEntry): void => {
      isMoved = true
      this.#router.arrive(seq, message, to, subscriber, group)
    }
    try {
      await this.#store.handOver(source, [delivery.seq], to, stored)
    } catch (error) {
      // Where it was the store removes it at the next start.
      if (!isMoved) throw error
    }
    return isMoved || group.has(subscriber)
  }
}

function groupsOf(session: Session, router: Router): SharedGroup[] {
  const groups: SharedGroup[] = []
  for (const topicFilter of session.subscriptions.keys()) {
    const group = router.groupOf(topicFilter)
    if (group !== undefined) groups.push(group)
  }
  return groups
}
