import { RedisCluster } from '../support/redis-cluster.ts'
import { openStore } from '../support/redis-store.ts'
import { shared, withRedis } from '../support/redis-test.ts'
import { storageContract } from './contract.ts'

const cluster = shared(() => RedisCluster.start())

storageContract(
  'redis cluster',
  async (t, clock) => openStore(t, (await cluster()).url, { clock }),
  { wrap: withRedis },
)
