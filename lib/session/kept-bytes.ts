/** What sessions count for in the memory budget, beside their messages: objects, maps, tree nodes, names. */

import { countLevels } from '../protocol/topics.ts'

const SESSION_BYTES = 1_024
const SUBSCRIPTION_BYTES = 384
const LEVEL_BYTES = 160

export function sessionBytes(clientIdentifier: string): number {
  return SESSION_BYTES + 2 * clientIdentifier.length
}

/** A filter is kept by the session, the store and, level by level, the router. */
export function subscriptionBytes(topicFilter: string): number {
  return SUBSCRIPTION_BYTES + 2 * topicFilter.length + LEVEL_BYTES * countLevels(topicFilter)
}
