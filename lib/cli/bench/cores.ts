/** Gives processes a core of their own, where the system can. */

import { existsSync, readFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'

export interface Cores {
  /** Undefined: wherever the system puts it. */
  readonly broker: number | undefined
  readonly generator: number | undefined
}

/** One for the broker, another one for the generator; none where there are not two, or no `taskset`. */
export function chooseCores(): Cores {
  const [broker, generator] = allowedCores()
  if (generator === undefined || findProgram('taskset') === undefined) {
    return { broker: undefined, generator: undefined }
  }
  return { broker, generator }
}

/** A command line that runs `command` on this core. */
export function pinned(
  core: number | undefined,
  command: string,
  args: readonly string[],
): readonly [string, readonly string[]] {
  return core === undefined ? [command, args] : ['taskset', ['-c', String(core), command, ...args]]
}

/** Returns the path of a program, or undefined. */
export function findProgram(name: string): string | undefined {
  const folders = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/usr/local/sbin']
  return folders.map((folder) => join(folder, name)).find((path) => existsSync(path))
}

/** As in `0-3,8`. */
function allowedCores(): number[] {
  if (process.platform !== 'linux') return []
  const status = readFileSync('/proc/self/status', 'latin1')
  const list = /^Cpus_allowed_list:\s*(\S+)/m.exec(status)?.[1] ?? ''
  return list.split(',').flatMap((range) => {
    const [first = 0, last = first] = range.split('-').map(Number)
    return Array.from({ length: last - first + 1 }, (_, i) => first + i)
  })
}
