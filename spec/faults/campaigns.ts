/** The faults that are struck, and the control that must find losses. */

import {
  BrokerKilledOnRedis,
  brokerKilled,
  DiskFull,
  type Fault,
  RedisKilled,
  RedisOutOfMemory,
  SentinelFailover,
  SlotsMoved,
} from './fault.ts'
import { RedisEmptied } from './redis-emptied.ts'
import { TornWrite } from './torn-write.ts'

export interface Campaign {
  readonly make: () => Fault
  /** Strikes when all tests are run; 0: only `npm run faults` strikes it. */
  readonly shortRounds: number
  readonly needs: 'nothing' | 'Linux' | 'root' | 'Redis'
}

export const campaigns: readonly Campaign[] = [
  { make: () => brokerKilled('disk:./data'), shortRounds: 5, needs: 'nothing' },
  {
    make: () => brokerKilled('disk:./data', ['--store.durability=process']),
    shortRounds: 0,
    needs: 'nothing',
  },
  { make: () => new TornWrite(), shortRounds: 2, needs: 'Linux' },
  { make: () => new DiskFull(), shortRounds: 2, needs: 'root' },
  { make: () => new BrokerKilledOnRedis('always'), shortRounds: 2, needs: 'Redis' },
  { make: () => new BrokerKilledOnRedis('everysec'), shortRounds: 0, needs: 'Redis' },
  { make: () => new RedisKilled('always'), shortRounds: 3, needs: 'Redis' },
  { make: () => new RedisKilled('everysec'), shortRounds: 2, needs: 'Redis' },
  { make: () => new RedisKilled('always', 10_000), shortRounds: 1, needs: 'Redis' },
  { make: () => new RedisEmptied(), shortRounds: 3, needs: 'Redis' },
  { make: () => new RedisOutOfMemory(), shortRounds: 2, needs: 'Redis' },
  { make: () => new SentinelFailover(), shortRounds: 1, needs: 'Redis' },
  { make: () => new SlotsMoved(), shortRounds: 3, needs: 'Redis' },
]

/** Nothing survives the process here: whoever finds no loss does not look. */
export function control(): Fault {
  return { ...brokerKilled('memory'), name: 'control: broker killed' }
}
