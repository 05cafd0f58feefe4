/** A password file, or another of `security`, as the command line reads and changes it. */

import { changeWholeFile, FileFailure, readWholeFile } from '../util/whole-file.ts'
import { CommandFailure } from './failures.ts'

/** Returns the text; undefined if there is no such file. */
export function readUserFile(path: string): string | undefined {
  return told(() => readWholeFile(path))
}

/** Writes what `change` makes of the present text; it is given '' where there is no file. */
export function changeUserFile(path: string, change: (text: string) => string): void {
  told(() => changeWholeFile(path, change))
}

function told<T>(act: () => T): T {
  try {
    return act()
  } catch (error) {
    if (error instanceof FileFailure) throw new CommandFailure(error.message)
    throw error
  }
}
