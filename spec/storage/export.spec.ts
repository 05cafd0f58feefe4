import { Buffer } from 'node:buffer'
import test from 'ava'
import { composeBody } from '../../lib/protocol/message.ts'
import { PAGE_MESSAGES_MAX, StoreExport } from '../../lib/storage/export.ts'
import { headerLine, trailerLine } from '../../lib/storage/export-format.ts'
import { checkExport, type ImportError, isEmptyStore } from '../../lib/storage/import.ts'
import type { QueueEntry, SessionRef, Store } from '../../lib/storage/storage.ts'
import { StoreError } from '../../lib/storage/storage.ts'
import { entryOf, NEVER, sessionsOf, subscriptionTo, unitOf, write } from './contract-support.ts'
import { chunksOf, exportText, HEADER, importText, kept, memoryStore } from './export-support.ts'

const body = composeBody('x', Buffer.alloc(0), Buffer.from('hi')).toString('base64')
const header = headerLine(0, '1.2.3').trimEnd()

function session(change: object = {}): string {
  const numbers = { expirySeconds: 60, lastSeq: 5, lowWaterMark: 2, released: [], inbound: [] }
  const all = { kind: 'session', clientIdentifier: 'c', ...numbers, subscriptions: [], ...change }
  return JSON.stringify(all)
}

function message(change: object = {}): string {
  const all = { kind: 'message', seq: 3, qos: 1, retain: false, expiresAt: 'never', body }
  return JSON.stringify({ ...all, ...change })
}

function retained(change: object = {}): string {
  return JSON.stringify({
    kind: 'retained',
    topic: 'x',
    qos: 1,
    expiresAt: 'never',
    body,
    ...change,
  })
}

function trailer(sessions: number, messages: number): string {
  return trailerLine({ sessions, subscriptions: 0, messages, retained: 0 }).trimEnd()
}

/** A store with one session, and `count` messages for it. */
async function storeWith(count: number): Promise<{ store: Store; ref: SessionRef }> {
  const store = memoryStore()
  const { ref } = await store.claim('c', { cleanStart: true, expirySeconds: 60, will: undefined })
  const entries = Array.from({ length: count }, (_, index) => ({ ...entry(), seq: index + 1 }))
  const [stored] = await sessionsOf(store)
  const adopted = await store.adopt({ ...stored!, ref, lastSeq: count })
  await store.adoptQueue(adopted, entries)
  return { store, ref: adopted }
}

function entry(): Omit<QueueEntry, 'seq'> {
  return { ...entryOf('x'), body: Buffer.from(body, 'base64') }
}

const mistakes: readonly (readonly [
  mistake: string,
  lines: readonly string[],
  error: RegExp,
  line: number,
])[] = [
  ['nothing at all', [], /there is nothing in it/, 0],
  ['something else', ['hello'], /it is no JSON/, 1],
  ['a list', ['[]'], /it is no JSON object/, 1],
  ['no header', [session()], /an export begins with a header/, 1],
  ['another format', ['{"kind":"header","format":"x"}'], /format must be "noctule-store"/, 1],
  ['a later version', [header.replace('"version":1', '"version":2')], /of version 2.*up to 1/, 1],
  ['two headers', [header, header], /only the first line is a header/, 2],
  ['no trailer', [header, session(), message()], /ends here without a trailer/, 3],
  ['half a line', [header, session().slice(0, 30)], /it is no JSON/, 2],
  ['lines behind the trailer', [header, trailer(0, 0), session()], /may follow the trailer/, 3],
  ['a trailer that counts more', [header, trailer(1, 0)], /counts 1 sessions, and there are 0/, 2],
  ['an unknown kind', [header, '{"kind":"cat"}'], /there is no kind "cat"/, 2],
  ['an unknown field', [header, session({ mood: 1 })], /there is no field mood/, 2],
  ['a missing field', [header, session({ lastSeq: undefined })], /lastSeq is missing/, 2],
  [
    'a number that is none',
    [header, session({ lastSeq: '5' })],
    /lastSeq must be a whole number.*found "5"/,
    2,
  ],
  [
    'a mark beyond the last',
    [header, session({ lowWaterMark: 6 })],
    /lowWaterMark must be .* from 0 to 5; found 6/,
    2,
  ],
  [
    'a time that is none',
    [header, session({ left: { expiresAt: -1 } })],
    /left\.expiresAt must be "never" or/,
    2,
  ],
  ['a broken will', [header, session({ will: { topic: 'a/#' } })], /"a\/#" is no Topic Name/, 2],
  [
    'a broken filter',
    [header, session({ subscriptions: [{ topicFilter: 'a#' }] })],
    /"a#" is no Topic Filter/,
    2,
  ],
  ['a message of nobody', [header, message()], /a message stands behind its session/, 2],
  [
    'a message behind a retained one',
    [header, session(), retained(), message()],
    /stands behind its session/,
    4,
  ],
  [
    'a message that is acknowledged',
    [header, session(), message({ seq: 2 })],
    /seq must be from 3 to 5.*found 2/,
    3,
  ],
  [
    'a message twice',
    [header, session(), message(), message()],
    /seq must be from 4 to 5.*found 3/,
    4,
  ],
  [
    'a body that is no base64',
    [header, session(), message({ body: '*' })],
    /body must be a text in base64; found "\*"/,
    3,
  ],
  [
    'a body that is no message',
    [header, session(), message({ body: '/////w==' })],
    /body is no message/,
    3,
  ],
  ['a body of another topic', [header, retained({ topic: 'y' })], /body is no message/, 2],
]

for (const [mistake, lines, expected, line] of mistakes) {
  test(`an export with ${mistake} is refused, at its line`, async (t) => {
    const error = await t.throwsAsync<ImportError>(checkExport(chunksOf(lines.join('\n'))))

    t.regex(error?.message ?? '', expected)
    t.is(error?.line, line)
  })
}

test('a queue is read page by page, the next when the last is written', async (t) => {
  const { store } = await storeWith(10 * PAGE_MESSAGES_MAX)
  let pages = 0
  const counting = {
    replay: store.replay.bind(store),
    readQueue: (...request: Parameters<Store['readQueue']>) => {
      pages++
      return store.readQueue(...request)
    },
  }
  const lines = new StoreExport(counting, HEADER).lines()

  for (let i = 0; i < 3; i++) await lines.next()

  t.is(pages, 1)
})

test('what came into a queue after its session was told is left out', async (t) => {
  const { store, ref } = await storeWith(3)
  const lines = new StoreExport(store, HEADER).lines()
  await lines.next()
  const target = {
    session: ref,
    qos: 1,
    retain: false,
    subscriptionIdentifiers: undefined,
  } as const
  await write(store, unitOf('late', [{ ...target, share: undefined }]))

  let rest = ''
  for await (const text of lines) rest += text

  t.is(rest.match(/"kind":"message"/g)?.length, 3)
  t.regex(rest, /"kind":"trailer","sessions":1,"subscriptions":0,"messages":3/)
})

test('a session takes the place of the one with its Client Identifier, others stay', async (t) => {
  const { store } = await storeWith(2)
  const target = memoryStore()
  const options = { cleanStart: false, expirySeconds: 9, will: undefined }
  const { ref } = await target.claim('c', options)
  await target.update(ref, { subscribe: [subscriptionTo('old')] })
  await target.claim('other', options)

  await importText(target, await exportText(store))

  const { sessions } = await kept(target)
  t.deepEqual(
    sessions.map((item) => [
      item.ref.clientIdentifier,
      item.subscriptions.length,
      item.queue.length,
    ]),
    [
      ['c', 0, 2],
      ['other', 0, 0],
    ],
  )
})

test('an import that meets a mistake says what the store has got', async (t) => {
  const target = memoryStore()
  const lines = [header, session(), message(), retained(), session({ clientIdentifier: 'd' }), '?']

  const error = await t.throwsAsync<ImportError>(importText(target, lines.join('\n')))

  t.like(error, { line: 6, unfinished: { clientIdentifier: 'd', messages: 0 } })
  t.deepEqual(error?.counts, { sessions: 1, subscriptions: 0, messages: 1, retained: 1 })
  t.deepEqual((await sessionsOf(target)).length, 2)
})

test('an import into a store that fails stops with the reason', async (t) => {
  const { store } = await storeWith(PAGE_MESSAGES_MAX + 1)
  const text = await exportText(store)
  const target = memoryStore()
  const full = new StoreError('full', 'There is no room.')
  target.adoptQueue = () => Promise.reject(full)

  const error = await t.throwsAsync<ImportError>(importText(target, text), {
    message: full.message,
  })

  t.is(error?.cause, full)
  t.like(error, { line: PAGE_MESSAGES_MAX + 2, unfinished: { clientIdentifier: 'c', messages: 0 } })
})

test('an import into a store that does not answer can be stopped', async (t) => {
  const controller = new AbortController()
  const target = memoryStore()
  target.adopt = () => new Promise(() => {})
  const importing = importText(target, `${header}\n${session()}\n`, controller.signal)
  await new Promise((resolve) => setImmediate(resolve))

  controller.abort(new Error('enough'))

  await t.throwsAsync(importing, { message: 'enough' })
})

test('a store is empty until it keeps a session or a retained message', async (t) => {
  const store = memoryStore()
  t.true(await isEmptyStore(store))

  await write(store, unitOf('x', [], { retain: 'set', expiresAt: NEVER }))

  t.false(await isEmptyStore(store))
})
