import { RedisServer } from '../support/redis-server.ts'
import { openStore } from '../support/redis-store.ts'
import { shared, withRedis } from '../support/redis-test.ts'
import { storageContract } from './contract.ts'

const server = shared(() => RedisServer.start())

storageContract('redis', async (t, clock) => openStore(t, (await server()).url, { clock }), {
  wrap: withRedis,
})
