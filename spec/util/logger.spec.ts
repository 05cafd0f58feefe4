import test from 'ava'
import { createLogger, type LoggerOptions } from '../../lib/util/logger.ts'

interface Recorder {
  readonly isTTY?: boolean
  text: string
  write(line: string): void
}

function recorder(isTTY = false): Recorder {
  return {
    isTTY,
    text: '',
    write(line) {
      this.text += line
    },
  }
}

// What could end a line, move a cursor, colour the rest, or turn the direction of text.
const nasty = 'a\nb\r\u001b[31m\u0007\u007f\u009b2J\u2028\u202e'
const isVisible = (text: string): boolean =>
  !/[^\P{Cc}\n]|[\u2028\u2029]|\p{Bidi_Control}/u.test(text)

for (const format of ['json', 'pretty'] as const) {
  test(`${format}: no character of a peer can leave its line`, (t) => {
    const stream = recorder()

    createLogger({ level: 'info', format, stream }).warn(
      { client: nasty, nested: { topic: nasty }, [nasty]: 1 },
      `refused ${nasty}`,
    )

    t.is(stream.text.split('\n').length, 2, 'one line and its end')
    t.true(isVisible(stream.text))
  })

  test(`${format}: an error is logged with its stack, and without its control characters`, (t) => {
    const stream = recorder()

    createLogger({ level: 'info', format, stream }).error({ error: new Error(nasty) }, 'failed')

    t.true(stream.text.includes('logger.spec'))
    t.true(isVisible(stream.text))
  })
}

test('JSON lines keep what was logged, and name level and time', (t) => {
  const stream = recorder()

  createLogger({ level: 'info', format: 'json', stream }).info({ client: nasty, n: 1 }, 'connected')

  const line: unknown = JSON.parse(stream.text)
  t.like(line, { level: 'info', client: nasty, n: 1, msg: 'connected' })
  t.regex(stream.text, /"time":"\d{4}-\d\d-\d\dT/)
})

test('pretty lines are for people: time, level, message, fields', (t) => {
  const stream = recorder()

  createLogger({ level: 'info', format: 'pretty', stream }).info({ port: 1883 }, 'listening')

  t.regex(stream.text, /^\[\d\d:\d\d:\d\d\.\d{3}\] INFO: listening \{"port":1883\}\n$/)
})

const formats: readonly (readonly [LoggerOptions['format'], boolean, boolean])[] = [
  ['auto', true, true],
  ['auto', false, false],
  ['pretty', false, true],
  ['json', true, false],
]
for (const [format, isTTY, isPretty] of formats) {
  test(`${format} ${isTTY ? 'on a terminal' : 'elsewhere'} is ${isPretty ? 'pretty' : 'JSON'}`, (t) => {
    const stream = recorder(isTTY)

    createLogger({ level: 'info', format, stream }).info({}, 'line')

    t.is(stream.text.startsWith('['), isPretty)
    t.is(stream.text.startsWith('{'), !isPretty)
  })
}

test('less important lines than the level are left out', (t) => {
  const stream = recorder()
  const log = createLogger({ level: 'warn', format: 'json', stream })
  const silent = createLogger({ level: 'silent', format: 'json', stream })

  log.trace({}, 'no')
  log.debug({}, 'no')
  log.info({}, 'no')
  silent.error({}, 'no')
  log.warn({}, 'yes')

  t.is(stream.text.split('\n').length, 2)
  t.true(stream.text.includes('yes'))
})
