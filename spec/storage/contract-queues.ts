/** The queue of a session: read, acknowledged, discarded, handed over. */

import { Buffer } from 'node:buffer'
import type { Sink } from '../../lib/storage/storage.ts'
import {
  type ContractTest,
  claim,
  handOver,
  queueOf,
  Recorder,
  release,
  sorted,
  targetOf,
  unitOf,
  waiting,
  write,
  writeEach,
} from './contract-support.ts'

export const queues: Record<string, ContractTest> = {
  'a queue is read behind a number, so many entries at once': async (t, store) => {
    const { ref } = await claim(store)
    await writeEach(store, ref, 'a', 'b', 'c', 'd')
    const seqs = async (after: number, max: number): Promise<number[]> =>
      (await store.readQueue(ref, after, max, 1e9)).map(({ seq }) => seq)

    t.deepEqual(await seqs(0, 2), [1, 2])
    t.deepEqual(await seqs(2, 2), [3, 4])
    t.deepEqual(await seqs(3, 10), [4])
    t.deepEqual(await seqs(4, 10), [])
    t.deepEqual(await seqs(0, 0), [])
  },

  'a queue is read up to so many bytes, but at least one entry': async (t, store) => {
    const { ref } = await claim(store)
    for (const size of [100, 50, 60, 5_000, 1]) {
      await write(store, unitOf('x', [targetOf(ref)], { body: Buffer.alloc(size) }))
    }
    const seqs = async (after: number, maxBytes: number): Promise<number[]> =>
      (await store.readQueue(ref, after, 100, maxBytes)).map(({ seq }) => seq)

    t.deepEqual(await seqs(0, 150), [1, 2])
    t.deepEqual(await seqs(0, 149), [1])
    t.deepEqual(await seqs(2, 1_000), [3])
    t.deepEqual(await seqs(3, 1_000), [4])
    t.deepEqual(await seqs(0, Number.POSITIVE_INFINITY), [1, 2, 3, 4, 5])
  },

  'everything up to the low-water mark goes, and the mark never goes back': async (t, store) => {
    const { ref } = await claim(store)
    await writeEach(store, ref, 'a', 'b', 'c')

    store.acknowledgeTo(ref, 2)
    t.deepEqual(await waiting(store, ref), ['3:c'])

    store.acknowledgeTo(ref, 1)
    t.is((await claim(store)).lowWaterMark, 2)
  },

  'a number is not given out again when its message is gone': async (t, store) => {
    const { ref } = await claim(store)
    await writeEach(store, ref, 'a', 'b')
    store.acknowledgeTo(ref, 1)
    store.discard(ref, [2])
    await writeEach(store, ref, 'c')

    t.deepEqual(await waiting(store, ref), ['3:c'])
  },

  'single messages are discarded wherever they stand, and only those': async (t, store) => {
    const { ref } = await claim(store)
    await writeEach(store, ref, 'a', 'b', 'c', 'd')

    store.discard(ref, [2, 4, 17])
    store.discard(ref, [2])

    t.deepEqual(await waiting(store, ref), ['1:a', '3:c'])
    const { lastSeq, lowWaterMark } = await claim(store)
    t.deepEqual([lastSeq, lowWaterMark], [4, 0])
  },

  '[MQTT-4.3.3-6] messages for which PUBREC came are told to the next owner until they complete':
    async (t, store) => {
      const { ref } = await claim(store)
      await writeEach(store, ref, 'a', 'b', 'c', 'd')
      await store.markReleased(ref, [1, 3])
      await store.markReleased(ref, [4])
      const second = await claim(store)
      t.deepEqual(sorted(second.released), [1, 3, 4])

      store.acknowledgeTo(second.ref, 1)
      store.discard(second.ref, [4])
      t.deepEqual((await claim(store)).released, [3])
    },

  'a PUBREC for what is no longer there is not kept': async (t, store) => {
    const { ref } = await claim(store)
    await writeEach(store, ref, 'a', 'b')
    store.acknowledgeTo(ref, 1)
    store.discard(ref, [2])

    await store.markReleased(ref, [1, 2, 3])

    t.deepEqual((await claim(store)).released, [])
  },

  '[MQTT-4.3.3-10] Packet Identifiers of QoS 2 messages are kept until PUBREL came': async (
    t,
    store,
  ) => {
    const { ref } = await claim(store)
    for (const packetIdentifier of [7, 65_535]) {
      await write(store, unitOf('x', [], { publisher: { session: ref, packetIdentifier } }))
    }
    const second = await claim(store)
    t.deepEqual(sorted(second.inbound), [7, 65_535])

    await store.forgetInbound(second.ref, 7)
    await store.forgetInbound(second.ref, 8)
    t.deepEqual((await claim(store)).inbound, [65_535])
  },

  'messages handed over stand at the end of the other queue, in order, and no more in the first':
    async (t, store) => {
      const { ref: from } = await claim(store, 'from')
      const { ref: to } = await claim(store, 'to')
      await writeEach(store, from, 'a', 'b', 'c', 'd')
      await writeEach(store, to, 'x')

      const moved = await handOver(store, from, [2, 99, 4], targetOf(to))

      t.deepEqual(await waiting(store, from), ['1:a', '3:c'])
      t.deepEqual(await waiting(store, to), ['1:x', '2:b', '3:d'])
      t.deepEqual(moved, await queueOf(store, to, 1))
    },

  'a message that is handed over is told of in its turn with what is written to the other queue':
    async (t, store) => {
      const { ref: from } = await claim(store, 'from')
      const { ref: to } = await claim(store, 'to')
      await writeEach(store, from, 'a', 'b', 'c')
      const told: number[] = []
      const sink: Sink = {
        stored: (_unit, _target, seq) => told.push(seq),
        done() {},
        failed: (_unit, error) => t.fail(error.message),
      }
      const moves: Promise<void>[] = []
      for (const seq of [1, 2, 3]) {
        store.write(unitOf('x', [targetOf(to)]), sink)
        moves.push(store.handOver(from, [seq], targetOf(to), (entry) => told.push(entry.seq)))
        store.write(unitOf('y', [targetOf(to)]), sink)
        await Promise.resolve()
      }
      await Promise.all(moves)
      await write(store, unitOf('z', [targetOf(to)]))

      t.deepEqual(told, [1, 2, 3, 4, 5, 6, 7, 8, 9])
    },

  'a message is handed over once, however often it is named': async (t, store) => {
    const { ref: from } = await claim(store, 'from')
    const { ref: to } = await claim(store, 'to')
    await writeEach(store, from, 'a')

    const moved = await handOver(store, from, [1, 1], targetOf(to))

    t.is(moved.length, 1)
    t.deepEqual(await waiting(store, to), ['1:a'])
  },

  'messages handed over stand as their new receiver wants them': async (t, store) => {
    const { ref: from } = await claim(store, 'from')
    const { ref: to } = await claim(store, 'to')
    await write(store, unitOf('a', [targetOf(from, { qos: 2, subscriptionIdentifiers: [1] })]))
    const wanted = {
      qos: 1,
      retain: true,
      subscriptionIdentifiers: [7],
      share: '$share/g/a',
    } as const

    await handOver(store, from, [1], targetOf(to, wanted))

    t.like((await queueOf(store, to))[0], wanted)
  },

  'messages that nobody is there to take stay where they are': async (t, store) => {
    const { ref: from } = await claim(store, 'from')
    const { ref: to } = await claim(store, 'to')
    await writeEach(store, from, 'a')
    await release(store, to, 0)

    t.deepEqual(await handOver(store, from, [1], targetOf(to)), [])
    t.deepEqual(await waiting(store, from), ['1:a'])
  },

  'a queue that lost very many messages is read and acknowledged in little time': async (
    t,
    store,
  ) => {
    const { ref } = await claim(store)
    const sink = new Recorder()
    const targets = Array.from({ length: 100 }, () => targetOf(ref))
    const units = Array.from({ length: 300 }, () => unitOf('x', targets))
    const settled = units.map((unit) => sink.settled(unit))
    for (const unit of units) store.write(unit, sink)
    await Promise.all(settled)
    store.discard(
      ref,
      Array.from({ length: 29_990 }, (_, i) => i + 1),
    )

    t.deepEqual(
      (await store.readQueue(ref, 0, 5, 1e9)).map(({ seq }) => seq),
      [29_991, 29_992, 29_993, 29_994, 29_995],
    )
    store.acknowledgeTo(ref, 29_999)
    t.deepEqual(await waiting(store, ref), ['30000:x'])
  },
}
