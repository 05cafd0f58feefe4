/**
 * A process that writes to an embedded store and says on its standard output what it was told, until
 * it is killed: embedded-crash.spec.ts and embedded-disk-full.spec.ts start it.
 *
 *     node embedded-writer.js DIRECTORY SESSIONS IN_FLIGHT BODY_BYTES
 *
 *     next SESSION SEQ       what its session would have been given next
 *     done NUMBER SESSION SEQ
 *     taken SESSION SEQ      all up to here is about to be acknowledged
 *     health true|false
 */

import { Buffer } from 'node:buffer'
import { writeSync } from 'node:fs'
import type { StoreConfiguration } from '../../lib/config/options.ts'
import { EmbeddedStore } from '../../lib/storage/embedded/embedded-store.ts'
import type { SessionRef, Sink, Unit } from '../../lib/storage/storage.ts'
import { systemClock } from '../../lib/util/clock.ts'
import { silentLogger } from '../../lib/util/logger.ts'
import { MemoryBudget } from '../../lib/util/memory-budget.ts'
import { claim, targetOf, unitOf } from './contract-support.ts'

const [directory = '', ...numbers] = process.argv.slice(2)
const [sessions = 1, inFlight = 1, bodyBytes = 8] = numbers.map(Number)

/** Written at once: what was said is said, however the process ends. */
function say(line: string): void {
  writeSync(1, `${line}\n`)
}

const configuration = { url: `disk:${directory}` } as StoreConfiguration
const store = new EmbeddedStore({
  configuration,
  clock: systemClock,
  budget: new MemoryBudget(1e9),
  log: silentLogger,
})
await store.open({
  healthChanged: (isHealthy) => say(`health ${isHealthy}`),
  lost: (error) => {
    throw error
  },
  emptied: async () => {},
})

const refs: SessionRef[] = []
for (let i = 0; i < sessions; i++) {
  const claimed = await claim(store, `s${i}`)
  say(`next ${i} ${claimed.lastSeq + 1}`)
  refs.push(claimed.ref)
}

// A broker has its listeners to keep it alive.
setInterval(() => {}, 60_000)

let number = Date.now()

/** Message by message to one session after the other; every second session takes what it is sent. */
function writeNext(): void {
  const own = number++
  const session = own % sessions
  const body = Buffer.alloc(bodyBytes)
  body.writeDoubleBE(own)
  const unit: Unit = unitOf('x', [targetOf(refs[session]!)], { body })
  const sink: Sink = {
    stored: (_, __, seq) => {
      say(`done ${own} ${session} ${seq}`)
      if (session % 2 === 1 && seq > 100) take(session, seq - 100)
    },
    done: writeNext,
    failed: (_, error) => {
      throw error
    },
  }
  store.write(unit, sink)
}

function take(session: number, seq: number): void {
  say(`taken ${session} ${seq}`)
  store.acknowledgeTo(refs[session]!, seq)
}

for (let i = 0; i < inFlight; i++) writeNext()
