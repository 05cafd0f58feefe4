/** `noctule store import`: puts what `noctule store export` has written into a store. */

import { createReadStream } from 'node:fs'
import { addAbortSignal, type Readable } from 'node:stream'
import type { Argv, CommandModule } from 'yargs'
import { checkExport, ImportError, importInto, isEmptyStore } from '../storage/import.ts'
import { LineError } from '../storage/line-fields.ts'
import { kindOf } from '../storage/load.ts'
import { StoreError } from '../storage/storage.ts'
import { ExitCode } from './exit-codes.ts'
import { CommandFailure, UsageError } from './failures.ts'
import {
  type NamedStore,
  nameStore,
  quoted,
  type StoreFlags,
  say,
  withStore,
  withStoreFlags,
} from './store-access.ts'
import { describeCounts, isSpecialFile } from './store-export.ts'

interface ImportFlags extends StoreFlags {
  readonly file: string
  readonly replace: boolean
}

export const storeImportCommand: CommandModule<object, ImportFlags> = {
  command: 'import [file]',
  describe: 'Put what was exported into a store',
  builder: (yargs: Argv<object>): Argv<ImportFlags> =>
    withStoreFlags(yargs)
      .positional('file', {
        type: 'string',
        default: '-',
        describe: 'Where from; -: standard input',
      })
      .option('replace', {
        type: 'boolean',
        default: false,
        describe:
          'Into a store that is not empty: sessions of the same Client Identifier and retained messages of the same topic are replaced, others stay',
      })
      .example('noctule store import --store redis://db backup.jsonl', '')
      .example('gunzip -c backup.jsonl.gz | noctule store import', '')
      .epilogue(
        'The broker must be stopped. A file is read to its end before anything is written, so that its mistakes do no harm; standard input cannot be.',
      ),
  handler: async (flags) => {
    const named = nameStore(flags)
    assertLasting(named)
    const name = flags.file === '-' ? 'standard input' : flags.file
    if (flags.file !== '-' && !isSpecialFile(flags.file)) await checkWhole(flags.file)
    await withStore(named, async (store, signal) => {
      if (!flags.replace && !(await isEmptyStore(store))) throw notEmpty(named)
      try {
        const counts = await importInto(store, addAbortSignal(signal, open(flags.file)), signal)
        say(`Imported ${describeCounts(counts)}.`)
      } catch (error) {
        if (error instanceof ImportError) throw describeStop(error, name)
        throw error
      }
    })
  },
}

function assertLasting({ configuration }: NamedStore): void {
  if (kindOf(configuration.url) !== 'memory') return
  throw new UsageError(
    'What is imported into a store in memory is gone when the command ends. Name another store with --store URL.',
  )
}

function notEmpty({ name }: NamedStore): CommandFailure {
  return new CommandFailure(
    `The store ${name} is not empty, and nothing was imported. With --replace, sessions of the same Client Identifier and retained messages of the same topic are replaced, and others stay.`,
  )
}

async function checkWhole(file: string): Promise<void> {
  try {
    await checkExport(open(file))
  } catch (error) {
    if (!(error instanceof ImportError)) throw error
    throw new CommandFailure(`${placeOf(error, file)}. Nothing was imported.`)
  }
}

function open(file: string): Readable {
  return file === '-' ? process.stdin : createReadStream(file)
}

/** "backup.jsonl:7: seq is missing" */
function placeOf({ line, cause, message }: ImportError, name: string): string {
  const isUnread = line === 0 && (cause as NodeJS.ErrnoException).code !== undefined
  const sentence = message.replace(/\.$/, '')
  return isUnread ? `${name} cannot be read: ${sentence}` : `${name}:${line}: ${sentence}`
}

/** Says where an import stopped, and what the store has got. */
function describeStop(error: ImportError, name: string): CommandFailure {
  const { counts, unfinished, cause } = error
  // Of what was under way when the store failed, nobody knows.
  const extent = cause instanceof LineError ? 'is there with only' : 'may be there with'
  const more = cause instanceof LineError ? '' : ', or some more'
  const part =
    unfinished === undefined
      ? ''
      : ` The session ${quoted(unfinished.clientIdentifier)} ${extent} ${unfinished.messages} of its messages${more}.`
  return new CommandFailure(
    `${placeOf(error, name)}. The import stopped there. The store has got ${describeCounts(counts)}.${part} To import all of it once more, add --replace.`,
    cause instanceof StoreError ? ExitCode.CannotStore : ExitCode.Failure,
  )
}
