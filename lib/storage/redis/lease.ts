/**
 * Who has the store: one broker, which prolongs its lease each second. The lease only tells others to stay
 * away; that a former owner writes nothing is seen to by the epoch in each lane.
 */

import type { Clock } from '../../util/clock.ts'
import type { Logger } from '../../util/logger.ts'
import { StoreError } from '../storage.ts'
import type { Client } from './connection.ts'
import type { Keys } from './keys.ts'

const LEASE_MS = 3_000
const RENEW_MS = 1_000

/** A broker that was killed leaves a lease which runs out in `LEASE_MS`; one that goes on is waited for so long. */
const PATIENCE_MS = 4_000
const ASK_AGAIN_MS = 100

export interface LeaseParts {
  readonly client: Client
  readonly keys: Keys
  readonly clock: Clock
  readonly log: Logger
  /** Unlike any other broker's, nor that of another start. */
  readonly owner: string
}

export class Lease {
  readonly #parts: LeaseParts
  #cancelRenewal: (() => void) | undefined
  #isOver = false
  /** Called when somebody else has it. */
  onLost: () => void = () => {}

  constructor(parts: LeaseParts) {
    this.#parts = parts
  }

  /** Takes the lease, waiting until that of a broker which was killed has run out. */
  async take(): Promise<void> {
    const { clock, log, keys } = this.#parts
    const end = clock.now() + PATIENCE_MS
    let hasSaidSo = false
    for (;;) {
      // oxlint-disable-next-line no-await-in-loop -- Asked until it is free.
      const other = await this.renew()
      if (other === undefined) return this.#arrange()
      if (clock.now() >= end) throw inUse(other, keys.prefix)
      if (!hasSaidSo) log.info({ owner: other }, 'waiting for the lease of another broker to end')
      hasSaidSo = true
      // oxlint-disable-next-line no-await-in-loop -- As above.
      await new Promise<void>((resolve) => clock.after(ASK_AGAIN_MS, resolve))
    }
  }

  /** Prolongs the lease; returns who else has it. */
  async renew(): Promise<string | undefined> {
    const { client, keys, owner } = this.#parts
    return (await client.noctuleRenew(1, [keys.node], [owner, LEASE_MS])) ?? undefined
  }

  /** Ends the lease, for the next broker to start at once. */
  async giveBack(): Promise<void> {
    this.stop()
    const { client, keys, owner } = this.#parts
    await client.noctuleGiveBack(1, [keys.node], [owner])
  }

  /** Prolongs it no more. */
  stop(): void {
    this.#isOver = true
    this.#cancelRenewal?.()
  }

  /** The next renewal comes a while after the answer to the last: none pile up while Redis is away. */
  #arrange(): void {
    if (this.#isOver) return
    this.#cancelRenewal = this.#parts.clock.after(RENEW_MS, () => {
      this.renew().then(
        (other) => {
          if (other === undefined) this.#arrange()
          else if (!this.#isOver) this.onLost()
        },
        // Redis is away, which the lanes deal with.
        () => this.#arrange(),
      )
    })
  }
}

export function inUse(owner: string, prefix: string): StoreError {
  return new StoreError(
    'in use',
    `Another broker uses this Redis with the key prefix "${prefix}" (${owner}); give each its own store.keyPrefix.`,
  )
}
