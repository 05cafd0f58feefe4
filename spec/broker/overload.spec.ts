import { setTimeout as delay } from 'node:timers/promises'
import test, { type ExecutionContext } from 'ava'
import type { SystemLoad } from '../../lib/util/system-load.ts'
import { systemLoad } from '../../lib/util/system-load.ts'
import { startBroker } from '../support/broker.ts'
import { connectClient, openClient } from '../support/client.ts'
import { HeldStore } from '../support/held-store.ts'
import { type RecordingLogger, recordingLogger } from '../support/recording-logger.ts'
import { until } from '../support/turns.ts'

/** A load that a test makes, sample by sample. */
class MadeLoad implements SystemLoad {
  time = 0
  memory = 0
  #sample = () => {}
  #intervalMs = 0
  isWatched = false

  now(): number {
    return this.time
  }

  every(intervalMs: number, callback: () => void): () => void {
    this.#sample = callback
    this.#intervalMs = intervalMs
    this.isWatched = true
    return () => (this.isWatched = false)
  }

  memoryShare(): number {
    return this.memory
  }

  /** So many samples, each late by so much. */
  sample(count: number, lateMs = 0): void {
    for (let i = 0; i < count; i++) {
      this.time += this.#intervalMs + lateMs
      this.#sample()
    }
  }
}

async function start(t: ExecutionContext, options: object = {}) {
  const load = new MadeLoad()
  const logger: RecordingLogger = recordingLogger()
  const { broker } = await startBroker(t, { load, logger, ...options })
  const connackOf = async (version: 4 | 5 = 5): Promise<number> => {
    const client = openClient(broker, version)
    client.connect()
    const { reasonCode, returnCode } = await client.expect(t, 'connack')
    return reasonCode ?? returnCode
  }
  return { broker, load, logger, connackOf }
}

test('while the event loop is late new clients are told that the broker is busy; it is logged once', async (t) => {
  const { load, logger, connackOf, broker } = await start(t)
  const before = await connectClient(t, broker)

  load.sample(2, 1500)
  t.is(await connackOf(), 0)
  load.sample(10, 1500)
  t.is(await connackOf(), 0x89)
  t.is(await connackOf(4), 3)
  load.sample(10, 700)
  t.is(await connackOf(), 0x89)
  load.sample(1, 400)
  t.is(await connackOf(), 0)

  t.is(logger.find('overloaded: new clients are refused').length, 1)
  t.is(logger.find('no longer overloaded: clients may connect').length, 1)
  t.regex(
    String(logger.find('overloaded: new clients are refused')[0]?.fields['hint']),
    /fewer clients/,
  )
  t.is(broker.counters.limitsReached.overload, 3)
  await before.settled()
})

test('late now and then is no overload', async (t) => {
  const { load, connackOf } = await start(t)
  for (let i = 0; i < 10; i++) {
    load.sample(2, 5000)
    load.sample(1, 0)
  }
  t.is(await connackOf(), 0)
})

test('who publishes is paused before memory runs out, then new clients are refused; both end with some room', async (t) => {
  const { load, logger, connackOf, broker } = await start(t)
  const publisher = await connectClient(t, broker)

  load.memory = 0.86
  load.sample(1)
  publisher.publish('a', 'x')
  await until(() => publisher.end.isServerPaused)
  t.is(await connackOf(), 0)
  load.memory = 0.95
  load.sample(1)
  t.is(await connackOf(), 0x97)
  load.memory = 0.82
  load.sample(1)
  t.is(await connackOf(), 0)
  t.true(publisher.end.isServerPaused)
  load.memory = 0.7
  load.sample(1)
  await until(() => !publisher.end.isServerPaused)

  t.is(logger.find('memory is short: who publishes is paused').length, 2)
  t.is(logger.find('there is more memory again').length, 2)
})

test('a store that does not answer: publishers wait, and new clients are refused while too much waits', async (t) => {
  class SlowStore extends HeldStore {
    override pressure() {
      return { pendingUnits: this.heldCount, pendingBytes: 0, isHealthy: true }
    }
  }
  const storage = new SlowStore()
  const { broker, load, connackOf } = await start(t, {
    storage,
    clock: storage.clock,
    store: { pendingUnitsMax: 2 },
  })
  const subscriber = await connectClient(t, broker, {
    clean: false,
    properties: { sessionExpiryInterval: 100 },
  })
  await subscriber.subscribe(t, 'a', { qos: 1 })
  storage.isHolding = true
  const publisher = await connectClient(t, broker)
  for (let i = 1; i <= 4; i++) publisher.publish('a', 'x', { qos: 1, messageId: i })
  await until(() => publisher.end.isServerPaused)

  load.sample(3)
  t.is(await connackOf(), 0x89)
  storage.isHolding = false
  while (storage.heldCount > 0) storage.complete()
  load.sample(1)
  t.is(await connackOf(), 0)
})

test('how the broker keeps up is under $SYS', async (t) => {
  const { broker, load, connackOf } = await start(t)
  load.memory = 0.4
  load.sample(5, 1500)
  t.is(await connackOf(), 0x89)
  load.sample(5)
  const watcher = await connectClient(t, broker)

  await watcher.subscribe(t, '$SYS/brokers/noctule/overload/#')

  const told = (await watcher.settled()).map(({ topic, payload }) => `${topic} ${payload}`)
  t.deepEqual(told.toSorted(), [
    '$SYS/brokers/noctule/overload/event-loop-delay 0',
    '$SYS/brokers/noctule/overload/memory-percent 40',
    '$SYS/brokers/noctule/overload/state no',
  ])
})

test('the watch ends with the broker', async (t) => {
  const { broker, load } = await start(t)
  t.true(load.isWatched)
  await broker.close()
  t.false(load.isWatched)
})

test.serial('an event loop that is really blocked is seen', async (t) => {
  const { broker, connackOf } = await start(t, {
    load: systemLoad,
    overload: { eventLoopDelayMaxMs: 300 },
  })
  const block = () => {
    const end = performance.now() + 1000
    while (performance.now() < end) {
      // The loop is blocked.
    }
  }

  while ((await connackOf()) === 0) {
    block()
    await delay(1)
  }
  t.true(broker.counters.limitsReached.overload > 0)
  while ((await connackOf()) !== 0) await delay(20)
  t.pass()
})
