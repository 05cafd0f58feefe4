import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import fc from 'fast-check'
import { FILE_BYTES_MAX, readConfigurationFile } from '../../lib/config/file.ts'
import { type LoadRequest, loadConfiguration, parseConfiguration } from '../../lib/config/load.ts'
import { ConfigurationError, type ConfigurationProblem } from '../../lib/config/problems.ts'
import { nearest } from '../../lib/util/nearest.ts'

function writeFile(t: ExecutionContext, text: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'noctule-config-'))
  t.teardown(() => rmSync(folder, { recursive: true }))
  const file = join(folder, 'noctule.yaml')
  writeFileSync(file, text)
  return file
}

function problemsOf(
  t: ExecutionContext,
  request: Partial<LoadRequest>,
): readonly ConfigurationProblem[] {
  const error = t.throws(() => loadConfiguration({ environment: {}, ...request }), {
    instanceOf: ConfigurationError,
  })
  return error?.problems ?? []
}

test('all mistakes of all layers are reported at once, each with its place', (t) => {
  const file = writeFile(
    t,
    [
      'listeners:',
      '  - type: tcp',
      '    port: 70000',
      'session:',
      '  queueMessageMax: 5',
      '  queuePolicy: drop-all',
      'retained:',
      '  bytesMax: much',
    ].join('\n'),
  )

  const problems = problemsOf(t, {
    file,
    environment: { NOCTULE_LOG_LEVEL: 'loud', NOCTULE_SESION_INFLIGHT_MAX: '1' },
    flags: { monitor: { presence: 'perhaps' } },
  })

  t.deepEqual(problems.map(({ message }) => message.replaceAll(file, 'FILE')).toSorted(), [
    'FILE:3: listeners.0.port must be a whole number from 0 to 65535; found 70000',
    'FILE:5: there is no option session.queueMessageMax; did you mean session.queueMessagesMax?',
    'FILE:6: session.queuePolicy must be one of drop-oldest, drop-newest, disconnect; found "drop-all"',
    'FILE:8: retained.bytesMax must be a whole number from 0 to 1099511627776; found "much"',
    'env NOCTULE_LOG_LEVEL: log.level must be one of trace, debug, info, warn, error, silent; found "loud"',
    'env NOCTULE_SESION_INFLIGHT_MAX: there is no option NOCTULE_SESION_INFLIGHT_MAX; did you mean NOCTULE_SESSION_INFLIGHT_MAX?',
    'flag --monitor.presence: monitor.presence must be true or false; found "perhaps"',
  ])
})

test('a problem names place, key, what was expected and found, and the nearest key, for programs', (t) => {
  const [problem] = problemsOf(t, { flags: { session: { inFlightMax: 3 } } })

  t.like(problem, {
    where: 'flag --session.inFlightMax',
    key: 'session.inFlightMax',
    found: 'session.inFlightMax',
    nearest: 'session.inflightMax',
  })
})

const unknownKeys: readonly (readonly [object, string | undefined])[] = [
  [{ sesion: {} }, 'session'],
  [{ queueMessagesMax: 5 }, 'session.queueMessagesMax'],
  [{ connection: { topic_levels_max: 5 } }, 'connection.topicLevelsMax'],
  [{ connection: { queuePolicy: 'drop-oldest' } }, 'session.queuePolicy'],
  [{ listeners: [{ type: 'tcp', prot: 1883 }] }, 'listeners.0.port'],
  [{ colour: 'blue' }, undefined],
]
for (const [input, expected] of unknownKeys) {
  test(`the unknown key in ${JSON.stringify(input)} brings to mind ${expected ?? 'none'}`, (t) => {
    const error = t.throws(() => parseConfiguration(input), { instanceOf: ConfigurationError })

    t.is(error?.problems.length, 1)
    t.is(error?.problems[0]?.nearest, expected)
  })
}

const listeners: readonly (readonly [object, string])[] = [
  [{ type: 'tpc' }, 'listeners.0.type must be one of tcp, tls, ws, wss, unix; found "tpc"'],
  [{ port: 1 }, 'listeners.0.type must be one of tcp, tls, ws, wss, unix; found nothing'],
  [
    { type: 'tcp', path: '/x' },
    'there is no option listeners.0.path for type tcp, only for ws, wss, unix',
  ],
  [{ type: 'unix' }, 'listeners.0.path must be text of at most 107 characters; found nothing'],
  [
    { type: 'unix', path: '/run/x.sock', mode: 660 },
    "listeners.0.mode must be three octal digits in quotes, such as '660'; found 660",
  ],
  [
    { type: 'tcp', proxyProtocol: true },
    'listeners.0.trustedProxies must be the addresses of the proxies, since proxyProtocol is true; found nothing',
  ],
  [
    { type: 'tls', keyFile: 'k', certFile: 'c', requestClientCertificate: 'required' },
    'listeners.0.caFile must be a file, since requestClientCertificate is required; found nothing',
  ],
  [
    { type: 'tcp', trustedProxies: ['10.0.0.0/33'] },
    'listeners.0.trustedProxies.0 must be an IP address, or a range such as 10.0.0.0/8; found "10.0.0.0/33"',
  ],
]
for (const [listener, message] of listeners) {
  test(`the listener ${JSON.stringify(listener)} is refused with a reason`, (t) => {
    t.throws(() => parseConfiguration({ listeners: [listener] }), {
      message: `options: ${message}`,
    })
  })
}

test('two listeners share neither name nor address', (t) => {
  const both = [
    { type: 'tcp', port: 1883, name: 'a' },
    { type: 'ws', port: 1883, name: 'a' },
  ]

  const error = t.throws(() => parseConfiguration({ listeners: both }), {
    instanceOf: ConfigurationError,
  })

  t.deepEqual(
    error?.problems.map(({ key }) => key),
    ['listeners.1.name', 'listeners.1.port'],
  )
  t.notThrows(() =>
    parseConfiguration({
      listeners: [
        { type: 'tcp', port: 0 },
        { type: 'tcp', port: 0 },
      ],
    }),
  )
})

test('a listener behind a gap cannot be set', (t) => {
  const [problem] = problemsOf(t, { environment: { NOCTULE_LISTENERS_3_PORT: '1' } })

  t.is(
    problem?.message,
    'env NOCTULE_LISTENERS_3_PORT: listeners must be the number of a listener; there are 2, counted from 0; found 3',
  )
})

test('an unknown kind of store is refused with those that exist', (t) => {
  t.throws(() => parseConfiguration({ store: { url: 'mongodb://localhost' } }), {
    message:
      /^options: store\.url must be a store that exists: disk, memory, redis,.*; found "mongodb:\/\/localhost"$/,
  })
})

test('a mistake of YAML is reported with its line, together with mistakes elsewhere', (t) => {
  const file = writeFile(t, 'session:\n  inflightMax: 1\nlog:\n\tlevel: info\n')

  const problems = problemsOf(t, { file, flags: { log: { level: 'loud' } } })

  t.true(problems[0]?.message.startsWith(`${file}:4: this is not valid YAML: `))
  t.is(problems.at(-1)?.where, 'flag --log.level')
})

test('a key that stands twice is a mistake at the second place', (t) => {
  const file = writeFile(
    t,
    'log:\n  level: info\nsession:\n  inflightMax: 1\nlog:\n  level: warn\n',
  )

  t.deepEqual(
    problemsOf(t, { file }).map(({ where }) => where),
    [`${file}:5`],
  )
})

test('a file that is absent, or a directory, is one line', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'noctule-config-'))
  t.teardown(() => rmSync(folder, { recursive: true }))
  const absent = join(folder, 'absent.yaml')

  t.deepEqual(
    [absent, folder].map((file) => problemsOf(t, { file }).map(({ message }) => message)),
    [
      [`${absent}: cannot be read: there is no such file`],
      [`${folder}: cannot be read: it is a directory; name the file in it`],
    ],
  )
})

test('a file without permission to read it is one line', (t) => {
  // Tests may run as root, who may read everything.
  const { problems } = readConfigurationFile('noctule.yaml', () => {
    throw Object.assign(new Error('EACCES: permission denied'), { code: 'EACCES' })
  })

  t.deepEqual(
    problems.map(({ message }) => message),
    ['noctule.yaml: cannot be read: permission denied; let the user who runs the broker read it'],
  )
})

test('a file without end is not read to the end', (t) => {
  const file = writeFile(t, '#'.repeat(FILE_BYTES_MAX + 1))

  t.true(problemsOf(t, { file })[0]?.message.includes('larger than 1048576 bytes'))
})

test('what is found is shown on one line and not too long', (t) => {
  const error = t.throws(() =>
    parseConfiguration({ log: { level: `a\n\u001b[31m${'x'.repeat(999)}` } }),
  )

  t.false(/\p{Cc}/u.test(error?.message ?? '\n'))
  t.true((error?.message.length ?? 999) < 200)
})

test('whatever a host program hands in, the answer is a configuration or a ConfigurationError', (t) => {
  const rooms = fc.constantFrom(
    'listeners',
    'session',
    'log',
    'security',
    'store',
    '__proto__',
    'x',
  )
  fc.assert(
    fc.property(fc.oneof(fc.anything(), fc.dictionary(rooms, fc.anything())), (input) => {
      try {
        return parseConfiguration(input).listeners.length >= 0
      } catch (error) {
        return error instanceof ConfigurationError && error.problems.length > 0
      }
    }),
  )
  t.pass()
})

test('a short word is near only to what differs by a letter, or by two that changed places', (t) => {
  t.is(nearest('fig', ['log', 'session']), undefined)
  t.is(nearest('lgo', ['log', 'session']), 'log')
  t.is(nearest('logs', ['log', 'session']), 'log')
  t.is(nearest('QUEUE-POLICY', ['queuePolicy']), 'queuePolicy')
})
