/** Units on their way into the store, what the sink hears of them, and how a store closes. */

import { Buffer } from 'node:buffer'
import fc from 'fast-check'
import { type SessionRef, StoreError } from '../../lib/storage/storage.ts'
import {
  type ContractTest,
  claim,
  NEVER,
  queueOf,
  Recorder,
  release,
  targetOf,
  turn,
  unitOf,
  waiting,
  write,
  writeEach,
} from './contract-support.ts'

export const writing: Record<string, ContractTest> = {
  'a unit is stored for each target, then done': async (t, store) => {
    const [a, b] = [await claim(store, 'a'), await claim(store, 'b')]
    const unit = unitOf('x', [targetOf(a.ref), targetOf(b.ref), targetOf(a.ref)])
    const sink = new Recorder()
    const settled = sink.settled(unit)
    store.write(unit, sink)
    await settled

    t.is(sink.events.at(-1), 'x done')
    t.deepEqual(sink.events.toSorted(), [
      'x done',
      'x stored for 0 at 1',
      'x stored for 1 at 1',
      'x stored for 2 at 2',
    ])
  },

  'nothing is reported before write returns, nor in the same step': async (t, store) => {
    const { ref } = await claim(store)
    const sink = new Recorder()
    const unit = unitOf('x', [targetOf(ref)])
    const settled = sink.settled(unit)

    store.write(unit, sink)
    store.write(unitOf('y', [targetOf(ref)]), sink)
    t.deepEqual(sink.events, [])

    await settled
    t.is(sink.events[0], 'x stored for 0 at 1')
  },

  'units are reported in the order they were written, and their entries stand in that order':
    async (t, store) => {
      const { ref } = await claim(store)
      const sink = new Recorder()
      const units = ['x', 'y', 'z'].map((topic) => unitOf(topic, [targetOf(ref)]))
      const settled = units.map((unit) => sink.settled(unit))
      for (const unit of units) store.write(unit, sink)
      await Promise.all(settled)

      t.deepEqual(
        sink.events.filter((event) => event.includes('stored')),
        ['x stored for 0 at 1', 'y stored for 0 at 2', 'z stored for 0 at 3'],
      )
      t.deepEqual(await waiting(store, ref), ['1:x', '2:y', '3:z'])
    },

  'messages of a session are reported in the order of their seq, whoever else gets them': async (
    t,
    store,
  ) => {
    const names = Array.from('abcdef')
    const refs = await Promise.all(names.map(async (name) => (await claim(store, name)).ref))
    const sink = new Recorder()
    const publisher = refs[0]!
    const units = Array.from({ length: 120 }, (_, i) => {
      const targets = refs.filter((_ref, n) => (i * 7 + n * n) % 3 === 0 || n === 0)
      const inbound = { session: publisher, packetIdentifier: i + 1 }
      return unitOf(
        `${i}`,
        targets.map((ref) => targetOf(ref)),
        i % 2 === 0 ? { qos: 2, publisher: inbound } : {},
      )
    })
    const reported = new Map<SessionRef, number[]>(refs.map((ref) => [ref, []]))
    const settled = units.map((unit) => sink.settled(unit))
    for (const [i, unit] of units.entries()) {
      store.write(unit, {
        stored: (_, target, seq) => reported.get(unit.targets[target]!.session)!.push(seq),
        done: (done) => sink.done(done),
        failed: (failed, error) => sink.failed(failed, error),
      })
      if (i % 10 === 9) await turn()
    }
    await Promise.all(settled)

    for (const [ref, seqs] of reported) {
      const count = units.filter(({ targets }) => targets.some(({ session }) => session === ref))
      t.deepEqual(
        seqs,
        count.map((_, i) => i + 1),
      )
    }
  },

  'a target whose session is gone is left out, and the unit is done': async (t, store) => {
    const { ref } = await claim(store)
    const { ref: gone } = await claim(store, 'gone')
    await release(store, gone, 0)

    const unit = unitOf('x', [targetOf(gone), targetOf(ref)])
    const sink = new Recorder()
    const settled = sink.settled(unit)
    store.write(unit, sink)
    await settled

    t.deepEqual(sink.events, ['x stored for 1 at 1', 'x done'])
  },

  'a unit without targets is done': async (t, store) => {
    t.deepEqual(await write(store, unitOf('x', [])), [])
  },

  'a sink may write again from each of its calls': async (t, store) => {
    const { ref } = await claim(store)
    const sink = new Recorder()
    const [first, second, third] = ['x', 'y', 'z'].map((topic) => unitOf(topic, [targetOf(ref)]))
    const settled = sink.settled(third!)
    let isFirst = true
    store.write(first!, {
      stored: () => store.write(second!, sink),
      done: () => {
        t.true(isFirst)
        isFirst = false
        store.write(third!, sink)
      },
      failed: (_, error) => t.fail(error.message),
    })
    await settled

    t.deepEqual(await waiting(store, ref), ['1:x', '2:y', '3:z'])
  },

  'the queue gives back all that the target said': async (t, store) => {
    const { ref } = await claim(store)
    const target = targetOf(ref, {
      qos: 2,
      retain: true,
      subscriptionIdentifiers: [1, 268_435_455, 1],
      share: '$share/g/a/+',
    })
    const body = Buffer.from(Uint8Array.from({ length: 70_000 }, (_, i) => i))
    await write(store, unitOf('x', [target], { body, expiresAt: 1_700_000_123_456 }))
    await write(store, unitOf('y', [targetOf(ref)], { body: Buffer.alloc(0) }))

    const { session: _, ...rest } = target
    t.deepEqual(await queueOf(store, ref), [
      { seq: 1, ...rest, expiresAt: 1_700_000_123_456, body },
      {
        seq: 2,
        qos: 1,
        retain: false,
        subscriptionIdentifiers: undefined,
        share: undefined,
        expiresAt: NEVER,
        body: Buffer.alloc(0),
      },
    ])
  },

  'numbers are dense in each session, whatever is written, read and acknowledged': async (
    t,
    store,
  ) => {
    const names = ['a', 'b', 'c']
    const step = fc.record({ to: fc.subarray(names, { minLength: 1 }), acknowledge: fc.boolean() })

    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 15 }), async (steps) => {
        const refs = new Map<string, SessionRef>()
        for (const name of names) refs.set(name, (await claim(store, name, true)).ref)
        const last = new Map(names.map((name) => [name, 0]))
        for (const { to, acknowledge } of steps) {
          const seqs = await write(
            store,
            unitOf(
              'x',
              to.map((name) => targetOf(refs.get(name)!)),
            ),
          )
          for (const name of to) last.set(name, last.get(name)! + 1)
          t.deepEqual(
            seqs,
            to.map((name) => last.get(name)!),
          )
          if (acknowledge)
            for (const name of to) store.acknowledgeTo(refs.get(name)!, last.get(name)!)
        }
        for (const name of names) t.is((await claim(store, name)).lastSeq, last.get(name)!)
      }),
      { numRuns: 20 },
    )
  },

  'what is discarded in the turn of a write is gone when the write is done': async (t, store) => {
    const { ref } = await claim(store)
    await writeEach(store, ref, 'x', 'y')
    const sink = new Recorder()
    const unit = unitOf('z', [targetOf(ref)])
    const settled = sink.settled(unit)

    store.write(unit, sink)
    store.discard(ref, [1])
    await settled

    t.deepEqual(await waiting(store, ref), ['2:y', '3:z'])
  },

  'pressure counts what is written and not reported': async (t, store) => {
    const { ref } = await claim(store)
    const units = ['x', 'y'].map((topic) =>
      unitOf(topic, [targetOf(ref)], { body: Buffer.alloc(50) }),
    )
    const sink = new Recorder()
    const settled = units.map((unit) => sink.settled(unit))
    for (const unit of units) store.write(unit, sink)

    t.is(store.pressure().pendingUnits, 2)
    t.true(store.pressure().pendingBytes >= 100)

    await Promise.all(settled)
    await turn()
    t.deepEqual(store.pressure(), { pendingUnits: 0, pendingBytes: 0, isHealthy: true })
  },
}

export const closing: Record<string, ContractTest> = {
  'close writes what is pending, and reports it': async (t, store) => {
    const { ref } = await claim(store)
    const sink = new Recorder()
    store.write(unitOf('x', [targetOf(ref)]), sink)

    const closed = store.close()
    t.deepEqual(sink.events, [])
    await closed

    t.deepEqual(sink.events, ['x stored for 0 at 1', 'x done'])
  },

  'a store that is closed fails what is written to it, not at once, and says that it is closed':
    async (t, store) => {
      const { ref } = await claim(store)
      await store.close()
      const sink = new Recorder()
      const unit = unitOf('x', [targetOf(ref)])
      const settled = sink.settled(unit)

      store.write(unit, sink)
      t.deepEqual(sink.events, [])

      const error = await settled
      t.true(error instanceof StoreError)
      t.deepEqual(sink.events, ['x failed: closed'])
      t.false(store.pressure().isHealthy)
      await t.throwsAsync(claim(store), { instanceOf: StoreError, code: 'closed' })
    },

  'what a turn has written before and after close began is reported, each once': async (
    t,
    store,
  ) => {
    const sink = new Recorder()
    const units = ['x', 'y'].map((topic) => unitOf(topic, []))
    const settled = units.map((unit) => sink.settled(unit))
    store.write(units[0]!, sink)
    const closed = store.close()
    store.write(units[1]!, sink)
    await Promise.all([closed, ...settled])
    await turn()

    t.is(sink.events[0], 'x done')
    t.is(sink.events.length, 2)
  },
}
