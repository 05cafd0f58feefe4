import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import type { BrokerOptionsInput } from '../../lib/config/input.ts'
import {
  defaultConfiguration,
  loadConfiguration,
  parseConfiguration,
} from '../../lib/config/load.ts'

function writeFile(t: ExecutionContext, text: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'noctule-config-'))
  t.teardown(() => rmSync(folder, { recursive: true }))
  const file = join(folder, 'noctule.yaml')
  writeFileSync(file, text)
  return file
}

test('each layer wins over the one below it, and says so', (t) => {
  const file = writeFile(
    t,
    'session:\n  queueMessagesMax: 1\n  inflightMax: 2\n  subscriptionsMax: 3\n',
  )
  const environment = {
    NOCTULE_SESSION_INFLIGHT_MAX: '20',
    NOCTULE_SESSION_SUBSCRIPTIONS_MAX: '30',
  }

  const { options, origins } = loadConfiguration({
    file,
    environment,
    flags: { session: { subscriptionsMax: '300' } },
  })

  const keys = ['queuePolicy', 'queueMessagesMax', 'inflightMax', 'subscriptionsMax'] as const
  t.deepEqual(
    keys.map((key) => [options.session[key], origins.get(`session.${key}`)]),
    [
      ['drop-oldest', 'default'],
      [1, `${file}:2`],
      [20, 'env NOCTULE_SESSION_INFLIGHT_MAX'],
      [300, 'flag --session.subscriptionsMax'],
    ],
  )
})

test('without any layer the configuration is the default one, complete and frozen', (t) => {
  const { options, origins } = loadConfiguration({ environment: {} })

  t.deepEqual(options, defaultConfiguration())
  t.deepEqual([...new Set(origins.values())], ['default'])
  t.deepEqual(
    options.listeners.map(({ type, name }) => [type, name]),
    [
      ['tcp', 'tcp-0'],
      ['ws', 'ws-1'],
    ],
  )
  t.true(Object.isFrozen(options) && Object.isFrozen(options.listeners[0]))
  t.true(Object.isFrozen(options.session))
})

test('the environment gives a list as YAML or JSON text', (t) => {
  const yaml = loadConfiguration({
    environment: { NOCTULE_LISTENERS: '[{ type: tcp, port: 1884 }, { type: ws }]' },
  })
  const json = loadConfiguration({
    environment: { NOCTULE_LISTENERS: '[{"type":"unix","path":"/run/noctule.sock"}]' },
  })

  t.deepEqual(
    yaml.options.listeners.map(({ type }) => type),
    ['tcp', 'ws'],
  )
  t.is(yaml.origins.get('listeners.0.port'), 'env NOCTULE_LISTENERS')
  t.is(yaml.origins.get('listeners.1.port'), 'default')
  t.like(json.options.listeners[0], { type: 'unix', path: '/run/noctule.sock', mode: '660' })
})

test('the environment changes one field of one listener, also of those that are there by default', (t) => {
  const { options, origins } = loadConfiguration({
    environment: { NOCTULE_LISTENERS_0_HOST: '0.0.0.0', NOCTULE_LISTENERS_1_PORT: '0' },
  })

  t.like(options.listeners[0], { type: 'tcp', host: '0.0.0.0', port: 1883 })
  t.like(options.listeners[1], { type: 'ws', host: '127.0.0.1', port: 0 })
  t.is(origins.get('listeners.0.host'), 'env NOCTULE_LISTENERS_0_HOST')
  t.is(origins.get('listeners.0.port'), 'default')
})

test('a group in the environment leaves the keys alone that it does not name', (t) => {
  const file = writeFile(t, 'log:\n  level: warn\n  format: json\n')

  const { options } = loadConfiguration({
    file,
    environment: { NOCTULE_LOG: '{ level: debug }' },
  })

  t.deepEqual(options.log, { level: 'debug', format: 'json' })
})

test('a variable that looks like a port of ours is not taken for one of Kubernetes', (t) => {
  for (const name of ['NOCTULE_PORT', 'NOCTULE_WS_PORT']) {
    const error = t.throws(() => loadConfiguration({ environment: { [name]: '5555' } }))
    t.true(error?.message.includes(`no option ${name}`))
  }
})

test('empty variables, and those that Kubernetes makes for a service, are no options', (t) => {
  const environment = {
    NOCTULE_LOG_LEVEL: '',
    NOCTULE_CONFIG: 'elsewhere.yaml',
    NOCTULE_SERVICE_HOST: '10.0.0.1',
    NOCTULE_PORT: 'tcp://10.0.0.1:1883',
    NOCTULE_PORT_1883_TCP_ADDR: '10.0.0.1',
    NOCTULE_MQTT_SERVICE_PORT_WS: '8083',
  }

  t.deepEqual(loadConfiguration({ environment }).options, defaultConfiguration())
})

test('texts are taken as they are, also when they look like numbers', (t) => {
  const { options } = loadConfiguration({
    environment: { NOCTULE_MONITOR_NODE_NAME: '007' },
    flags: { 'connection.serverReference': '1e3' },
  })

  t.is(options.monitor.nodeName, '007')
  t.is(options.connection.serverReference, '1e3')
})

test('a group whose keys are all commented out has its defaults', (t) => {
  const file = writeFile(
    t,
    'listeners:\nsession:\n  # inflightMax: 1\nconnection:\n  serverReference:\n',
  )

  t.deepEqual(loadConfiguration({ file, environment: {} }).options, defaultConfiguration())
})

test('a later layer takes back what an earlier one set', (t) => {
  const file = writeFile(t, 'security:\n  allowAnonymous: true\n')

  const { options, origins } = loadConfiguration({
    file,
    environment: { NOCTULE_SECURITY_ALLOW_ANONYMOUS: 'null' },
  })

  t.is(options.security.allowAnonymous, undefined)
  t.is(origins.get('security.allowAnonymous'), 'default')
})

test('a host program gives only what differs', (t) => {
  const input: BrokerOptionsInput = {
    listeners: [{ type: 'tcp', port: 0, name: undefined }],
    session: { queueMessagesMax: 5, inflightMax: undefined },
  }

  const options = parseConfiguration(input)

  t.deepEqual(options.session, { ...defaultConfiguration().session, queueMessagesMax: 5 })
  t.like(options.listeners, [{ type: 'tcp', host: '127.0.0.1', port: 0, name: 'tcp-0' }])
})

test('anchors and aliases keep the lines where values stand', (t) => {
  const file = writeFile(
    t,
    'session: &limits\n  inflightMax: 7\nlisteners:\n  - &one\n    type: tcp\n    port: 0\n',
  )

  const { origins } = loadConfiguration({ file, environment: {} })

  t.is(origins.get('session.inflightMax'), `${file}:2`)
  t.is(origins.get('listeners.0.port'), `${file}:6`)
})
