/** Listeners of the host program that throw. */

import test from 'ava'
import type { BrokerEvents, Logger } from '../../lib/index.ts'
import { silentLogger } from '../../lib/util/logger.ts'
import { startBroker } from '../support/broker.ts'
import { connectClient } from '../support/client.ts'

const events: readonly (keyof BrokerEvents)[] = [
  'connected',
  'disconnected',
  'subscribed',
  'unsubscribed',
  'published',
  'delivered',
]

for (const event of events) {
  test(`a listener of "${event}" that throws disturbs neither client nor broker`, async (t) => {
    const logged: unknown[] = []
    const error = (fields: object) => logged.push(fields)
    const logger: Logger = { ...silentLogger, error }
    const { broker } = await startBroker(t, { logger })
    broker.on(event, () => {
      throw new Error('a defect of the host')
    })
    const client = await connectClient(t, broker)

    await client.subscribe(t, 'a')
    client.publish('a', 'x')
    await client.expect(t, 'publish', { topic: 'a' })
    client.send({ cmd: 'unsubscribe', messageId: 2, unsubscriptions: ['a'] })
    await client.expect(t, 'unsuback')
    client.send({ cmd: 'disconnect', reasonCode: 0 })
    await client.closed()
    await broker.close()

    t.like(logged, [{ event, err: { message: 'a defect of the host' } }])
  })
}
