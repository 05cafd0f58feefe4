/**
 * Who has made which retained message, where their number or bytes are limited for somebody. What the store
 * has kept from an earlier start counts for nobody, until its topic is published to again.
 */

import type { Message } from '../protocol/message.ts'
import type { RetainedMatch, RetainedMessages } from '../retained/retained-messages.ts'
import type { Holder, RetainedAccounts } from '../session/holder.ts'
import { AccountGroup } from './account-group.ts'

interface Owned {
  readonly by: AccountGroup
  readonly bytes: number
}

export class RetainedOwners implements RetainedAccounts {
  readonly #retained: RetainedMessages
  /** As many as there are retained messages at most. */
  readonly #owned = new Map<RetainedMatch, Owned>()

  constructor(retained: RetainedMessages) {
    this.#retained = retained
    retained.onRetired = (match) => this.#release(match)
  }

  /** The option by which one who publishes a retained message has too many; undefined: it may. */
  findFull(group: AccountGroup, topic: string, bytes: number): string | undefined {
    const before = this.#retained.get(topic)
    const owned = before === undefined ? undefined : this.#owned.get(before)
    const of = (count: number) => (owned === undefined ? undefined : { by: owned.by, count })
    return (
      group.findFull('retainedMessages', 1, of(1)) ??
      group.findFull('retainedBytes', bytes, of(owned?.bytes ?? 0))
    )
  }

  /** A message of `group` has been routed: if it is the retained one of its topic now, it is theirs. */
  note(group: AccountGroup, message: Message, versionBefore: number): void {
    const { topic, bodyBytes: bytes } = message
    const match = this.#retained.get(topic)
    if (match === undefined || match.version <= versionBefore) return
    this.#owned.set(match, { by: group, bytes })
    group.holdRetained(1, bytes)
  }

  mayRetain(holder: Holder | undefined, { topic, payloadLength, bodyBytes }: Message): boolean {
    if (payloadLength === 0 || !(holder instanceof AccountGroup)) return true
    return this.findFull(holder, topic, bodyBytes) === undefined
  }

  noteOf(holder: Holder | undefined, message: Message, versionBefore: number): void {
    if (holder instanceof AccountGroup) this.note(holder, message, versionBefore)
  }

  #release(match: RetainedMatch): void {
    const owned = this.#owned.get(match)
    if (owned === undefined) return
    this.#owned.delete(match)
    owned.by.holdRetained(-1, -owned.bytes)
  }
}
