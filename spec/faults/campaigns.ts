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

export const campaigns: readonly (() => Fault)[] = [
  () => brokerKilled('disk:./data'),
  () => brokerKilled('disk:./data', ['--store.durability=process']),
  () => new DiskFull(),
  () => new BrokerKilledOnRedis('always'),
  () => new BrokerKilledOnRedis('everysec'),
  () => new RedisKilled('always'),
  () => new RedisKilled('everysec'),
  () => new RedisKilled('always', 10_000),
  () => new RedisOutOfMemory(),
  () => new SentinelFailover(),
  () => new SlotsMoved(),
]

/** Nothing survives the process here: whoever finds no loss does not look. */
export function control(): Fault {
  return { ...brokerKilled('memory'), name: 'control: broker killed' }
}
