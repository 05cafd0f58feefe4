import { readFileSync } from 'node:fs'
import test from 'ava'
import { environmentName, listenerTypes, rooms, settingAt } from '../../lib/config/settings.ts'
import { Counters } from '../../lib/util/counters.ts'
import { startBroker } from '../support/broker.ts'
import { connectClient } from '../support/client.ts'
import { run, temporaryDirectory } from '../support/processes.ts'

const manual = readFileSync('docs/limits.md', 'utf8')
const groups = ['limits', 'perClient', 'perUser', 'perAddress', 'bans', 'overload']

test('every option that docs/limits.md names exists', (t) => {
  const names = rooms.map(({ name }) => name).join('|')
  const named = [...manual.matchAll(new RegExp(`\`((?:${names})\\.\\w+)`, 'g'))]
  const ofListeners = [...manual.matchAll(/`listeners\[\]\.(\w+)/g)]
  const fields = new Set([...listenerTypes.values()].flat().map(({ key }) => key))

  t.true(named.length > 20)
  for (const [, name = ''] of named) t.not(settingAt(name), undefined, name)
  for (const [, field = ''] of ofListeners) t.true(fields.has(field), field)
})

test('every option of these groups is in docs/limits.md, and every counter', (t) => {
  const settings = rooms
    .filter(({ name }) => groups.includes(name))
    .flatMap((room) => room.settings)
  const fields = settings.map(({ key }) => key.split('.')[1] ?? '')

  t.deepEqual(
    fields.filter((field) => !manual.includes(`.${field}\``)),
    [],
  )
  for (const name of Object.keys(new Counters().limitsReached)) {
    t.true(
      manual.includes(
        `\`${environmentName(name).slice('NOCTULE_'.length).replaceAll('_', '-').toLowerCase()}\``,
      ),
      name,
    )
  }
})

test('every other counter that docs/limits.md names is a topic of $SYS', async (t) => {
  const { broker } = await startBroker(t)
  const client = await connectClient(t, broker)
  await client.subscribe(t, '$SYS/brokers/noctule/#')
  const topics = new Set((await client.settled()).map(({ topic }) => topic))
  const named = [...manual.matchAll(/`((?:refused|disconnected|dropped)\/[\w/-]+)`/g)]

  t.true(named.length > 8)
  for (const [, name = ''] of named) t.true(topics.has(`$SYS/brokers/noctule/${name}`), name)
})

test('noctule ban does what docs/limits.md shows', async (t) => {
  const cwd = temporaryDirectory(t)
  const shown = [...manual.matchAll(/^\$ noctule (ban .*)\n(.*)$/gm)]
  t.is(shown.length, 3)
  for (const [, command = '', answer = ''] of shown) {
    const words = command.match(/"[^"]*"|\S+/g) ?? []
    const args = words.map((word) => word.replaceAll('"', '').replace(/^bans$/, `${cwd}/bans`))
    const { stdout } = await run(t, args)
    const timeless = (text: string) =>
      text.replaceAll(/until=\S+/g, 'until=').replaceAll(`${cwd}/`, '')
    t.is(timeless(stdout), `${timeless(answer)}\n`)
  }
})
