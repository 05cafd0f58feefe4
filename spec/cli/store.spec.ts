import { Buffer } from 'node:buffer'
import { existsSync, readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { open } from 'lmdb'
import { parseConfiguration } from '../../lib/config/load.ts'
import { composeBody } from '../../lib/protocol/message.ts'
import { loadStore } from '../../lib/storage/load.ts'
import type { Store } from '../../lib/storage/storage.ts'
import { systemClock } from '../../lib/util/clock.ts'
import { silentLogger } from '../../lib/util/logger.ts'
import { MemoryBudget } from '../../lib/util/memory-budget.ts'
import { noEvents, subscriptionTo, targetOf, unitOf, write } from '../storage/contract-support.ts'
import { startProcess } from '../support/broker-process.ts'
import { type CliResult, run, spawnCli, temporaryDirectory } from '../support/processes.ts'
import { RedisServer } from '../support/redis-server.ts'

const redis = await RedisServer.start()
test.after.always(() => redis.remove())

/** Opens a store that keeps an offline session with two messages, and a retained one. */
async function openFilled(t: ExecutionContext): Promise<{ store: Store; url: string }> {
  const url = `disk:${join(temporaryDirectory(t), 'kept')}`
  const makeStore = await loadStore(url)
  const configuration = parseConfiguration({ store: { url } }).store
  const budget = new MemoryBudget(1e9)
  const store = makeStore({ configuration, clock: systemClock, budget, log: silentLogger })
  await store.open(noEvents)
  t.teardown(() => store.close())
  const { ref } = await store.claim('meter', {
    cleanStart: true,
    expirySeconds: 3600,
    will: undefined,
  })
  await store.update(ref, { subscribe: [subscriptionTo('a/#')] })
  for (const text of ['one', 'two']) {
    await write(store, unitOf('a/1', [targetOf(ref)], { body: bodyOf('a/1', text) }))
  }
  await write(store, unitOf('kept', [], { retain: 'set', body: bodyOf('kept', 'three') }))
  const expiresAt = systemClock.now() + 3_600_000
  await store.release(ref, { expiresAt, willAt: undefined, sentTo: 0 })
  return { store, url }
}

async function closedStore(t: ExecutionContext): Promise<string> {
  const { store, url } = await openFilled(t)
  await store.close()
  return url
}

function bodyOf(topic: string, payload: string): Buffer {
  return composeBody(topic, Buffer.alloc(0), Buffer.from(payload))
}

function withoutHeader({ stdout }: CliResult): string[] {
  return stdout.split('\n').slice(1)
}

test('store info and store export look into a store while its broker runs', async (t) => {
  const { url: store } = await openFilled(t)

  const text = await run(t, ['store', 'info', '--store', store])
  const json = await run(t, ['store', 'info', '--store', store, '--json'])
  const whole = await run(t, ['store', 'export', '--store', store])

  t.is(text.code, 0)
  t.regex(text.stdout, /^Durability +disk: /m)
  t.regex(text.stdout, /^Queued +2 messages, 18 bytes$/m)
  t.regex(text.stdout, /^ {2}"meter": 2 messages, 18 bytes$/m)
  t.like(JSON.parse(json.stdout), {
    kind: 'disk',
    sessions: { connected: 0, offline: 1, willOnly: 0 },
    retained: { messages: 1 },
    firstToEnd: { clientIdentifier: 'meter' },
  })
  t.is(whole.code, 0)
  t.is(whole.stderr, 'Exported 1 session with 1 subscription and 2 messages, 1 retained message.\n')
})

test('store check looks beside a running broker; --repair and import want it stopped', async (t) => {
  const { store: used, url: store } = await openFilled(t)

  const beside = await run(t, ['store', 'check', '--store', store])
  const repair = await run(t, ['store', 'check', '--store', store, '--repair'])
  const imported = await run(t, ['store', 'import', '--store', store])
  await used.close()
  const alone = await run(t, ['store', 'check', '--store', store, '--repair'])

  t.is(beside.code, 0)
  t.regex(beside.stderr, /^A broker is using the store/)
  for (const { code, stderr } of [repair, imported]) {
    t.is(code, 4)
    t.regex(stderr, /is in use by another broker.*needs the store for itself\.\n$/)
  }
  t.deepEqual([alone.code, alone.stderr], [0, ''])
  t.is(alone.stdout, 'Nothing is found that should not be there.\n')
})

test('store check tells what it found by exit code 1, and mends it with --repair', async (t) => {
  const store = await closedStore(t)
  const database = open<Buffer, Buffer>({
    path: store.slice('disk:'.length),
    noSubdir: false,
    encoding: 'binary',
    keyEncoding: 'binary',
  })
  for (const { key, value } of Array.from(database.getRange())) {
    if (value.includes('two')) await database.put(key, Buffer.from('?'))
  }
  await database.close()

  const found = await run(t, ['store', 'check', '--store', store])
  const repaired = await run(t, ['store', 'check', '--store', store, '--repair'])
  const after = await run(t, ['store', 'check', '--store', store])

  t.is(found.code, 1)
  t.regex(found.stdout, /^Found once: message that cannot be read\.$/m)
  t.regex(found.stdout, /stop the broker and add --repair/)
  t.deepEqual([repaired.code, after.code], [0, 0])
  t.regex(repaired.stdout, /^All of it is repaired\.$/m)
})

test('a data file that lost its end is told, and kills none of the commands', async (t) => {
  const store = await closedStore(t)
  const file = join(store.slice('disk:'.length), 'data.mdb')
  truncateSync(file, statSync(file).size / 2)

  for (const command of ['info', 'check', 'export', 'import']) {
    const { code, stdout, stderr } = await run(t, ['store', command, '--store', store])
    t.is(code, 4)
    t.is(stdout, '')
    t.regex(stderr, /data\.mdb is damaged \(.*\): put back a copy of the directory/)
  }
})

test('what one store exported another takes: disk, Redis, disk again, and a broker serves it', async (t) => {
  const first = await closedStore(t)
  const last = `disk:${join(temporaryDirectory(t), 'copy')}`
  const inRedis = ['--store', redis.url]

  const original = await run(t, ['store', 'export', '--store', first])
  const toRedis = await run(t, ['store', 'import', ...inRedis], { input: original.stdout })
  const second = await run(t, ['store', 'export', ...inRedis])
  const toDisk = await run(t, ['store', 'import', '--store', last], { input: second.stdout })
  const third = await run(t, ['store', 'export', '--store', last])

  t.deepEqual([toRedis.code, toDisk.code], [0, 0])
  t.deepEqual(withoutHeader(second), withoutHeader(original))
  t.deepEqual(withoutHeader(third), withoutHeader(original))
  const { port } = await startProcess(t, ['--store', last])
  const session = ['-i', 'meter', '-c', '-x', '3600', '-q', '1', '-t', 'a/#', '-C', '2']
  t.is((await run(t, ['sub', '-p', String(port), ...session])).stdout, 'one\ntwo\n')
})

test('a file is replaced when the export is whole, and is for its owner alone', async (t) => {
  const store = await closedStore(t)
  const file = join(temporaryDirectory(t), 'backup.jsonl')
  writeFileSync(file, 'what was there')

  const failed = await run(t, ['store', 'export', '--store', `${store}-not`, file])
  t.is(failed.code, 4)
  t.is(readFileSync(file, 'utf8'), 'what was there')

  t.is((await run(t, ['store', 'export', '--store', store, file])).code, 0)
  t.regex(readFileSync(file, 'utf8'), /"kind":"trailer".*\n$/)
  t.is(statSync(file).mode & 0o777, 0o600)
  t.false(existsSync(`${file}.partial`))
})

test('an export that nobody reads ends with one sentence', async (t) => {
  const cli = spawnCli(t, ['store', 'export', '--store', await closedStore(t)])
  cli.child.stdout.destroy()

  const { code, stderr } = await cli.ended

  t.is(code, 1)
  t.is(
    stderr,
    'The export cannot be written to standard output, and is not whole: nobody reads it any more.\n',
  )
})

test('a file with a mistake is refused before anything is imported', async (t) => {
  const directory = temporaryDirectory(t)
  const file = join(directory, 'backup.jsonl')
  const { stdout } = await run(t, ['store', 'export', '--store', await closedStore(t)])
  writeFileSync(file, stdout.replace('"seq":2', '"seq":9'))

  const { code, stderr } = await run(t, [
    'store',
    'import',
    '--store',
    `disk:${directory}/new`,
    file,
  ])

  t.is(code, 1)
  t.is(
    stderr,
    `${file}:4: seq must be from 2 to 2, as the lines before say; found 9. Nothing was imported.\n`,
  )
  t.false(existsSync(join(directory, 'new')))
})

test('an import that stops says where, and what the store has got', async (t) => {
  const store = `disk:${join(temporaryDirectory(t), 'new')}`
  const { stdout } = await run(t, ['store', 'export', '--store', await closedStore(t)])
  const input = stdout.split('\n').slice(0, 3).join('\n')

  const cut = await run(t, ['store', 'import', '--store', store], { input })
  const again = await run(t, ['store', 'import', '--store', store], { input: stdout })
  const replaced = await run(t, ['store', 'import', '--store', store, '--replace'], {
    input: stdout,
  })

  t.is(cut.code, 1)
  t.regex(cut.stderr, /^standard input:3: it ends here without a trailer/)
  t.regex(cut.stderr, /The session "meter" is there with only 0 of its messages\./)
  t.is(again.code, 1)
  t.regex(again.stderr, /is not empty, and nothing was imported\. With --replace/)
  t.is(replaced.code, 0)
  t.regex(
    (await run(t, ['store', 'info', '--store', store])).stdout,
    /^Queued +2 messages, 18 bytes$/m,
  )
})

for (const [args, code, words] of [
  [['info', '--store', 'memory'], 4, /^A store in memory belongs to its broker alone/],
  [['import', '--store', 'memory'], 2, /^What is imported into a store in memory is gone/],
  [['check', '--store', 'disk:/nowhere/at/all'], 4, /^There is no store in \/nowhere\/at\/all/],
  [['info', '--store', 'redis://me:secret@127.0.0.1:1'], 4, /^Redis at 127\.0\.0\.1:1 cannot be/],
  [['info', '--store', 'cupboard:'], 2, /store\.url must be a store that exists/],
  [['import', '/nowhere/file'], 1, /^\/nowhere\/file cannot be read: .*Nothing was imported/],
  [['export', '--store', 'disk:.', '--to', 'x'], 2, /There is no flag --to/],
  [[], 2, /^Say what to do: store info, store check/],
] as const) {
  test(`store ${args.join(' ')} is told in one sentence`, async (t) => {
    const { code: exitCode, stdout, stderr } = await run(t, ['store', ...args])

    t.is(exitCode, code)
    t.regex(stderr, words)
    t.is(stdout, '')
    t.notRegex(stderr, /\n\s+at |secret/)
  })
}

test('store export to a directory is a mistake, told in one sentence', async (t) => {
  const store = await closedStore(t)
  const directory = temporaryDirectory(t)

  const { code, stderr } = await run(t, ['store', 'export', '--store', store, directory])

  t.is(code, 1)
  t.is(stderr, `${directory} is a directory: name a file in it.\n`)
})

for (const [url, told] of [
  ['disk://tmp/x', /write disk:\/tmp\/x for that place on the disk, disk:tmp\/x for one below/],
  ['disk', /store\.url must be a store that exists/],
  ['memory:x', /store\.url must be a store that exists/],
] as const) {
  test(`start --store ${url} is a mistake, told in one sentence`, async (t) => {
    const { code, stderr } = await run(t, [
      'start',
      '--port',
      '0',
      '--ws-port',
      '0',
      '--store',
      url,
    ])

    t.not(code, 0)
    t.regex(stderr, told)
    t.is(stderr.trim().split('\n').length, 1)
  })
}

test('a password in a URL that cannot be understood is not shown', async (t) => {
  const url = 'redis+cluster://user:secret@half@127.0.0.1:x'

  const { stderr } = await run(t, ['store', 'info', '--store', url])

  t.regex(stderr, /store\.url cannot be understood/)
  t.notRegex(stderr, /secret|half/)
})
