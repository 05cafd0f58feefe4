import { Buffer } from 'node:buffer'
import test from 'ava'
import fc from 'fast-check'
import { TOPICS_AHEAD_MAX, TopicsAhead } from '../../lib/codec/topics-ahead.ts'
import { PacketType } from '../../lib/protocol/packets.ts'
import { hashOf, type KnownTopic, TopicTable } from '../../lib/router/topic-table.ts'
import { frame, text } from '../support/raw-packets.ts'

function known(topic: string): KnownTopic {
  return { topic, hash: hashOf(topic), place: 0 }
}

function find(table: TopicTable<KnownTopic>, topic: string): KnownTopic | undefined {
  return table.find(topic, hashOf(topic))
}

/** Asks for topics together, as many as that may be. */
function findAll(
  table: TopicTable<KnownTopic>,
  asked: readonly string[],
): (KnownTopic | undefined)[] {
  const bytes = Buffer.concat(asked.map((topic) => frame(PacketType.Publish, 0, text(topic))))
  const topics = new TopicsAhead(1000)
  const found: (KnownTopic | undefined)[] = []
  topics.find(bytes, 0)
  table.findAll(bytes, topics, found)
  return found
}

test('topics are found while they are there, in a table that grows', (t) => {
  const table = new TopicTable(10_000)
  const topics = Array.from({ length: 1000 }, (_, i) => known(`a/${i}/b`))
  for (const topic of topics) t.is(table.add(topic), undefined)
  t.is(table.count, 1000)
  for (const topic of topics) t.is(find(table, topic.topic), topic)

  for (const topic of topics.slice(0, 500)) table.remove(topic)
  t.is(table.count, 500)
  t.is(find(table, 'a/499/b'), undefined)
  t.is(find(table, 'a/500/b'), topics[500])
})

test('a topic that comes to a full bucket takes the place of one of those in it', (t) => {
  const table = new TopicTable(32)
  const there = new Map<string, KnownTopic>()
  let displacedCount = 0
  for (let i = 0; i < 10_000; i++) {
    const topic = known(`topic ${i}`)
    const displaced = table.add(topic)
    there.set(topic.topic, topic)
    if (displaced === undefined) continue
    displacedCount++
    t.true(there.delete(displaced.topic))
  }

  t.is(there.size, 64)
  t.is(displacedCount, 10_000 - 64)
  t.is(table.count, 64)
  for (const [topic, entry] of there) t.is(find(table, topic), entry)
})

test('any names each topic once before it names one again', (t) => {
  const table = new TopicTable(100)
  t.is(table.any(), undefined)
  const topics = Array.from({ length: 20 }, (_, i) => known(`a/${i}`))
  for (const topic of topics) table.add(topic)

  const named = new Set(topics.map(() => table.any()))
  t.is(named.size, topics.length)
  t.is(table.any(), [...named][0])
})

test('a topic is found by its bytes where it is found by its name, if it is ASCII', (t) => {
  const name = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 12 }),
    fc.stringMatching(/^[ab/]{1,3}$/),
  )
  const names = fc.array(name, { maxLength: 50 })

  fc.assert(
    fc.property(names, names, (some, others) => {
      const table = new TopicTable(100)
      for (const topic of new Set(some)) table.add(known(topic))
      for (const topic of [...some, ...others]) {
        const bytes = Buffer.from(`.${topic}.`)
        const isAscii = bytes.length === topic.length + 2
        const expected = isAscii ? find(table, topic) : undefined
        t.is(table.findBytes(bytes, 1, bytes.length - 1), expected)
      }
    }),
  )
})

test('topics that are looked for together are found as one by one', (t) => {
  // Topics of all lengths around what is compared as words, many with a beginning in common.
  const name = fc
    .tuple(fc.constantFrom('t', 'a', 'site/1/', 'x'.repeat(27), 'y'.repeat(40)), fc.nat(40))
    .map(([start, number]) => `${start}${number}`)
  const names = fc.array(
    fc.oneof(name, fc.string({ unit: 'binary', minLength: 1, maxLength: 40 })),
    {
      minLength: 1,
      maxLength: TOPICS_AHEAD_MAX,
    },
  )

  fc.assert(
    fc.property(
      fc.array(names, { maxLength: 20 }),
      fc.array(fc.nat()),
      names,
      (some, gone, asked) => {
        const table = new TopicTable(100)
        const there = [...new Set(some.flat())].map(known)
        for (const topic of there) table.add(topic)
        for (const i of new Set(gone.map((number) => number % there.length))) {
          const topic = there[i]
          if (topic !== undefined && find(table, topic.topic) === topic) table.remove(topic)
        }
        const each = asked.map((topic) => {
          const bytes = Buffer.from(topic)
          return table.findBytes(bytes, 0, bytes.length)
        })
        t.deepEqual(findAll(table, asked), each)
      },
    ),
  )
})

test('a topic that has gone is not found, whatever it leaves where it was', (t) => {
  for (let length = 1; length < 500; length++) {
    const table = new TopicTable(100)
    const topic = known('t'.repeat(length))
    table.add(topic)
    table.remove(topic)
    t.deepEqual(findAll(table, [topic.topic]), [undefined])
  }
})

test('topics that differ in one byte are told apart, wherever it stands', (t) => {
  const characters = Array.from({ length: 90 }, (_, i) => String.fromCharCode(0x24 + i))
  // Often enough for two of them to have the same bits of the hash, for each place.
  for (const filler of characters.slice(0, 30)) {
    for (let at = 0; at < 40; at++) {
      const topics = characters.map((one) => `${filler.repeat(at)}${one}${filler.repeat(40 - at)}`)
      const table = new TopicTable(50)
      for (const topic of topics.slice(45)) table.add(known(topic))
      for (const topic of topics) t.is(findAll(table, [topic])[0], find(table, topic))
    }
  }
})

test('bytes of UTF-8 are not taken for the characters that have their numbers', (t) => {
  const table = new TopicTable(10)
  const bytes = Buffer.from('caf\u00e9')
  table.add(known(bytes.toString('latin1')))

  t.is(table.findBytes(bytes, 0, bytes.length), undefined)
})
