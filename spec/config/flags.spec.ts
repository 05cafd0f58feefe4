import test from 'ava'
import yargs from 'yargs'
import { configurationFlags, flagsFrom } from '../../lib/config/flags.ts'
import { type LoadedConfiguration, loadConfiguration } from '../../lib/config/load.ts'

async function loadFrom(...commandLine: string[]): Promise<LoadedConfiguration> {
  const argv = await yargs(commandLine)
    .options(configurationFlags())
    .strict()
    .exitProcess(false)
    .fail(false)
    .parseAsync()
  return loadConfiguration({ environment: {}, flags: flagsFrom(argv) })
}

test('every option is a flag, with text as it was written', async (t) => {
  const { options, origins } = await loadFrom(
    '--session.queueMessagesMax',
    '5',
    '--connection.retainAvailable=false',
    '--connection.maximumQos=1',
    '--monitor.nodeName=007',
  )

  t.is(options.session.queueMessagesMax, 5)
  t.false(options.connection.retainAvailable)
  t.is(options.connection.maximumQos, 1)
  t.is(options.monitor.nodeName, '007')
  t.is(origins.get('session.queueMessagesMax'), 'flag --session.queueMessagesMax')
})

test('a flag changes one field of a listener, or gives the whole list', async (t) => {
  const field = await loadFrom('--listeners.0.port', '0', '--listeners.0.host', '::')
  const list = await loadFrom('--listeners', '[{ "type": "ws", "port": 0 }]')

  t.like(field.options.listeners[0], { type: 'tcp', host: '::', port: 0 })
  t.is(field.options.listeners.length, 2)
  t.like(list.options.listeners, [{ type: 'ws', port: 0 }])
})

test('--store is short for --store.url', async (t) => {
  await t.throwsAsync(loadFrom('--store', 'tape'), {
    message:
      'flag --store.url: store.url must be a store that exists: disk, memory, redis, rediss, redis+sentinel, rediss+sentinel, redis+cluster, rediss+cluster; found "tape"',
  })
  t.is((await loadFrom('--store=memory')).origins.get('store.url'), 'flag --store.url')
  t.is((await loadFrom('--store.url=memory')).origins.get('store.url'), 'flag --store.url')
})

test('a flag may be spelled with dashes', async (t) => {
  const { options } = await loadFrom('--session.queue-messages-max=6')

  t.is(options.session.queueMessagesMax, 6)
})

test('a mistyped flag brings the right one to mind', async (t) => {
  await t.throwsAsync(loadFrom('--session.queueMessageMax=6'), {
    message:
      'flag --session.queueMessageMax: there is no option session.queueMessageMax; did you mean session.queueMessagesMax?',
  })
  await t.throwsAsync(loadFrom('--sesion.queueMessagesMax=6'), { message: /sesion/ })
})

test('a flag given twice is a mistake', async (t) => {
  await t.throwsAsync(loadFrom('--log.level=info', '--log.level=warn'), {
    message: /flag --log.level: log.level must be one of .*; found a list/,
  })
})

test('a group in a group has flags of its own, which may be spelled with dashes', async (t) => {
  const { options, origins } = await loadFrom(
    '--security.jwt.secret-file=secret',
    '--security.jwt.algorithms=[HS256]',
  )

  t.like(options.security.jwt, { secretFile: 'secret', algorithms: ['HS256'] })
  t.is(origins.get('security.jwt.algorithms'), 'flag --security.jwt.algorithms')
})
