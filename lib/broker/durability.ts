/** Whether a store gives what the configuration asks for. */

import type { StoreConfiguration } from '../config/options.ts'
import { withoutPassword } from '../config/store-urls.ts'
import { isWeaker, type Opened, StoreError } from '../storage/storage.ts'
import type { Logger } from '../util/logger.ts'

/** Throws `StoreError` if the store gives less, unless `store.allowWeaker` is set: then it warns. */
export function checkDurability(
  { url, durability: asked, allowWeaker }: StoreConfiguration,
  { durability: given, detail }: Opened,
  log: Logger,
): void {
  if (!isWeaker(given, asked)) return
  const rule = `store.durability asks for ${asked}, and the store ${withoutPassword(url)} gives ${given}: ${detail}`
  if (!allowWeaker) {
    throw new StoreError(
      'unusable',
      `${rule}. Change the store, ask for ${given}, or set store.allowWeaker (--store.allowWeaker).`,
    )
  }
  log.warn({ rule }, 'acknowledgements promise less than was asked for')
}
