/** `noctule store check`: what should not be in a store. */

import type { Argv, CommandModule } from 'yargs'
import { canReadBeside } from '../storage/reading.ts'
import type { StoreFinding } from '../storage/storage.ts'
import { ExitCode } from './exit-codes.ts'
import {
  assertThere,
  type NamedStore,
  nameStore,
  StoreFailure,
  type StoreFlags,
  say,
  withReader,
  withStore,
  withStoreFlags,
} from './store-access.ts'

interface CheckFlags extends StoreFlags {
  readonly repair: boolean
}

export const storeCheckCommand: CommandModule<object, CheckFlags> = {
  command: 'check',
  describe: 'Look for what should not be in a store; exit code 1 if there is any',
  builder: (yargs: Argv<object>): Argv<CheckFlags> =>
    withStoreFlags(yargs)
      .option('repair', {
        type: 'boolean',
        default: false,
        describe: 'Remove or mend what is found; the broker must be stopped',
      })
      .example('noctule store check --store disk:/var/lib/noctule', '')
      .example('noctule store check --repair', 'copy the store before')
      .epilogue(
        'Beside a running broker, what is found may be something that the broker is about to remove: check again.',
      ),
  handler: async (flags) => {
    const named = nameStore(flags)
    const isSound = flags.repair ? await repair(named) : await look(named)
    process.exitCode = isSound ? ExitCode.Success : ExitCode.Failure
  },
}

/** As the only user of the store if that can be: then what is found is exact, and a torn file is told. */
async function look(named: NamedStore): Promise<boolean> {
  await assertThere(named)
  let findings: readonly StoreFinding[]
  try {
    findings = await withStore(named, (store) => store.check({ repair: false }))
  } catch (error) {
    const isInUse = error instanceof StoreFailure && error.code === 'in use'
    if (!isInUse || !canReadBeside(named.configuration.url)) throw error
    say('A broker is using the store: what it is about to remove may be among what is found.')
    findings = await withReader(named, ({ reader }) => reader.check())
  }
  list(findings)
  if (findings.length > 0) console.log('To mend it, stop the broker and add --repair.')
  return findings.length === 0
}

async function repair(named: NamedStore): Promise<boolean> {
  await assertThere(named)
  return withStore(named, async (store) => {
    const findings = await store.check({ repair: true })
    list(findings)
    if (findings.length === 0) return true
    const rest = await store.check({ repair: false })
    console.log(rest.length === 0 ? 'All of it is repaired.' : 'After the repair there still is:')
    if (rest.length > 0) list(rest)
    return rest.length === 0
  })
}

function list(findings: readonly StoreFinding[]): void {
  for (const { what, count } of findings) {
    console.log(`Found ${count === 1 ? 'once' : `${count} times`}: ${what}.`)
  }
  if (findings.length === 0) console.log('Nothing is found that should not be there.')
}
