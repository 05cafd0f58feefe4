import test from 'ava'
import { parseConfiguration } from '../../lib/config/load.ts'
import { compareForReload } from '../../lib/config/reload.ts'

test('what changed is divided into what applies at once and what needs a restart', (t) => {
  const old = parseConfiguration({ listeners: [{ type: 'tcp', port: 0 }] })
  const next = parseConfiguration({
    listeners: [{ type: 'tcp', port: 1884, trustedProxies: ['10.0.0.0/8'] }],
    log: { level: 'debug', format: 'json' },
    security: { allowAnonymous: false },
  })

  t.deepEqual(compareForReload(old, next), {
    apply: ['security.allowAnonymous', 'log.level'],
    needsRestart: ['listeners.0.port', 'listeners.0.trustedProxies', 'log.format'],
  })
})

test('nothing is to be done when nothing changed', (t) => {
  const input = { listeners: [{ type: 'ws', allowedOrigins: ['https://example.org'] }] }

  const plan = compareForReload(parseConfiguration(input), parseConfiguration(input))

  t.deepEqual(plan, { apply: [], needsRestart: [] })
})

test('a listener more or less is one change', (t) => {
  const plan = compareForReload(parseConfiguration({}), parseConfiguration({ listeners: [] }))

  t.deepEqual(plan, { apply: [], needsRestart: ['listeners'] })
})
