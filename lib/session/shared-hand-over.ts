/**
 * What happens to messages of shared subscriptions when a member leaves (section 4.8.2).
 *
 * Not yet sent: goes to another member that is online, at once. Sent at QoS 1 and not acknowledged: goes
 * to another member when the session ends. Sent at QoS 2: stays with the session, even beyond its end.
 * Nothing is taken from a durable session before it stands in the queue of the next.
 */

import { Message } from '../protocol/message.ts'
import type { Router } from '../router/router.ts'
import type { SharedGroup, SharedMember } from '../router/shared-group.ts'
import type { QueueEntry, SessionRef, Store } from '../storage/storage.ts'
import type { Delivery } from './delivery.ts'
import { Session } from './session.ts'
import type { SessionParts } from './session-parts.ts'

export class SharedHandOver {
  readonly #router: Router
  readonly #store: Store
  readonly #dropped: SessionParts['dropped']

  constructor({ router, store, dropped }: SessionParts) {
    this.#router = router
    this.#store = store
    this.#dropped = dropped
  }

  /** A durable member went offline: those who are online get what it was not sent. */
  async leave(session: Session): Promise<void> {
    for (const group of groupsOf(session, this.#router)) {
      if (!group.members.some(({ subscriber }) => subscriber !== session && subscriber.isOnline)) {
        continue
      }
      await this.#move(session, session.takeUnsentShared(group), 'online members')
    }
  }

  /** A member came online: it gets what waits in the queues of members that are not. */
  gather(session: Session): void {
    for (const group of groupsOf(session, this.#router)) {
      for (const { subscriber } of group.members) {
        if (!(subscriber instanceof Session) || subscriber.isOnline) continue
        void this.#move(subscriber, subscriber.takeUnsentShared(group), 'online members')
      }
    }
  }

  /** A session ended, and has left its groups: all it was not acknowledged goes to whoever is left. */
  async end(session: Session): Promise<void> {
    const deliveries = [...session.takeUnacknowledgedShared(), ...session.takeUnsentShared()]
    await this.#move(session, deliveries, 'all members')
  }

  async #move(
    from: Session,
    deliveries: readonly Delivery[],
    among: 'online members' | 'all members',
  ): Promise<void> {
    for (const delivery of deliveries) {
      const message = delivery.message ?? (await this.#read(from, delivery))
      if (message === undefined) continue
      const group = delivery.group as SharedGroup
      const member =
        among === 'online members'
          ? group.pickOnline(message, from)
          : group.pick(message, undefined, from)
      if (member === undefined) this.#dropped(from, message, 'no member left')
      else await this.#give(from, delivery, message, member, group)
    }
  }

  async #give(
    from: Session,
    delivery: Delivery,
    message: Message,
    { subscriber, qos: grantedQos, identifiers }: SharedMember,
    group: SharedGroup,
  ): Promise<void> {
    const qos = message.qos < grantedQos ? message.qos : grantedQos
    const source = from.durable
    const target = subscriber.durable
    if (source !== undefined && target !== undefined && qos > 0) {
      const [entry] = await this.#store.handOver(source, [delivery.seq], target)
      if (entry !== undefined) {
        subscriber.deliverStored(entry.seq, message, qos, delivery.retain, identifiers, group)
      }
      return
    }
    this.#router.deliverTo(subscriber, message, qos, delivery.retain, identifiers, group)
    if (source !== undefined) this.#store.discard(source, [delivery.seq])
  }

  async #read(from: Session, { seq }: Delivery): Promise<Message | undefined> {
    const entries: QueueEntry[] = await this.#store.readQueue(
      from.durable as SessionRef,
      seq - 1,
      1,
      Number.POSITIVE_INFINITY,
    )
    const entry = entries[0]
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
