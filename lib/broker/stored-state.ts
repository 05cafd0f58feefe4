/**
 * What the store has kept over a restart: taken up before the first client is served, and given back to a
 * store that has lost it.
 */

import type { BrokerConfiguration } from '../config/options.ts'
import { withoutPassword } from '../config/store-urls.ts'
import type { ConnectionContext } from '../connection/context.ts'
import type { Durability, Store, StoredRetained, StoreError } from '../storage/storage.ts'
import { writeUnit } from '../storage/write-unit.ts'
import { checkDurability } from './durability.ts'

/** What is given back to a store at once. */
const PAGE_MAX = 256
const PAGE_BYTES_MAX = 1024 * 1024

export class StoredState {
  /** What acknowledgements survive; known once the store is open. */
  durability: Durability = 'volatile'
  readonly #context: ConnectionContext
  readonly #configuration: BrokerConfiguration

  constructor(context: ConnectionContext, configuration: BrokerConfiguration) {
    this.#context = context
    this.#configuration = configuration
  }

  /** Opens the store and takes up what it has kept. Rejects with `StoreError` if that cannot be. */
  async open(lost: (error: StoreError) => void): Promise<void> {
    const { store, log } = this.#context
    const configuration = this.#configuration.store
    const opened = await store.open({
      healthChanged: (isHealthy, rule) => {
        if (isHealthy) log.info({ rule }, 'the store works again')
        else log.error({ rule }, 'the store takes nothing: nothing is acknowledged until it does')
      },
      lost,
      emptied: (isLost) => this.#giveBack(isLost),
    })
    this.durability = opened.durability
    const { durability, detail } = opened
    const url = withoutPassword(configuration.url)
    log.info({ store: url, durability, detail }, 'store opened')
    checkDurability(configuration, opened, log)
    await this.#takeUp(store)
  }

  async #takeUp(store: Store): Promise<void> {
    const { log, clock } = this.#context
    const startedAt = clock.now()
    let sessions = 0
    let messages = 0
    let refused = 0
    await store.replay((item) => {
      if (item.kind === 'session') {
        sessions++
        messages += item.session.queued
        this.#context.registry.restore(item.session)
      } else if (!this.#restoreRetained(item.message)) refused++
    })
    this.#context.registry.restored()
    const retained = this.#context.retained.count
    const tookMs = clock.now() - startedAt
    if (sessions + retained > 0) {
      log.info({ sessions, messages, retained, tookMs }, 'taken up what the store has kept')
    }
    if (refused > 0) {
      const rule = 'retained.messagesMax or retained.bytesMax is less than the store has'
      log.warn({ refused, rule }, 'retained messages that nobody gets')
    }
  }

  #restoreRetained({ topic, body, qos, expiresAt }: StoredRetained): boolean {
    const { retained, clock } = this.#context
    return retained.set(topic, body, qos, expiresAt, clock.now()) === 'stored'
  }

  /** The store has come back empty: whatever is known here is written to it once more. */
  async #giveBack(isLost: (clientIdentifier: string) => boolean): Promise<void> {
    const { registry, log, counters } = this.#context
    const lostBefore = counters.storeLost
    const sessions = await registry.giveBack(isLost)
    await this.#giveBackRetained()
    log.warn(
      { sessions, messages: counters.storeLost - lostBefore },
      'the store had lost what it kept: sessions, subscriptions, wills and retained messages were written again, messages that waited in it alone are lost',
    )
  }

  /** A page at a time: what is written in one turn is one request. */
  async #giveBackRetained(): Promise<void> {
    const { retained, store } = this.#context
    let page: Promise<void>[] = []
    let pageBytes = 0
    for (const match of retained.all()) {
      // Another may have taken its place meanwhile, and is written by itself.
      if (!match.isCurrent) continue
      const { topic, qos, expiresAt } = match
      const body = retained.bodyOf(match)
      const message = { topic, qos, expiresAt, body, retain: 'set', isGivenBack: true } as const
      page.push(writeUnit(store, message))
      pageBytes += body.length
      if (page.length < PAGE_MAX && pageBytes < PAGE_BYTES_MAX) continue
      await Promise.all(page)
      page = []
      pageBytes = 0
    }
    await Promise.all(page)
  }
}
