import { Buffer } from 'node:buffer'
import { cpSync, readFileSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { open } from 'lmdb'
import { metaKey, sessionKey } from '../../lib/storage/embedded/keys.ts'
import { RecordWriter, sealRecord } from '../../lib/storage/embedded/record-fields.ts'
import { type Store, StoreError } from '../../lib/storage/storage.ts'
import { type Random, seededRandom } from '../../lib/util/random.ts'
import { recordingLogger } from '../support/recording-logger.ts'
import {
  claim,
  noEvents,
  Recorder,
  replay,
  subscriptionTo,
  targetOf,
  unitOf,
  write,
} from './contract-support.ts'
import { makeEmbedded, openEmbedded, storeDirectory } from './embedded-support.ts'

const SEED = Number(process.env['SEED'] ?? Date.now() % 2 ** 31)
const PAGE_BYTES = 4_096

/** A store with something of everything, closed; each body says to whom it belongs. */
async function filledDirectory(t: ExecutionContext): Promise<string> {
  const directory = storeDirectory(t)
  const store = await openEmbedded(t, directory)
  for (const client of ['a', 'b', 'c']) {
    const { ref } = await claim(store, client)
    await store.update(ref, { subscribe: [subscriptionTo(`${client}/+`)] })
    const sink = new Recorder()
    const units = Array.from({ length: 120 }, (_, i) => {
      const body = Buffer.alloc(i % 20 === 0 ? 9_000 : 200, `${client} ${i + 1} `)
      return unitOf(`${client}/${i}`, [targetOf(ref)], {
        body,
        retain: i % 10 === 0 ? 'set' : undefined,
      })
    })
    for (const unit of units) {
      const settled = sink.settled(unit)
      store.write(unit, sink)
      if (units.indexOf(unit) % 30 === 0) await settled
    }
    store.acknowledgeTo(ref, 5)
  }
  await store.close()
  return directory
}

/** Opens what is left of a store: refused, or everything that it gives is what was written. */
async function openDamaged(t: ExecutionContext, directory: string): Promise<'refused' | 'opened'> {
  const store = makeEmbedded(directory)
  try {
    await store.open(noEvents)
  } catch (error) {
    t.true(error instanceof StoreError, String(error))
    t.is((error as StoreError).code, 'unusable')
    t.true((error as StoreError).message.includes(join(directory, 'data.mdb')))
    return 'refused'
  }
  await readAll(t, store)
  await store.close()
  return 'opened'
}

async function readAll(t: ExecutionContext, store: Store): Promise<void> {
  for (const item of await replay(store)) {
    if (item.kind === 'retained') {
      const [client, number] = item.message.body.toString().split(' ')
      t.is(item.message.topic, `${client}/${Number(number) - 1}`)
      continue
    }
    const { ref } = item.session
    t.true(['a', 'b', 'c'].includes(ref.clientIdentifier))
    for (const { seq, body } of await store.readQueue(ref, 0, 1_000, 1e9)) {
      t.true(body.toString().startsWith(`${ref.clientIdentifier} ${seq} `))
    }
  }
  await store.check({ repair: false })
}

function damagedCopy(
  t: ExecutionContext,
  directory: string,
  damage: (file: Buffer) => Buffer,
): string {
  const copy = storeDirectory(t)
  cpSync(directory, copy, { recursive: true })
  const file = join(copy, 'data.mdb')
  writeFileSync(file, damage(readFileSync(file)))
  return copy
}

function overwrite(file: Buffer, at: number, length: number, random: Random): Buffer {
  for (let i = at; i < Math.min(file.length, at + length); i++) file[i] = random.below(256)
  return file
}

test('a file that lost its end is refused, or gives what was written', async (t) => {
  const directory = await filledDirectory(t)
  const { length } = readFileSync(join(directory, 'data.mdb'))
  const cuts = [1, 100, PAGE_BYTES, 5 * PAGE_BYTES, length / 2, length - PAGE_BYTES, length - 100]

  const outcomes: string[] = []
  for (const cut of cuts) {
    const copy = damagedCopy(t, directory, (file) => file.subarray(0, length - cut))
    outcomes.push(await openDamaged(t, copy))
  }

  t.true(outcomes.includes('refused'))
})

test(`a page that was overwritten is refused, or gives what was written (SEED=${SEED})`, async (t) => {
  const directory = await filledDirectory(t)
  const random = seededRandom(SEED)
  const pages = readFileSync(join(directory, 'data.mdb')).length / PAGE_BYTES

  const outcomes: string[] = []
  for (let page = 0; page < pages; page++) {
    const copy = damagedCopy(t, directory, (file) =>
      overwrite(file, page * PAGE_BYTES, PAGE_BYTES, random),
    )
    outcomes.push(await openDamaged(t, copy))
  }

  t.true(outcomes.includes('refused'))
  t.true(outcomes.includes('opened'))
})

test(`some bytes that were overwritten are found, or do no harm (SEED=${SEED})`, async (t) => {
  const directory = await filledDirectory(t)
  const random = seededRandom(SEED)
  const { length } = readFileSync(join(directory, 'data.mdb'))
  const rounds = Number(process.env['ROUNDS'] ?? 100)

  for (let round = 0; round < rounds; round++) {
    const at = random.below(length)
    const bytes = 1 + random.below(32)
    const copy = damagedCopy(t, directory, (file) => overwrite(file, at, bytes, random))
    await openDamaged(t, copy)
  }
})

/** A filled store in which the 42nd message of `b` has changed. */
async function changedMessage(t: ExecutionContext): Promise<string> {
  const directory = await filledDirectory(t)
  // Pages that were written anew leave older ones behind: all are changed alike.
  return damagedCopy(t, directory, (file) =>
    Buffer.from(file.toString('latin1').replaceAll('b 42 b', 'b 4x b'), 'latin1'),
  )
}

test('a message whose bytes changed is left out, found, and removed', async (t) => {
  const store = await openEmbedded(t, await changedMessage(t))
  const { ref } = await claim(store, 'b')
  const seqs = (await store.readQueue(ref, 0, 1_000, 1e9)).map(({ seq }) => seq)
  t.false(seqs.includes(42))
  t.is(seqs.length, 114)
  const findings = [{ what: 'message that cannot be read', count: 1 }]
  t.deepEqual(await store.check({ repair: true }), findings)
  t.deepEqual(await store.check({ repair: false }), [])
})

test('damage is told of where a message is read, not where it was discarded', async (t) => {
  const log = recordingLogger()
  const store = await openEmbedded(t, await changedMessage(t), { log })
  const { ref } = await claim(store, 'b')
  store.discard(ref, [42])

  await store.readQueue(ref, 0, 1_000, 1e9)
  t.deepEqual(log.lines, [])

  const other = await openEmbedded(t, await changedMessage(t), { log })
  await other.readQueue((await claim(other, 'b')).ref, 0, 1_000, 1e9)
  t.is(log.lines.length, 1)
})

test('a file that is not a store is refused, and left as it is', async (t) => {
  const directory = storeDirectory(t)
  const file = join(directory, 'data.mdb')
  writeFileSync(file, 'my letters')
  t.is(await openDamaged(t, directory), 'refused')
  t.is(readFileSync(file, 'utf8'), 'my letters')

  truncateSync(file)
  const store = await openEmbedded(t, directory)
  t.deepEqual(await replay(store), [])
})

test('a database of somebody else is refused', async (t) => {
  const directory = storeDirectory(t)
  const theirs = open({ path: directory, noSubdir: false })
  await theirs.put('their', 'data')
  await theirs.close()

  const error = await t.throwsAsync(makeEmbedded(directory).open(noEvents), { code: 'unusable' })
  t.regex(error.message, /is not a store of this broker/)
})

test('a store of a newer format is refused with its number', async (t) => {
  const directory = storeDirectory(t)
  const newer = open<Buffer, Buffer>({
    path: directory,
    noSubdir: false,
    encoding: 'binary',
    keyEncoding: 'binary',
    overlappingSync: false,
  })
  const key = metaKey('format')
  const record = new RecordWriter().byte(9).text('uuid').finish()
  sealRecord(key, record)
  await newer.put(key, record)
  await newer.close()

  const error = await t.throwsAsync(makeEmbedded(directory).open(noEvents), { code: 'unusable' })
  t.regex(error.message, /is of format 9, and this broker knows formats up to 1/)
})

test('what belongs to nobody is found, and removed', async (t) => {
  const directory = storeDirectory(t)
  const store = await openEmbedded(t, directory)
  const { ref } = await claim(store)
  await write(store, unitOf('x', [targetOf(ref)]))
  await store.update(ref, { subscribe: [subscriptionTo('a')] })
  await store.markReleased(ref, [1])
  await store.close()
  const theirs = open<Buffer, Buffer>({
    path: directory,
    noSubdir: false,
    encoding: 'binary',
    keyEncoding: 'binary',
    overlappingSync: false,
  })
  await theirs.remove(sessionKey('c'))
  await theirs.close()

  const again = await openEmbedded(t, directory)
  const findings = [{ what: 'record of a session that does not exist', count: 3 }]
  t.deepEqual(await again.check({ repair: false }), findings)
  t.deepEqual(await again.check({ repair: true }), findings)
  t.deepEqual(await again.check({ repair: false }), [])
  const { Meta, ...rest } = await again.countRecords()
  t.deepEqual([Meta, ...Object.values(rest)], [2, 0, 0, 0, 0, 0, 0, 0, 0])
})
