import test from 'ava'
import { parseConfiguration } from '../../lib/config/load.ts'
import { compareForReload, reloadInto } from '../../lib/config/reload.ts'

test('what changed is divided into what applies at once and what needs a restart', (t) => {
  const old = parseConfiguration({ listeners: [{ type: 'tcp', port: 0 }] })
  const next = parseConfiguration({
    listeners: [{ type: 'tcp', port: 1884, trustedProxies: ['10.0.0.0/8'] }],
    log: { level: 'debug', format: 'json' },
    security: { allowAnonymous: false, aclDryRun: true, aclFile: 'acl.conf' },
  })

  t.deepEqual(compareForReload(old, next), {
    apply: ['security.allowAnonymous', 'security.aclDryRun', 'log.level'],
    needsRestart: [
      'listeners.0.port',
      'listeners.0.trustedProxies',
      'security.aclFile',
      'log.format',
    ],
  })
})

test('after a reload only that is in force which may change while running', (t) => {
  const old = parseConfiguration({ security: { aclFile: 'old.conf' }, session: { inflightMax: 5 } })
  const next = parseConfiguration({
    security: { aclFile: 'new.conf', aclDryRun: true },
    session: { inflightMax: 6 },
    connection: { receiveMaximum: 7 },
  })

  t.like(reloadInto(old, next), {
    security: { aclFile: 'old.conf', aclDryRun: true },
    session: { inflightMax: 5 },
    connection: { receiveMaximum: 7 },
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
