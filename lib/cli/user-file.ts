/** A password file, or another of `security`, as the command line reads and changes it. */

import { setTimeout as delay } from 'node:timers/promises'
import { changeWholeFile, FileFailure, readWholeFile } from '../util/whole-file.ts'
import { CommandFailure } from './failures.ts'

const ATTEMPTS = 20
const ATTEMPT_MS = 50

/** Returns the text; undefined if there is no such file. */
export function readUserFile(path: string): string | undefined {
  return told(() => readWholeFile(path))
}

/** Writes what `change` makes of the present text; it is given '' where there is no file. */
export function changeUserFile(path: string, change: (text: string) => string): void {
  told(() => changeWholeFile(path, change))
}

/** Does the same for a file that a running broker changes too: what is busy is tried again, for a second. */
export async function changeSharedFile(
  path: string,
  change: (text: string) => string,
): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      changeWholeFile(path, change)
      return
    } catch (error) {
      if (!(error instanceof FileFailure)) throw error
      if (!error.isBusy || attempt === ATTEMPTS) throw new CommandFailure(error.message)
      await delay(ATTEMPT_MS)
    }
  }
}

function told<T>(act: () => T): T {
  try {
    return act()
  } catch (error) {
    if (error instanceof FileFailure) throw new CommandFailure(error.message)
    throw error
  }
}
