import { readFileSync } from 'node:fs'
import test from 'ava'
import { parse } from 'yaml'
import * as z from 'zod'
import { generatedFiles } from '../../lib/config/generate.ts'
import { defaultConfiguration, loadConfiguration } from '../../lib/config/load.ts'
import { environmentName, listenerTypes, rooms } from '../../lib/config/settings.ts'

const root = new URL('../../../', import.meta.url)
const read = (path: string): string => readFileSync(new URL(path, root), 'utf8')

for (const { path, text } of generatedFiles()) {
  test(`${path} is what npm run generate makes of the schema`, (t) => {
    t.true(read(path) === text, `${path} is stale: npm run generate`)
  })
}

test('config/default.yaml comes to the defaults, each set in it or named in a comment', (t) => {
  const file = new URL('config/default.yaml', root).pathname
  const { options, origins } = loadConfiguration({ file, environment: {} })
  const unset = rooms.flatMap(({ settings }) => settings.filter((one) => one.default === undefined))

  t.deepEqual(options, defaultConfiguration())
  const implied = [...origins].filter(([path, origin]) => {
    return !path.startsWith('listeners.') && origin === 'default'
  })
  t.deepEqual(
    implied.map(([path]) => path),
    unset.map(({ key }) => key),
  )
})

test('config/example-tls.yaml is valid', (t) => {
  const file = new URL('config/example-tls.yaml', root).pathname

  const { options } = loadConfiguration({ file, environment: {} })

  t.deepEqual(
    options.listeners.map(({ type, name }) => [type, name]),
    [
      ['tls', 'public'],
      ['wss', 'pages'],
      ['tcp', 'local'],
    ],
  )
})

test('the JSON Schema takes the examples and refuses what the broker refuses', (t) => {
  const schema = z.fromJSONSchema(JSON.parse(read('config/noctule.schema.json')))

  t.true(schema.safeParse(parse(read('config/default.yaml'))).success)
  t.true(schema.safeParse(parse(read('config/example-tls.yaml'))).success)
  t.true(schema.safeParse({}).success)
  t.false(schema.safeParse({ sesion: {} }).success)
  t.false(schema.safeParse({ session: { inflightMax: 0 } }).success)
  t.false(schema.safeParse({ listeners: [{ type: 'unix' }] }).success)
  // Zod does not read this part of a schema again; editors do.
  t.is(
    read('config/noctule.schema.json').match(/"required": \["keyFile", "certFile"\]/g)?.length,
    2,
  )
})

test('every option has a sentence, and a variable of its own', (t) => {
  const settings = rooms.flatMap((room) => room.settings)
  const fields = [...listenerTypes.values()].flat()
  const variables = settings.map(({ key }) => environmentName(key))

  t.deepEqual(
    [...settings, ...fields].filter(({ sentence }) => !/^[A-Z].*\.$/.test(sentence)),
    [],
  )
  t.is(new Set(variables).size, variables.length)
  t.true(variables.includes('NOCTULE_SESSION_QUEUE_MESSAGES_MAX'))
  t.true(variables.includes('NOCTULE_CONNECTION_SHARED_SUBSCRIPTIONS_V3'))
})
