/** From the options of a host program to an open store. */

import { parseConfiguration } from '../../config/load.ts'
import type { StoreConfiguration } from '../../config/options.ts'
import { type Clock, systemClock } from '../../util/clock.ts'
import { type Logger, silentLogger } from '../../util/logger.ts'
import { MemoryBudget } from '../../util/memory-budget.ts'
import { loadStore } from '../load.ts'
import { isWeaker, type Opened, type Store, StoreError, type StoreEvents } from '../storage.ts'

/** What a store for Aedes is made of: where it is, and the other options of a broker's `store`. */
export interface AedesPersistenceOptions extends Partial<Omit<StoreConfiguration, 'url'>> {
  /** As `store.url` of a broker, `disk:./data` or `redis://…`; or a store that is not open yet. */
  readonly store: string | Store
  /** Default: silent. */
  readonly logger?: Logger | undefined
  /** Default: the system's. */
  readonly clock?: Clock | undefined
}

/**
 * Opens the store that the options name. Rejects with `ConfigurationError` for options that do not exist,
 * with `StoreError` for a store that cannot be used or gives less than `durability` asks for.
 */
export async function openStore(
  options: AedesPersistenceOptions,
  onLost: (error: StoreError) => void,
  onEmptied: StoreEvents['emptied'],
): Promise<Store> {
  const { store: wanted, logger: log = silentLogger, clock = systemClock, ...rest } = options
  const url = typeof wanted === 'string' ? wanted : 'memory'
  const { store: configuration } = parseConfiguration({ store: { ...rest, url } })
  const budget = new MemoryBudget(Number.POSITIVE_INFINITY)
  const store =
    typeof wanted === 'string'
      ? (await loadStore(url))({ configuration, clock, budget, log })
      : wanted
  const events: StoreEvents = {
    healthChanged(isHealthy, rule) {
      if (isHealthy) log.info({ rule }, 'the store works again')
      else log.error({ rule }, 'the store takes nothing: messages wait until it does')
    },
    lost: onLost,
    emptied: onEmptied,
  }
  const opened = await store.open(events)
  log.info({ ...opened }, 'store opened')
  try {
    checkDurability(configuration, opened, log)
  } catch (error) {
    await store.close()
    throw error
  }
  return store
}

function checkDurability(
  { durability: asked, allowWeaker }: StoreConfiguration,
  { durability: given, detail }: Opened,
  log: Logger,
): void {
  if (!isWeaker(given, asked)) return
  const rule = `durability asks for ${asked}, and the store gives ${given}: ${detail}`
  if (!allowWeaker) {
    throw new StoreError(
      'unusable',
      `${rule}. Change the store, ask for ${given}, or set allowWeaker.`,
    )
  }
  log.warn({ rule }, 'acknowledgements promise less than was asked for')
}
