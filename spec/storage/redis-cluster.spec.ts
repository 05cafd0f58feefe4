import test from 'ava'
import { RedisCluster } from '../support/redis-cluster.ts'
import { openStore } from '../support/redis-store.ts'
import { storageContract } from './contract.ts'

const cluster = await RedisCluster.start()
test.after.always(() => cluster.remove())

storageContract('redis cluster', (t, clock) => openStore(t, cluster.url, { clock }))
