/** mosquitto_pub and mosquitto_sub as processes, in all versions of the protocol. */

import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { ExecutionContext } from 'ava'
import test from 'ava'
import { type Broker, createBroker } from '../../lib/index.ts'
import { leadingTo, type MosquittoClients, mosquittoClients } from '../support/mosquitto.ts'
import { Program, requireProgram } from '../support/programs.ts'

interface Room extends MosquittoClients {
  readonly broker: Broker
}

async function enter(t: ExecutionContext, protocol: string): Promise<Room | undefined> {
  const broker = await createBroker({ listeners: [{ type: 'tcp', port: 0 }] })
  t.teardown(() => broker.close())
  const clients = mosquittoClients(t, broker, leadingTo(broker.urls[0], protocol))
  return clients && { broker, ...clients }
}

for (const protocol of ['mqttv31', 'mqttv311', 'mqttv5'] as const) {
  for (const qos of ['0', '1', '2'] as const) {
    test(`mosquitto_sub gets what mosquitto_pub sends at QoS ${qos} (${protocol})`, async (t) => {
      const room = await enter(t, protocol)
      if (room === undefined) return
      const subscriber = await room.subscribe(['-t', 'a/+', '-q', qos, '-F', '%t %q %r %p'])

      await room.publish(['-t', 'a/b', '-q', qos, '-m', 'grüß dich'])

      t.is(await subscriber.nextLine(), `a/b ${qos} 0 grüß dich`)
    })

    test(`mosquitto_pub -l sends many lines at QoS ${qos} and all arrive in order (${protocol})`, async (t) => {
      const room = await enter(t, protocol)
      if (room === undefined) return
      const input = Array.from({ length: 500 }, (_, i) => `line ${i}\n`).join('')
      const subscriber = await room.subscribe(['-t', 'log', '-q', qos, '-C', '500'])

      await room.publish(['-t', 'log', '-q', qos, '-l'], input)
      const { code, stdout } = await subscriber.exited

      t.is(code, 0)
      t.is(stdout, input)
    })
  }

  test(`a retained message waits for mosquitto_sub, and --remove-retained clears it (${protocol})`, async (t) => {
    const room = await enter(t, protocol)
    if (room === undefined) return
    await room.publish(['-t', 'state/door', '-r', '-q', '1', '-m', 'open'])
    await room.publish(['-t', 'state/light', '-r', '-q', '1', '-m', 'on'])

    const format = ['-F', '%t %r %p', '-q', '1']
    const found = await room.collect(['-t', 'state/#', '-C', '2', ...format])
    const cleared = once(room.broker, 'published')
    const removing = await room.subscribe(['-t', 'state/door', '--remove-retained'])
    await cleared
    removing.kill()
    const left = await room.subscribe(['-t', 'state/#', ...format])

    t.deepEqual(found.stdout.trim().split('\n').toSorted(), [
      'state/door 1 open',
      'state/light 1 on',
    ])
    t.is(await left.nextLine(), 'state/light 1 on')
  })

  test(`the will of a mosquitto_sub that is killed is published (${protocol})`, async (t) => {
    const room = await enter(t, protocol)
    if (room === undefined) return
    const witness = await room.subscribe(['-t', 'wills', '-q', '2', '-F', '%q %p'])
    const will = ['--will-topic', 'wills', '--will-payload', 'gone', '--will-qos', '2']
    const doomed = await room.subscribe(['-t', 'other', ...will])

    doomed.kill()

    t.is(await witness.nextLine(), '2 gone')
  })

  test(`mosquitto_sub -c gets what was published while it was away (${protocol})`, async (t) => {
    const room = await enter(t, protocol)
    if (room === undefined) return
    const kept = ['-c', '-i', 'sleeper', '-t', 'news', '-q', '1']
    const disconnected = once(room.broker, 'disconnected')
    await room.collect([...kept, '-E'])
    await disconnected

    await room.publish(['-t', 'news', '-q', '1', '-l'], 'one\ntwo\n')
    const { stdout } = await room.collect([...kept, '-C', '2'])

    t.is(stdout, 'one\ntwo\n')
  })
}

test('the properties of MQTT 5.0 pass between mosquitto_pub and mosquitto_sub', async (t) => {
  const room = await enter(t, 'mqttv5')
  if (room === undefined) return
  const identified = ['-D', 'subscribe', 'subscription-identifier', '7']
  const format = ['-F', '%C|%R|%D|%F|%P|%S|%p']
  const subscriber = await room.subscribe(['-t', 'p', '-q', '1', ...identified, ...format])
  const properties = [
    ['content-type', 'application/json'],
    ['response-topic', 'answers'],
    ['correlation-data', 'no. 1'],
    ['payload-format-indicator', '1'],
    ['user-property', 'colour', 'red'],
  ].flatMap((property) => ['-D', 'publish', ...property])

  await room.publish(['-t', 'p', '-q', '1', '-m', '{}', ...properties])

  t.is(await subscriber.nextLine(), 'application/json|answers|no. 1|1|colour:red|7|{}')
})

test('mosquitto_rr gets the answer to its request', async (t) => {
  const room = await enter(t, 'mqttv5')
  if (room === undefined) return
  const path = requireProgram(t, 'mosquitto_rr', 'mosquitto-clients')
  if (path === undefined) return
  room.broker.subscribe('questions', ({ payload, properties }) => {
    const { responseTopic = '', correlationData } = properties
    void room.broker.publish({
      topic: responseTopic,
      payload: `${payload.toString()}!`,
      ...(correlationData && { properties: { correlationData } }),
    })
  })

  const args = ['-t', 'questions', '-e', 'answers', '-m', 'really', '-q', '1']
  const asking = new Program(t, path, [...leadingTo(room.broker.urls[0], 'mqttv5'), ...args])

  t.is(await asking.nextLine(), 'really!')
})

test('mosquitto_pub is told that $SYS is not its to publish to', async (t) => {
  const room = await enter(t, 'mqttv5')
  if (room === undefined) return

  const { stderr } = await room.publish(['-t', '$SYS/broker/uptime', '-m', 'x', '-q', '1'])

  t.regex(stderr, /Not authorized/)
})

test('Mosquitto clients arrive through a Unix socket', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'noctule-unix-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  const path = join(folder, 'mqtt.sock')
  const broker = await createBroker({ listeners: [{ type: 'unix', path }] })
  t.teardown(() => broker.close())
  const clients = mosquittoClients(t, broker, ['--unix', path])
  if (clients === undefined) return
  const subscriber = await clients.subscribe(['-t', 'near', '-q', '1'])

  await clients.publish(['-t', 'near', '-q', '1', '-m', 'by'])

  t.is(await subscriber.nextLine(), 'by')
})
