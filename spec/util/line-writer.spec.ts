import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { LineWriter, PENDING_BYTES_MAX } from '../../lib/util/line-writer.ts'

function openFile(t: ExecutionContext): { descriptor: number; read: () => string } {
  const folder = mkdtempSync(join(tmpdir(), 'noctule-log-'))
  const file = join(folder, 'log')
  const descriptor = openSync(file, 'a')
  t.teardown(() => {
    closeSync(descriptor)
    rmSync(folder, { recursive: true })
  })
  return { descriptor, read: () => readFileSync(file, 'utf8') }
}

test('lines that find their reader too slow are lost, and counted when it has caught up', async (t) => {
  const { descriptor, read } = openFile(t)
  const writer = new LineWriter(descriptor)
  const line = `${'x'.repeat(1024 ** 2 - 1)}\n`
  const fitting = PENDING_BYTES_MAX / line.length
  const lost = new Promise<number>((resolve) => {
    writer.onLost = resolve
  })

  // Nothing is written before the turn ends.
  for (let i = 0; i < fitting + 3; i++) writer.write(line)

  t.is(await lost, 3)
  t.is(read(), line.repeat(fitting))
})

test('at the end of the process, what is pending is written at once', async (t) => {
  const { descriptor, read } = openFile(t)
  const writer = new LineWriter(descriptor)
  writer.write('under way\n')
  writer.write('pending\n')

  writer.flushSync()

  t.true(read().includes('pending\n'))
  await new Promise<void>((resolve) => {
    const look = (): void => (read().includes('under way\n') ? resolve() : void setImmediate(look))
    look()
  })
})

test('an output that cannot be written to is given up, also at the end of the process', async (t) => {
  const readOnly = openSync('/dev/null', 'r')
  t.teardown(() => closeSync(readOnly))
  const writer = new LineWriter(readOnly)

  writer.write('nobody reads this\n')
  writer.write('nor this\n')
  writer.flushSync()
  await new Promise((resolve) => setImmediate(resolve))

  t.notThrows(() => writer.write('nor that\n'))
})
