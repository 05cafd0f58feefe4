import { Buffer } from 'node:buffer'
import { execFileSync } from 'node:child_process'
import { rmSync, statfsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { openEmbeddedForReading } from '../../lib/storage/embedded/embedded-reader.ts'
import { systemClock } from '../../lib/util/clock.ts'
import { ManualClock } from '../support/clock.ts'
import { until } from '../support/turns.ts'
import {
  claim,
  handOver,
  noEvents,
  Recorder,
  targetOf,
  turn,
  unitOf,
  waiting,
  write,
  writeEach,
} from './contract-support.ts'
import { openEmbedded, storeDirectory } from './embedded-support.ts'
import { Account, Writer } from './writer-process.ts'

const SIZE_BYTES = 24 * 1024 ** 2
const FILLER_BYTES = 12 * 1024 ** 2

/** A disk of 24 MiB; undefined where nobody may make one. */
function smallDisk(t: ExecutionContext): string | undefined {
  const directory = storeDirectory(t)
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${SIZE_BYTES}`, 'tmpfs', directory], {
      stdio: 'pipe',
    })
  } catch (error) {
    // In CI a test that shows nothing would be taken for one that shows something.
    if (process.env['CI'] !== undefined) throw error
    t.log('NOT TESTED: a small disk can only be mounted as root')
    t.pass()
    return undefined
  }
  t.teardown(() => execFileSync('umount', ['--lazy', directory]))
  return directory
}

test('a disk that is full stops the store, and nothing is lost when there is room again', async (t) => {
  const disk = smallDisk(t)
  if (disk === undefined) return
  const directory = join(disk, 'store')
  const filler = join(disk, 'filler')
  writeFileSync(filler, Buffer.alloc(FILLER_BYTES))
  const account = new Account()

  const writer = new Writer(t, account, [directory, 10, 100, 1_000])
  await writer.said('health false')
  const beforeFull = account.count
  t.true(beforeFull > 1_000)
  rmSync(filler)
  await writer.said('health true')
  await writer.written(beforeFull + 2_000)
  await writer.kill()

  const store = await openEmbedded(t, directory)
  t.deepEqual(await account.compare(store), [])
  t.log(`${beforeFull} before, ${account.count - beforeFull} after the disk was full`)
  await store.close()
})

test('on a full disk nothing is reported, everything stays pending, and goes on in its order', async (t) => {
  const disk = smallDisk(t)
  if (disk === undefined) return
  const clock = new ManualClock()
  const health: string[] = []
  const events = {
    ...noEvents,
    healthChanged: (isHealthy: boolean, reason: string) =>
      void health.push(`${isHealthy} ${reason}`),
  }
  const store = await openEmbedded(t, disk, { clock, events })
  const { ref } = await claim(store)
  await writeEach(store, ref, 'a')
  const filler = join(disk, 'filler')
  fillUp(disk, filler)

  const sink = new Recorder()
  const units = Array.from({ length: 20 }, (_, i) =>
    unitOf(`u${i}`, [targetOf(ref)], { body: Buffer.alloc(100_000, i) }),
  )
  const settled = units.map((unit) => sink.settled(unit))
  for (const unit of units) store.write(unit, sink)
  await until(() => !store.pressure().isHealthy)

  t.deepEqual(sink.events, [])
  t.like(store.pressure(), { pendingUnits: 20, pendingBytes: 2_000_000 })
  t.regex(health[0]!, /^false There is no room for the store in .*: \d+ bytes are free/)
  rmSync(filler)
  // The second that it waits may not have begun.
  await until(() => {
    void clock.advance(1_000)
    return store.pressure().isHealthy
  })
  await Promise.all(settled)

  t.deepEqual(
    sink.events.filter((event) => event.endsWith('done')),
    units.map(({ topic }) => `${topic} done`),
  )
  t.like(store.pressure(), { pendingUnits: 0, pendingBytes: 0 })
  t.is(health.length, 2)
  t.deepEqual(await write(store, unitOf('z', [targetOf(ref)])), [22])
})

test('a full disk has room again when clients take what waits for them', async (t) => {
  const disk = smallDisk(t)
  if (disk === undefined) return
  const store = await openEmbedded(t, disk, { clock: systemClock })
  const { ref } = await claim(store)
  const sink = new Recorder()
  let written = 0
  while (store.pressure().isHealthy) {
    const unit = unitOf('x', [targetOf(ref)], { body: Buffer.alloc(50_000) })
    const settled = sink.settled(unit)
    store.write(unit, sink)
    written++
    await Promise.race([settled, until(() => !store.pressure().isHealthy)])
  }
  t.is(store.pressure().pendingUnits, 1)

  store.acknowledgeTo(ref, Math.floor(written / 2))
  await until(() => store.pressure().isHealthy && store.pressure().pendingUnits === 0)

  t.deepEqual(await write(store, unitOf('y', [targetOf(ref)])), [written + 1])
})

test('what is on its way to another session stays where it is while the disk is full, whatever is acknowledged', async (t) => {
  const disk = smallDisk(t)
  if (disk === undefined) return
  const store = await openEmbedded(t, disk, { clock: systemClock })
  const [from, to] = [(await claim(store, 'from')).ref, (await claim(store, 'to')).ref]
  await writeEach(store, from, 'a', 'b', 'c', 'd')
  const filler = join(disk, 'filler')
  fillUp(disk, filler)
  const unit = unitOf('large', [targetOf(to)], { body: Buffer.alloc(1_000_000) })
  store.write(unit, new Recorder())
  const moved = handOver(store, from, [2], targetOf(to))
  await until(() => !store.pressure().isHealthy)

  store.acknowledgeTo(from, 3)
  const reader = await openEmbeddedForReading(disk)
  t.teardown(() => reader.close())
  const kept = (): number[] => reader.readQueue(from, 0, 10, 1e9).map(({ seq }) => seq)
  while (kept().includes(1)) await turn()

  t.deepEqual(kept(), [2, 3, 4])
  rmSync(filler)
  t.is((await moved).length, 1)
  t.deepEqual(await waiting(store, from), ['4:d'])
})

test('a store that closes while the disk is full fails what is pending', async (t) => {
  const disk = smallDisk(t)
  if (disk === undefined) return
  const store = await openEmbedded(t, disk, { clock: new ManualClock() })
  const { ref } = await claim(store)
  fillUp(disk, join(disk, 'filler'))
  const sink = new Recorder()
  const unit = unitOf('x', [targetOf(ref)], { body: Buffer.alloc(1_000_000) })
  const settled = sink.settled(unit)
  store.write(unit, sink)
  await until(() => !store.pressure().isHealthy)

  await store.close()

  t.is((await settled)?.code, 'full')
})

function fillUp(disk: string, filler: string): void {
  const { bavail, bsize } = statfsSync(disk)
  writeFileSync(filler, Buffer.alloc(bavail * bsize - 16_384))
}
