/** Who answers for what a session keeps, also while its client is away. `connection/` implements it. */

import type { Message } from '../protocol/message.ts'

export interface Holder {
  /** Told that it answers for one session more (1), or less (-1). */
  holdSession(count: 1 | -1): void
  /** Told of subscriptions that the session has got, or lost (less than 0). */
  holdSubscriptions(count: number): void
  /** Told of bytes that wait for the session's client, or no longer do. */
  holdQueued(bytes: number): void
  /** Whether so many bytes more may wait. */
  hasRoomToQueue(bytes: number): boolean
}

/** Who has made which retained message, where that is limited. `connection/` implements it. */
export interface RetainedAccounts {
  /** Whether one who answers for a session may make this the retained message of its topic. */
  mayRetain(holder: Holder | undefined, message: Message): boolean
  /** A message has been routed; `versionBefore`: of the retained messages before that. */
  noteOf(holder: Holder | undefined, message: Message, versionBefore: number): void
}
