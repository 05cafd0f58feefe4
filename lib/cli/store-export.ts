/** `noctule store export`: all that a store keeps as lines of JSON, to a file or the standard output. */

import { createWriteStream, existsSync, statSync } from 'node:fs'
import { rename, rm } from 'node:fs/promises'
import type { Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { Argv, CommandModule } from 'yargs'
import { StoreExport } from '../storage/export.ts'
import type { ExportCounts } from '../storage/export-format.ts'
import { StoreError } from '../storage/storage.ts'
import { systemClock } from '../util/clock.ts'
import { VERSION } from '../util/version.ts'
import { CommandFailure } from './failures.ts'
import {
  nameStore,
  type StoreFlags,
  say,
  warnOfDamage,
  withReader,
  withStoreFlags,
} from './store-access.ts'

interface ExportFlags extends StoreFlags {
  readonly file: string
}

export const storeExportCommand: CommandModule<object, ExportFlags> = {
  command: 'export [file]',
  describe: 'Write sessions, queues and retained messages as lines of JSON',
  builder: (yargs: Argv<object>): Argv<ExportFlags> =>
    withStoreFlags(yargs)
      .positional('file', {
        type: 'string',
        default: '-',
        describe: 'Where to; -: standard output',
      })
      .example('noctule store export backup.jsonl', 'replaces the file when the export is whole')
      .example('noctule store export | gzip > backup.jsonl.gz', '')
      .epilogue(
        'Beside a running broker each session is written as it stands when its turn comes. For a move to another store, stop the broker first.\n' +
          'What is written holds the messages: keep it like the store itself.',
      ),
  handler: async (flags) => {
    const { file } = flags
    const counts = await withReader(nameStore(flags), async ({ reader, damagedRecords }) => {
      const whole = new StoreExport(reader, { timeMs: systemClock.now(), program: VERSION })
      if (file === '-') await writeOut(whole.lines())
      else await writeFile(file, whole.lines())
      warnOfDamage(damagedRecords())
      return whole.counts
    })
    say(`Exported ${describeCounts(counts)}.`)
  },
}

/** "2 sessions with 5 subscriptions and 1 message, 3 retained messages" */
export function describeCounts(counts: ExportCounts): string {
  const { sessions, subscriptions, messages, retained } = counts
  const content = `${some(subscriptions, 'subscription')} and ${some(messages, 'message')}`
  return `${some(sessions, 'session')} with ${content}, ${some(retained, 'retained message')}`
}

function some(count: number, name: string): string {
  return `${count} ${name}${count === 1 ? '' : 's'}`
}

async function writeOut(lines: AsyncIterable<string>): Promise<void> {
  await write(lines, process.stdout, 'standard output')
}

/** A file that is there stays as it is until the new one is whole. */
async function writeFile(file: string, lines: AsyncIterable<string>): Promise<void> {
  if (existsSync(file) && statSync(file).isDirectory()) {
    throw new CommandFailure(`${file} is a directory: name a file in it.`)
  }
  const isSpecial = isSpecialFile(file)
  const path = isSpecial ? file : `${file}.partial`
  // For us alone to read, as the store is.
  const stream = createWriteStream(path, { mode: 0o600, flush: !isSpecial })
  try {
    await write(lines, stream, path)
    if (!isSpecial) await rename(path, file)
  } catch (error) {
    if (!isSpecial) await rm(path, { force: true })
    throw error
  }
}

/** A pipe or a device: it can be read once, and nothing is renamed to it. */
export function isSpecialFile(file: string): boolean {
  if (!existsSync(file)) return false
  const found = statSync(file)
  return !found.isFile() && !found.isDirectory()
}

async function write(lines: AsyncIterable<string>, output: Writable, name: string): Promise<void> {
  try {
    await pipeline(lines, output, { end: output !== process.stdout })
  } catch (error) {
    if (error instanceof StoreError) throw error
    const { code, message } = error as NodeJS.ErrnoException
    if (code === undefined) throw error
    const why = code === 'EPIPE' ? 'nobody reads it any more' : message
    throw new CommandFailure(`The export cannot be written to ${name}, and is not whole: ${why}.`)
  }
}
