/** Users by certificate and by pre-shared key: mosquitto_pub and mosquitto_sub, and MQTT.js over wss. */

import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import test, { type ExecutionContext } from 'ava'
import type { ClientInfo, ListenerInput } from '../../lib/index.ts'
import { certificateFiles, startEncrypted, testAuthority } from '../support/encrypted.ts'
import { leadingTo, mosquittoClients } from '../support/mosquitto.ts'
import { connectMqttJs, openMqttJs, speaking } from '../support/mqtt-js.ts'
import { Program, requireProgram } from '../support/programs.ts'

const byCertificate = {
  requestClientCertificate: 'required',
  userNameFromCertificate: 'commonName',
} as const

const rules = `allow all users/%u/#  user=meter-*
allow all certs/%cn/# cn=meter-*
allow all keys/#      user=sensor
`
const KEY = '00112233445566778899aabbccddeeff'

test('mosquitto_pub and mosquitto_sub are the users of their certificates, by the rules', async (t) => {
  const { caFile, crlFile, write, argumentsFor, ...files } = await certificateFiles(t)
  const authority = await testAuthority
  const aclFile = write('acl.conf', rules)
  const own = { ...byCertificate, caFile, crlFile }
  const { broker, log } = await startEncrypted(t, files, own, { security: { aclFile } })
  const connected = once(broker, 'connected')
  const meter = argumentsFor(await authority.device('meter-7'))
  const clients = mosquittoClients(t, broker, [...leadingTo(broker.urls[0]), ...meter])
  if (clients === undefined) return

  const subscriber = await clients.subscribe(['-t', 'users/meter-7/#', '-t', 'certs/meter-7/#'])
  await clients.publish(['-t', 'users/meter-7/power', '-q', '1', '-m', 'mine'])
  await clients.publish(['-t', 'users/meter-8/power', '-q', '1', '-m', 'not mine'])
  await clients.publish(['-t', 'certs/meter-7/power', '-q', '1', '-m', 'mine too'])

  t.is(await subscriber.nextLine(), 'mine')
  t.is(await subscriber.nextLine(), 'mine too')
  const [client] = (await connected) as [ClientInfo]
  t.like(client, { userName: 'meter-7', certificateCommonName: 'meter-7' })
  t.like(log.lines.find(({ fields }) => fields['packet'] === 'PUBLISH')?.fields, {
    user: 'meter-7',
    topic: 'users/meter-8/power',
  })
  t.false(log.lines.some(({ message }) => message.startsWith('nothing verifies user names')))
})

test('the certificate wins over the user name of CONNECT, and no password is asked for', async (t) => {
  const { caFile, write, ...files } = await certificateFiles(t)
  const passwordFile = write('passwords', '')
  const own = { ...byCertificate, type: 'wss', caFile } as Partial<ListenerInput>
  const { broker, url } = await startEncrypted(t, files, own, { security: { passwordFile } })
  const { ca, device } = await testAuthority
  const connected = once(broker, 'connected')

  const account = { username: 'admin', password: 'guessed' }
  const meter = await device('meter-7')
  await connectMqttJs(t, url, { ...speaking(5), ca: ca.cert, ...meter, ...account })

  const [client] = (await connected) as [ClientInfo]
  t.is(client.userName, 'meter-7')
})

test('a revoked client of MQTT.js is refused over wss, and the log names it', async (t) => {
  const { caFile, crlFile, ...files } = await certificateFiles(t)
  const { ca, device, revoke } = await testAuthority
  const stolen = await device('stolen')
  writeFileSync(crlFile, await revoke([stolen]))
  const own = { ...byCertificate, type: 'wss', caFile, crlFile } as Partial<ListenerInput>
  const { url, log } = await startEncrypted(t, files, own)

  const { client } = openMqttJs(t, url, { ...speaking(5), ca: ca.cert, ...stolen })
  client.on('error', () => {})
  const { rule } = await log.next('connection refused')

  t.regex(String(rule), /^the client certificate "stolen", serial \w+ is revoked by crlFile$/)
})

async function refusalOf(t: ExecutionContext, url: string, own: object): Promise<number> {
  const { ca } = await testAuthority
  const { client } = openMqttJs(t, url, { ...speaking(5), ca: ca.cert, ...own })
  const error = await new Promise<unknown>((resolve) => client.once('error', resolve))
  return (error as { code: number }).code
}

test('where a certificate is optional, those without one need a password', async (t) => {
  const { caFile, ...files } = await certificateFiles(t)
  const own = { ...byCertificate, requestClientCertificate: 'optional', caFile } as const
  const hooks = {
    authenticate: ({ userName }: ClientInfo) => (userName === 'alice' ? true : undefined),
  }
  const { url } = await startEncrypted(t, files, own, { hooks })
  const { ca, device } = await testAuthority

  const trust = { ...speaking(5), ca: ca.cert }
  await t.notThrowsAsync(connectMqttJs(t, url, { ...trust, ...(await device('meter-7')) }))
  await t.notThrowsAsync(connectMqttJs(t, url, { ...trust, username: 'alice', password: 'x' }))

  t.is(await refusalOf(t, url, { username: 'meter-7', password: 'x' }), 0x87)
  t.is(await refusalOf(t, url, {}), 0x87)
})

test('a user name that is only claimed is not believed beside certificates, not even where strangers are let in', async (t) => {
  const { caFile, ...files } = await certificateFiles(t)
  const own = { ...byCertificate, requestClientCertificate: 'optional', caFile } as const
  const { url, log } = await startEncrypted(t, files, { ...own, allowAnonymous: true })
  const closed = await startEncrypted(t, files, own)
  const { ca } = await testAuthority

  await t.notThrowsAsync(connectMqttJs(t, url, { ...speaking(5), ca: ca.cert }))
  t.is(await refusalOf(t, url, { username: 'meter-7' }), 0x87)
  t.is(await refusalOf(t, closed.url, {}), 0x87)

  const refusal = log.lines.find(({ fields }) => fields['user'] === 'meter-7')
  t.regex(String(refusal?.fields['rule']), /^neither a certificate nor a pre-shared key says/)
})

for (const protocol of ['mqttv311', 'mqttv5']) {
  test(`mosquitto_pub and mosquitto_sub are the users of their pre-shared keys (${protocol})`, async (t) => {
    const { write } = await certificateFiles(t)
    const pskFile = write('keys', `# sensors\nsensor:${KEY}\n`)
    const aclFile = write('acl.conf', rules)
    const keys = { keyFile: undefined, certFile: undefined } as never
    const own = { pskFile, pskHint: 'ours' }
    const { broker } = await startEncrypted(t, keys, own, { security: { aclFile } })
    const connected = once(broker, 'connected')
    const where = [...leadingTo(broker.urls[0], protocol), '--psk-identity', 'sensor', '--psk', KEY]
    const clients = mosquittoClients(t, broker, where)
    if (clients === undefined) return

    const subscriber = await clients.subscribe(['-t', 'keys/#', '-q', '1'])
    await clients.publish(['-t', 'keys/a', '-q', '1', '-m', 'by key'])

    t.is(await subscriber.nextLine(), 'by key')
    const [client] = (await connected) as [ClientInfo]
    t.like(client, { userName: 'sensor', certificate: undefined })
  })
}

test('mosquitto_pub with another key is refused, and the log names the identity', async (t) => {
  const path = requireProgram(t, 'mosquitto_pub', 'mosquitto-clients')
  if (path === undefined) return
  const { write, ...files } = await certificateFiles(t)
  const pskFile = write('keys', `sensor:${KEY}\n`)
  const { broker, log } = await startEncrypted(t, files, { pskFile })

  const where = [...leadingTo(broker.urls[0]), '--psk-identity', 'sensor', '--psk', 'ff'.repeat(16)]
  const { code } = await new Program(t, path, [...where, '-t', 'a', '-m', 'x']).exited
  const { rule } = await log.next('connection refused')

  t.not(code, 0)
  t.is(rule, 'the client has another key for "sensor" than pskFile, which may have none')
})

test('pre-shared keys are live: whose key is gone is disconnected, who is new may come', async (t) => {
  const { write, ...files } = await certificateFiles(t)
  const pskFile = write('keys', `sensor:${KEY}\nother:${KEY}\n`)
  const { broker, log } = await startEncrypted(t, files, { pskFile })
  const as = (name: string) =>
    mosquittoClients(t, broker, [
      ...leadingTo(broker.urls[0]),
      '--psk-identity',
      name,
      '--psk',
      KEY,
    ])
  const sensor = as('sensor')
  if (sensor === undefined) return
  await sensor.subscribe(['-t', '#'])
  const stays = await as('other')?.subscribe(['-t', '#'])
  const disconnected = once(broker, 'disconnected')

  writeFileSync(pskFile, `other:${KEY}\nnew:${KEY}\n`)
  const [client, end] = (await disconnected) as [ClientInfo, { rule: string }]
  await log.next('a changed file is in force')
  await as('new')?.publish(['-t', 'a', '-q', '1', '-m', 'from new'])

  t.is(client.userName, 'sensor')
  t.is(end.rule, 'its pre-shared key was removed or changed')
  t.is(await stays?.nextLine(), 'from new')
})

test('a file of keys with a wrong line changes nothing, and short keys are told', async (t) => {
  const { write, ...files } = await certificateFiles(t)
  const pskFile = write('keys', 'sensor:0011\n')
  const { log } = await startEncrypted(t, files, { pskFile })

  writeFileSync(pskFile, 'sensor:0011\nother:xyz\n')
  const { rule } = await log.next('a changed file cannot be used: what was in force before stays')
  const short = await log.next('who listens can guess short keys')

  t.regex(String(rule), /keys:2: the key is not pairs of hexadecimal digits$/)
  t.is(short['rule'], '1 keys have less than 16 bytes')
})
