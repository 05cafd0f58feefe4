import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { systemClock } from '../../lib/util/clock.ts'
import { WatchedFile } from '../../lib/util/watched-file.ts'

interface Watched {
  readonly path: string
  readonly file: WatchedFile
  /** The next thing that is told. */
  readonly next: () => Promise<string>
}

async function watch(t: ExecutionContext, text: string): Promise<Watched> {
  const folder = mkdtempSync(join(tmpdir(), 'noctule-watched-'))
  const path = join(folder, 'rules')
  writeFileSync(path, text)
  const told: string[] = []
  let wake = () => {}
  const tell = (what: string) => {
    told.push(what)
    wake()
  }
  const file = new WatchedFile(path, systemClock, {
    changed: (changed) => tell(`changed ${changed}`),
    failed: (sentence) => tell(`failed ${sentence}`),
  })
  t.is(await file.open(), text)
  // Neither the clock nor a watched folder keeps a process alive.
  const beat = setInterval(() => {}, 2 ** 30)
  t.teardown(() => {
    clearInterval(beat)
    file.close()
    rmSync(folder, { recursive: true })
  })
  const next = async () => {
    while (told.length === 0) await new Promise<void>((resolve) => (wake = resolve))
    return told.shift() as string
  }
  return { path, file, next }
}

test('a file is read again when it was written, and when another was put in its place', async (t) => {
  const { path, next } = await watch(t, 'one')

  writeFileSync(path, 'two')
  t.is(await next(), 'changed two')
  writeFileSync(`${path}.new`, 'three')
  renameSync(`${path}.new`, path)
  t.is(await next(), 'changed three')
})

test('a file that goes is told once, and again when it is back', async (t) => {
  const { path, file, next } = await watch(t, 'one')

  rmSync(path)
  t.is(await next(), 'failed there is no such file')
  await file.check()
  writeFileSync(path, 'two')
  t.is(await next(), 'changed two')
})

test('a file that is not there cannot be opened', async (t) => {
  const file = new WatchedFile('/nowhere/rules', systemClock, { changed() {}, failed() {} })

  await t.throwsAsync(file.open(), { message: 'there is no such file' })
})
