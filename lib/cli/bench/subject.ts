/** A broker that is measured. */

import type { Target, Watched } from './load.ts'
import type { Transport } from './scenarios.ts'

export interface Subject {
  readonly targets: Readonly<Partial<Record<Transport, Target>>>
  readonly watched: Watched
  /** Ends what was started for it. */
  stop(): Promise<void>
}

export function watchedOn(
  core: number | undefined,
  broker: readonly number[],
  store: readonly number[] = [],
): Watched {
  return { broker, store, ...(core === undefined ? {} : { core }) }
}

export function localTarget(protocol: Target['protocol'], port: number, path = '/mqtt'): Target {
  return { protocol, host: '127.0.0.1', port, path, isInsecure: true }
}
