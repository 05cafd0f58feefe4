/** Tokens and a service over HTTP, met by the clients of Mosquitto. */

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'ava'
import { startHttpServer } from '../support/http-server.ts'
import { leadingTo, mosquittoClients } from '../support/mosquitto.ts'
import { startListeningBroker } from '../support/mqtt-js.ts'
import { temporaryDirectory } from '../support/processes.ts'
import { secret, secretText, sign } from '../support/tokens.ts'

const inSeconds = (seconds: number) => Math.ceil(Date.now() / 1000) + seconds

test('mosquitto_sub is let in by a token, sent what it may read, and ended when the token expires', async (t) => {
  const secretFile = join(temporaryDirectory(t), 'secret')
  writeFileSync(secretFile, secretText)
  const jwt = { secretFile, algorithms: ['HS256'], clockToleranceSeconds: 0 }
  const { broker, urls } = await startListeningBroker(t, { security: { jwt } })
  const clients = mosquittoClients(t, broker, leadingTo(urls.tcp, 'mqttv5'))
  if (clients === undefined) return
  const ends: number[] = []
  broker.on('disconnected', (_, { reasonCode }) => ends.push(reasonCode))
  const acl = { publish: ['home/%u'], subscribe: ['home/#'] }
  const bearing = async (exp: number) => [
    '-u',
    'alice',
    '-P',
    await sign(secret, 'HS256', { exp, acl }),
  ]

  const subscriber = await clients.subscribe([...(await bearing(inSeconds(2))), '-t', 'home/#'])
  await clients.publish([
    ...(await bearing(inSeconds(60))),
    '-t',
    'home/alice',
    '-m',
    'hi',
    '-q',
    '1',
  ])

  t.regex((await subscriber.exited).stdout, /^hi\n/)
  t.true(ends.includes(0xa0))
})

for (const version of ['mqttv31', 'mqttv311', 'mqttv5']) {
  test(`a service decides about mosquitto_pub and mosquitto_sub that speak ${version}`, async (t) => {
    const { url, questions } = await startHttpServer(t, ({ body }) => {
      const { action, password, topic } = body as Record<string, string>
      const isAllowed = action === 'connect' ? password === 'right' : topic === 'home'
      return { body: { result: isAllowed ? 'allow' : 'deny' } }
    })
    const http = { authenticateUrl: url, authorizeUrl: url }
    const { broker, urls } = await startListeningBroker(t, { security: { http } })
    const clients = mosquittoClients(t, broker, leadingTo(urls.tcp, version))
    if (clients === undefined) return
    const account = ['-u', 'alice', '-P', 'right']

    const subscriber = await clients.subscribe([...account, '-t', 'home', '-C', '1'])
    await clients.publish([...account, '-t', 'home', '-m', 'hi', '-q', '1'])
    const stranger = await clients.collect(['-u', 'alice', '-P', 'wrong', '-t', 'home', '-W', '5'])

    t.is((await subscriber.exited).stdout, 'hi\n')
    t.not(stranger.code, 0)
    t.is(questions.length, 5)
  })
}
