/**
 * What happens to messages of shared subscriptions when a member leaves (section 4.8.2).
 *
 * Not yet sent: goes to another member that is online, at once. Sent at QoS 1 and not acknowledged: goes
 * to another member when the session ends. Sent at QoS 2: stays with the session, even beyond its end.
 * Nothing is taken from a durable session before it stands in the queue of the next.
 */

import { Message } from '../protocol/message.ts'
import { lowerQos } from '../protocol/qos.ts'
import type { Router } from '../router/router.ts'
import type { SharedGroup, SharedMember } from '../router/shared-group.ts'
import type { Share } from '../router/subscriber.ts'
import type { SessionRef, Store } from '../storage/storage.ts'
import type { Delivery } from './delivery.ts'
import { Session } from './session.ts'
import type { SessionParts } from './session-parts.ts'

type Among = 'online members' | 'all members'

export class SharedHandOver {
  readonly #router: Router
  readonly #store: Store
  readonly #dropped: SessionParts['dropped']
  /** The last move out of each session: one after the other keeps the messages in order. */
  readonly #moves = new WeakMap<Session, Promise<void>>()

  constructor({ router, store, dropped }: SessionParts) {
    this.#router = router
    this.#store = store
    this.#dropped = dropped
  }

  /** A durable member is offline: those who are online get what it was not sent. */
  leave(session: Session): Promise<void> {
    return this.#inTurn(session, async () => {
      for (const group of groupsOf(session, this.#router)) {
        if (!session.hasUnsentShared || session.isOnline) return
        if (!group.hasOnline(session)) continue
        await this.#moveUnsent(session, group, 'online members')
      }
      session.shrink()
    })
  }

  /** A member is online: it may get what waits in the queues of members that are not. */
  gather(session: Session): void {
    const absent = new Set<Session>()
    for (const group of groupsOf(session, this.#router)) {
      for (const { subscriber } of group.members) {
        if (!(subscriber instanceof Session) || subscriber.isOnline) continue
        if (subscriber.hasUnsentShared) absent.add(subscriber)
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
      if (session.hasUnsentShared) await session.readBacklog()
      const deliveries = [...session.takeUnacknowledgedShared(), ...session.takeUnsentShared()]
      const rest = await this.#move(session, deliveries, 'all members')
      for (const { message } of rest) this.#dropped(session, message, 'no member left')
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
    const unsent = from.takeUnsentShared(group)
    const rest = await this.#move(from, unsent, among)
    for (const delivery of from.putBackShared(rest)) await this.#renumber(from, delivery)
    from.freeShared(unsent.length)
  }

  /** Puts a message at the end of the queue it stands in. */
  async #renumber(from: Session, delivery: Delivery): Promise<void> {
    const { seq, qos, retain, identifiers, group } = delivery
    const message = delivery.message ?? (await this.#read(from, delivery).catch(() => undefined))
    if (message === undefined) return
    this.#router.deliverTo(from, message, qos, retain, identifiers, group)
    this.#store.discard(from.durable as SessionRef, [seq])
  }

  /** Moves what can be moved; returns the rest. */
  async #move(from: Session, deliveries: readonly Delivery[], among: Among): Promise<Delivery[]> {
    const rest: Delivery[] = []
    for (const [i, delivery] of deliveries.entries()) {
      try {
        if (!(await this.#moveOne(from, delivery, among))) rest.push(delivery)
      } catch {
        // A store that fails keeps what it has: the next change of a member tries again.
        return [...rest, ...deliveries.slice(i)]
      }
    }
    return rest
  }

  async #moveOne(from: Session, delivery: Delivery, among: Among): Promise<boolean> {
    const message = delivery.message ?? (await this.#read(from, delivery))
    if (message === undefined) return true // Acknowledged or dropped meanwhile.
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
    const [entry] = await this.#store.handOver(source, [delivery.seq], to)
    if (entry === undefined) return group.has(subscriber)
    this.#router.arrive(entry.seq, message, to, subscriber, group)
    return true
  }

  async #read(from: Session, { seq }: Delivery): Promise<Message | undefined> {
    const ref = from.durable as SessionRef
    const [entry] = await this.#store.readQueue(ref, seq - 1, 1, Number.POSITIVE_INFINITY)
    if (entry === undefined || entry.seq !== seq) return undefined
    return Message.fromBody(entry.body, entry.qos, entry.retain, entry.expiresAt)
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
