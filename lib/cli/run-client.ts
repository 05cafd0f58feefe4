/** What `pub` and `sub` have around them: the exit code, and silence about failures with `--quiet`. */

import { CommandFailure, UsageError } from './failures.ts'

export async function runClient(
  { quiet }: { readonly quiet?: boolean },
  run: () => Promise<number>,
): Promise<void> {
  try {
    process.exitCode = await run()
  } catch (error) {
    if (!quiet || !(error instanceof CommandFailure) || error instanceof UsageError) throw error
    process.exitCode = error.exitCode
  }
}
