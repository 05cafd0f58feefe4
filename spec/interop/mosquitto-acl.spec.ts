/** An acl_file of Mosquitto, asked of Mosquitto itself: what it allows there, it allows here. */

import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { createConnection } from 'node:net'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { parseAclFile } from '../../lib/security/acl/parse.ts'
import { ClientRules } from '../../lib/security/acl/rules.ts'
import { TestClient } from '../support/client.ts'
import { Process, temporaryDirectory } from '../support/processes.ts'
import { requireProgram } from '../support/programs.ts'

const rules = `# Comment
topic read public/#
topic deny public/secret

user root
topic readwrite #

user alice
topic read home/#
topic write home/alice/#
topic deny home/alice/locked
topic home/+/both
topic readwrite my desk/paper

user alice
topic write later/section

user x/y
topic write exact

pattern write dev/%c/state
pattern read users/%u/#
pattern readwrite both/%u/%c
pattern deny users/%u/private
pattern write deep/%u
`

const userNames = [undefined, 'alice', 'bob', 'x/y', '+', 'a#b']
const clientIdentifier = 'c1'
const topics =
  `public/news,public/secret,public,home,home/x,home/alice/x,home/alice/locked,home/bob/both
my desk/paper,later/section,exact,dev/c1/state,dev/c2/state,users/alice/mail,users/alice,users/alice/private
users/bob/mail,users//mail,both/alice/c1,both/bob/c1,both/x/y/c1,deep/alice,deep/x/y,other,/home/x`.split(
    /[,\n]/,
  )

/** Starts Mosquitto on a Unix socket; undefined if it is not installed. */
async function startMosquitto(t: ExecutionContext): Promise<string | undefined> {
  const path = requireProgram(t, 'mosquitto', 'mosquitto')
  if (path === undefined) return undefined
  const folder = temporaryDirectory(t)
  const socket = join(folder, 'socket')
  const aclFile = join(folder, 'acl')
  const configuration = join(folder, 'mosquitto.conf')
  writeFileSync(aclFile, rules)
  const lines = [
    `listener 0 ${socket}`,
    'allow_anonymous true',
    `acl_file ${aclFile}`,
    'log_dest stderr',
  ]
  writeFileSync(configuration, `${[...lines, 'user root'].join('\n')}\n`)
  await new Process(t, path, ['-c', configuration]).waitForLine(/ running$/)
  return socket
}

async function enter(
  t: ExecutionContext,
  socket: string,
  userName: string | undefined,
): Promise<TestClient> {
  const client = new TestClient(5)
  const wire = createConnection(socket)
  t.teardown(() => wire.destroy())
  wire.on('data', (chunk) => client.take(chunk))
  wire.on('close', () => client.noteClosed())
  client.wire = wire
  await once(wire, 'connect')
  const clientId = userName === 'root' ? 'r1' : clientIdentifier
  client.connect({ clientId, ...(userName !== undefined && { username: userName }) })
  await client.expect(t, 'connack', { reasonCode: 0 })
  return client
}

function ours(userName: string | undefined): ClientRules {
  const where = { address: '127.0.0.1', listener: 'unix-0', certificateCommonName: undefined }
  return new ClientRules('acl', parseAclFile(rules), { clientIdentifier, userName, ...where })
}

async function mayPublish(t: ExecutionContext, client: TestClient): Promise<string[]> {
  const allowed: string[] = []
  for (const topic of topics) {
    client.publish(topic, '', { qos: 1, messageId: 1 })
    const { reasonCode } = await client.expect(t, 'puback')
    if (reasonCode !== 0x87) allowed.push(topic)
  }
  return allowed
}

async function mayReceive(
  t: ExecutionContext,
  client: TestClient,
  root: TestClient,
): Promise<string[]> {
  await client.subscribe(t, '#')
  for (const topic of topics) {
    root.publish(topic, '', { qos: 1, messageId: 1 })
    await root.expect(t, 'puback')
  }
  return (await client.settled()).map(({ topic }) => topic as string)
}

for (const userName of userNames) {
  test(`Mosquitto and its rules here allow ${userName ?? 'nobody in particular'} the same`, async (t) => {
    const socket = await startMosquitto(t)
    if (socket === undefined) return
    const client = await enter(t, socket, userName)
    const root = await enter(t, socket, 'root')
    const here = ours(userName)

    const written = await mayPublish(t, client)
    await client.settled()
    const received = await mayReceive(t, client, root)

    t.deepEqual(
      written,
      topics.filter((topic) => here.mayPublish(topic, 1, false).isAllowed),
    )
    t.deepEqual(
      received,
      topics.filter((topic) => here.mayReceive(topic, 0).isAllowed),
    )
  })
}
