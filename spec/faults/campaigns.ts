/** The faults that are struck, and the control that must find losses. */

import { BrokerKilledOnRedis, brokerKilled, type Fault, RedisKilled } from './fault.ts'

export const campaigns: readonly (() => Fault)[] = [
  () => brokerKilled('disk:./data'),
  () => brokerKilled('disk:./data', ['--store.durability=process']),
  () => new BrokerKilledOnRedis('always'),
  () => new BrokerKilledOnRedis('everysec'),
  () => new RedisKilled('always'),
  () => new RedisKilled('everysec'),
  () => new RedisKilled('always', 10_000),
]

/** Nothing survives the process here: whoever finds no loss does not look. */
export function control(): Fault {
  return { ...brokerKilled('memory'), name: 'control: broker killed' }
}
