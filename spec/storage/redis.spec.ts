import test from 'ava'
import { RedisServer } from '../support/redis-server.ts'
import { openStore } from '../support/redis-store.ts'
import { storageContract } from './contract.ts'

const server = await RedisServer.start()
test.after.always(() => server.remove())

storageContract('redis', (t, clock) => openStore(t, server.url, { clock }))
