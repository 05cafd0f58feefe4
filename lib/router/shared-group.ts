/**
 * A Shared Subscription: its members, and who gets the next message (section 4.8.2).
 *
 * Offline members are passed over while another is online. Which member is chosen among the rest is the
 * strategy's business; none of them delays a message because its favourite is busy.
 */

import type { Message } from '../protocol/message.ts'
import type { Qos } from '../protocol/packets.ts'
import type { Subscription } from '../protocol/subscription.ts'
import type { Random } from '../util/random.ts'
import type { Subscriber } from './subscriber.ts'

export const sharedStrategies = [
  'round-robin',
  'random',
  'sticky',
  'hash-client',
  'hash-topic',
  'least-in-flight',
] as const
export type SharedStrategy = (typeof sharedStrategies)[number]

export interface SharedMember {
  readonly subscriber: Subscriber
  readonly qos: Qos
  readonly retainAsPublished: boolean
  readonly identifiers: readonly number[] | undefined
}

export class SharedGroup {
  /** `$share/NAME/FILTER`, the same for all members. */
  readonly share: string
  /** The Topic Filter behind the name. */
  readonly topicFilter: string
  readonly #strategy: SharedStrategy
  readonly #random: Random
  #members: SharedMember[] = []
  /** Where round robin and sticky stand: index of the member chosen last. */
  #cursor = -1

  constructor(share: string, topicFilter: string, strategy: SharedStrategy, random: Random) {
    this.share = share
    this.topicFilter = topicFilter
    this.#strategy = strategy
    this.#random = random
  }

  get size(): number {
    return this.#members.length
  }

  get members(): readonly SharedMember[] {
    return this.#members
  }

  has(subscriber: Subscriber): boolean {
    return this.#indexOf(subscriber) !== -1
  }

  /** Whether anybody but `except` is there to take a message at once. */
  hasOnline(except: Subscriber): boolean {
    return this.#members.some(({ subscriber }) => isEligible(subscriber, except, true))
  }

  /** Adds a member or changes its options; says whether it was one before. */
  join(subscriber: Subscriber, subscription: Subscription): boolean {
    const member: SharedMember = {
      subscriber,
      qos: subscription.qos,
      retainAsPublished: subscription.retainAsPublished,
      identifiers:
        subscription.subscriptionIdentifier === 0
          ? undefined
          : [subscription.subscriptionIdentifier],
    }
    const index = this.#indexOf(subscriber)
    if (index === -1) this.#members.push(member)
    else this.#members[index] = member
    return index !== -1
  }

  leave(subscriber: Subscriber): boolean {
    const index = this.#indexOf(subscriber)
    if (index === -1) return false
    this.#members.splice(index, 1)
    if (index <= this.#cursor) this.#cursor--
    return true
  }

  /** Chooses who gets `message`: an online member if there is any; undefined if there is no member. */
  pick(
    message: Message,
    publisher: string | undefined,
    except?: Subscriber,
  ): SharedMember | undefined {
    return (
      this.#pickAmong(message, publisher, except, true) ??
      this.#pickAmong(message, publisher, except, false)
    )
  }

  /** Chooses an online member other than `except`. */
  pickOnline(message: Message, except: Subscriber | undefined): SharedMember | undefined {
    return this.#pickAmong(message, undefined, except, true)
  }

  #pickAmong(
    message: Message,
    publisher: string | undefined,
    except: Subscriber | undefined,
    mustBeOnline: boolean,
  ): SharedMember | undefined {
    if (this.#strategy === 'random') return this.#pickRandom(except, mustBeOnline)
    const start = this.#startOf(message, publisher)
    const count = this.#members.length
    let best: SharedMember | undefined
    for (let i = 0; i < count; i++) {
      const index = (start + i) % count
      const member = this.#members[index]!
      const { subscriber } = member
      if (!isEligible(subscriber, except, mustBeOnline)) continue
      if (this.#strategy !== 'least-in-flight') {
        this.#cursor = index
        return member
      }
      if (best === undefined || subscriber.inFlightCount < best.subscriber.inFlightCount) {
        best = member
        this.#cursor = index
      }
    }
    return best
  }

  /** Counts first: if one took over from its neighbour that is offline, it would get twice its share. */
  #pickRandom(except: Subscriber | undefined, mustBeOnline: boolean): SharedMember | undefined {
    let eligible = 0
    for (const { subscriber } of this.#members) {
      if (isEligible(subscriber, except, mustBeOnline)) eligible++
    }
    if (eligible === 0) return undefined
    let skipped = this.#random.below(eligible)
    return this.#members.find(
      ({ subscriber }) => isEligible(subscriber, except, mustBeOnline) && skipped-- === 0,
    )
  }

  /** The member at which the search begins; those behind it follow when it cannot be had. */
  #startOf(message: Message, publisher: string | undefined): number {
    if (this.#strategy === 'sticky') return Math.max(this.#cursor, 0)
    if (this.#strategy === 'hash-client') return hash(publisher ?? '')
    if (this.#strategy === 'hash-topic') return hash(message.topic)
    return this.#cursor + 1 // Round robin; of those with as few in flight, each has its turn too.
  }

  #indexOf(subscriber: Subscriber): number {
    return this.#members.findIndex((member) => member.subscriber === subscriber)
  }
}

function isEligible(
  subscriber: Subscriber,
  except: Subscriber | undefined,
  mustBeOnline: boolean,
): boolean {
  return subscriber !== except && (!mustBeOnline || subscriber.isOnline)
}

/**
 * FNV-1a over UTF-16 units, the same in each run. Its low bits know only the low bits of the text, and a
 * small group asks for those: the last steps (of MurmurHash3) mix all bits into them.
 */
function hash(text: string): number {
  let value = 0x811c9dc5
  for (let i = 0; i < text.length; i++) {
    value = Math.imul(value ^ text.charCodeAt(i), 0x01000193)
  }
  value = Math.imul(value ^ (value >>> 16), 0x85ebca6b)
  value = Math.imul(value ^ (value >>> 13), 0xc2b2ae35)
  return (value ^ (value >>> 16)) >>> 0
}
