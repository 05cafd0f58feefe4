/** Who answers for a session: those of the connection that has it, and nobody else. */

import test from 'ava'
import { AccountGroup } from '../../lib/connection/account-group.ts'
import { startBroker } from '../support/broker.ts'
import { openClient } from '../support/client.ts'
import { defer, turns } from '../support/deferred.ts'

test('[MQTT-3.1.4-3] of clients with one identifier that are let in at once, the last has the session, and nobody counts for it twice', async (t) => {
  let sessions = 0
  const { prototype } = AccountGroup
  const own = Object.getOwnPropertyDescriptor(prototype, 'holdSession') as PropertyDescriptor
  prototype.holdSession = function (this: AccountGroup, count: 1 | -1) {
    sessions += count
    own.value.call(this, count)
  }
  t.teardown(() => Object.defineProperty(prototype, 'holdSession', own))
  const answer = defer<boolean>()
  const { broker } = await startBroker(t, { hooks: { authenticate: () => answer.promise } })
  const clients = Array.from({ length: 4 }, () => openClient(broker))
  for (const client of clients) client.connect({ clientId: 'c' })
  await turns()
  answer.resolve(true)

  const last = clients.at(-1)!
  await last.expect(t, 'connack', { reasonCode: 0 })
  for (const client of clients.slice(0, -1)) await client.closed()
  t.is(broker.clientCount, 1)
  t.is(sessions, 1)
  last.send({ cmd: 'disconnect' })
  await last.closed()
  t.is(sessions, 0)
})
