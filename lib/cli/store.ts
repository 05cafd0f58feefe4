/** `noctule store`: to look into a store, check it, and take what it keeps somewhere else. */

import type { CommandModule } from 'yargs'
import { storeCheckCommand } from './store-check.ts'
import { storeExportCommand } from './store-export.ts'
import { storeImportCommand } from './store-import.ts'
import { storeInfoCommand } from './store-info.ts'

export const storeCommand: CommandModule = {
  command: 'store',
  describe: 'Look into a store, check it, copy it to another',
  builder: (yargs) =>
    yargs
      .command(storeInfoCommand)
      .command(storeCheckCommand)
      .command(storeExportCommand)
      .command(storeImportCommand)
      .demandCommand(1, 'Say what to do: store info, store check, store export or store import.')
      .example('noctule store info', 'what the store of the configuration keeps')
      .example(
        'noctule store export | noctule store import --store redis://db',
        'from the disk to Redis, the broker stopped',
      )
      .epilogue(
        'The store is that of `noctule start` with the same --config, environment and --store.\n' +
          'Exit codes: 0 done, 1 something was found or went wrong, 2 mistakes in the configuration or command line, 4 cannot use the store.',
      ),
  handler: () => {}, // yargs calls those of the commands.
}
