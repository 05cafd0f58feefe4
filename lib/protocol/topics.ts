/**
 * Topic Names and Topic Filters: what is valid, and what `$share/NAME/FILTER` means (sections 4.7, 4.8).
 * Well-formed UTF-8 without U+0000 and the length of 65,535 bytes are the codec's business.
 */

import { Buffer } from 'node:buffer'

/** What the broker allows beyond the standard's own bounds. */
export interface TopicLimits {
  /** Levels a Topic Name or Filter may have. */
  readonly topicLevelsMax: number
  /** Bytes of UTF-8 it may have. */
  readonly topicBytesMax: number
}

export interface SharedFilter {
  readonly shareName: string
  readonly topicFilter: string
}

const SHARE_PREFIX = '$share/'

/** Says whether `topicName` may be published to: not empty, no wildcard. */
export function isTopicName(topicName: string): boolean {
  return topicName.length > 0 && !topicName.includes('+') && !topicName.includes('#') // [MQTT-4.7.3-1] [MQTT-4.7.0-1]
}

/** Says whether `topicFilter` may be subscribed to; `$share/` is looked at by `parseSharedFilter`. */
export function isTopicFilter(topicFilter: string): boolean {
  const length = topicFilter.length
  if (length === 0) return false // [MQTT-4.7.3-1]
  for (let i = 0; i < length; i++) {
    const character = topicFilter.charCodeAt(i)
    if (character === 0x23 /* # */) {
      const startsLevel = i === 0 || topicFilter.charCodeAt(i - 1) === 0x2f
      if (!startsLevel || i !== length - 1) return false // [MQTT-4.7.1-1]
    } else if (character === 0x2b /* + */) {
      const startsLevel = i === 0 || topicFilter.charCodeAt(i - 1) === 0x2f
      const endsLevel = i === length - 1 || topicFilter.charCodeAt(i + 1) === 0x2f
      if (!startsLevel || !endsLevel) return false // [MQTT-4.7.1-2]
    }
  }
  return true
}

export function isShared(topicFilter: string): boolean {
  return topicFilter.startsWith(SHARE_PREFIX)
}

/** Splits `$share/NAME/FILTER`; `undefined` when name or filter break section 4.8.2. */
export function parseSharedFilter(shared: string): SharedFilter | undefined {
  const nameEnd = shared.indexOf('/', SHARE_PREFIX.length)
  if (nameEnd <= SHARE_PREFIX.length) return undefined // [MQTT-4.8.2-1] [MQTT-4.8.2-2]
  const shareName = shared.slice(SHARE_PREFIX.length, nameEnd)
  const topicFilter = shared.slice(nameEnd + 1)
  if (!isTopicName(shareName) || !isTopicFilter(topicFilter)) return undefined // [MQTT-4.8.2-2]
  return { shareName, topicFilter }
}

export function hasWildcard(topicFilter: string): boolean {
  return topicFilter.includes('+') || topicFilter.includes('#')
}

/** Says whether a Topic Name or Filter keeps to `limits`. A short one does, and is not counted. */
export function isWithinLimits(topic: string, limits: TopicLimits): boolean {
  const { topicLevelsMax, topicBytesMax } = limits
  // A UTF-16 unit takes at most three bytes.
  if (topic.length < topicLevelsMax && topic.length * 3 <= topicBytesMax) return true
  return countLevels(topic) <= topicLevelsMax && Buffer.byteLength(topic) <= topicBytesMax
}

/** Counts levels without making any: "a//b" has three. */
export function countLevels(topic: string): number {
  let levels = 1
  for (let at = topic.indexOf('/'); at !== -1; at = topic.indexOf('/', at + 1)) levels++
  return levels
}

/** `$SYS` belongs to the broker: no client publishes there. */
export function isSystemTopic(topicName: string): boolean {
  return topicName === '$SYS' || topicName.startsWith('$SYS/')
}

/** Says whether one filter matches one topic: for few topics; the router has a tree. */
export function matchesTopic(topicFilter: string, topicName: string): boolean {
  if (topicName.startsWith('$') && /^[+#]/.test(topicFilter)) return false // [MQTT-4.7.2-1]
  const wanted = topicFilter.split('/')
  const levels = topicName.split('/')
  for (let i = 0; i < wanted.length; i++) {
    if (wanted[i] === '#') return true
    if (i >= levels.length || (wanted[i] !== '+' && wanted[i] !== levels[i])) return false
  }
  return wanted.length === levels.length
}
