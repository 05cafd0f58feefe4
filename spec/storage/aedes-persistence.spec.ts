import test from 'ava'
import { aedesPersistence } from '../../lib/storage/aedes-persistence.ts'
import { AEDES_TESTS, aedesSuite } from '../support/aedes-suite.ts'
import { RedisServer } from '../support/redis-server.ts'
import { freshPrefix } from '../support/redis-store.ts'
import { storeDirectory } from './embedded-support.ts'

const server = await RedisServer.start()
test.after.always(() => server.remove())

const counts = [
  aedesSuite('memory', () => aedesPersistence({ store: 'memory' })),
  aedesSuite('disk', (t) => aedesPersistence({ store: `disk:${storeDirectory(t)}` })),
  aedesSuite('redis', () => aedesPersistence({ store: server.url, keyPrefix: freshPrefix() })),
]

test('each store is held to all tests of the package', (t) => {
  t.deepEqual(counts, [AEDES_TESTS, AEDES_TESTS, AEDES_TESTS])
})
