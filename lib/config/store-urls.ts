/** What the URL of a store may begin with and how it is shown, and names of keys in a Redis. */

import type * as z from 'zod'
import { textLike } from './option-kinds.ts'

/** Kinds of store that `store.url` may begin with. */
const storeKinds: readonly string[] = [
  'disk',
  'memory',
  'redis',
  'rediss',
  'redis+sentinel',
  'rediss+sentinel',
  'redis+cluster',
  'rediss+cluster',
]

const redisKinds = storeKinds.filter((kind) => /^rediss?\b/.test(kind))

export const STORES: string = `a store that exists: ${storeKinds.join(', ')}`
export const REDIS: string = `a Redis: ${redisKinds.join(', ')}`

/** What is behind the kind is judged by the store; memory has nothing there. */
export function isKnownStore(url: string): boolean {
  const [kind = '', ...rest] = url.split(':')
  return storeKinds.includes(kind) && (rest.length === 0) === (kind === 'memory')
}

export function isRedis(url: string): boolean {
  return redisKinds.includes(url.split(':')[0] ?? '') && isKnownStore(url)
}

/** A URL as it may be shown, or stand in a log. */
export function withoutPassword(url: string): string {
  return url.replace(/(:\/\/[^:@/]*):[^@/]*@/, '$1:***@')
}

/** What stands before a hash tag of ours. */
export function keyPrefix(): z.ZodString {
  return textLike(/^[^\s{}]{0,64}$/, 'up to 64 characters without space and braces')
}
