import test from 'ava'
import { startBroker } from '../support/broker.ts'
import { connectClient } from '../support/client.ts'

for (const version of [3, 4, 5] as const) {
  test(`[MQTT-3.12.4-1] PINGREQ is answered by PINGRESP (version ${version})`, async (t) => {
    const { broker } = await startBroker(t)
    const client = await connectClient(t, broker, { version })

    client.send({ cmd: 'pingreq' })

    await client.expect(t, 'pingresp')
  })
}
