/** Whether a store gives what the configuration asks for. */

import type { StoreConfiguration } from '../config/options.ts'
import { type Durability, type Opened, StoreError } from '../storage/storage.ts'
import type { Logger } from '../util/logger.ts'

/** From the weakest to the strongest. */
const levels: readonly Durability[] = ['volatile', 'process', 'disk', 'replicated']

/** Throws `StoreError` if the store gives less, unless `store.allowWeaker` is set: then it warns. */
export function checkDurability(
  { url, durability: asked, allowWeaker }: StoreConfiguration,
  { durability: given, detail }: Opened,
  log: Logger,
): void {
  if (asked === undefined || levels.indexOf(given) >= levels.indexOf(asked)) return
  const rule = `store.durability asks for ${asked}, and the store ${withoutPassword(url)} gives ${given}: ${detail}`
  if (!allowWeaker) {
    throw new StoreError(
      'unusable',
      `${rule}. Change the store, ask for ${given}, or set store.allowWeaker (--store.allowWeaker).`,
    )
  }
  log.warn({ rule }, 'acknowledgements promise less than was asked for')
}

/** The URL of a store as it may stand in a log. */
export function withoutPassword(url: string): string {
  return url.replace(/(:\/\/[^:@/]*):[^@/]*@/, '$1:***@')
}
