/** What becomes of a store on disk whose data file is damaged: whether the broker says so. */

import type { Buffer } from 'node:buffer'
import { execFile } from 'node:child_process'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { ExitCode } from '../../lib/cli/exit-codes.ts'
import { BrokerEnded, CLI, World } from './world.ts'

const OUTPUT_BYTES_MAX = 1024 ** 3

/**
 * - `refused`: the broker does not start, and names the file;
 * - `whole`: it starts, and everything is there;
 * - `told`: it starts, and something is not there, of which there is a word;
 * - `wrong`: anything else.
 */
export type Outcome = 'refused' | 'whole' | 'told' | 'wrong'

export interface Tried {
  readonly outcome: Outcome
  /** What the programs said. */
  readonly output: string
}

/** Starts a broker on a damaged file. */
export async function tryDamaged(sound: Buffer, damaged: Buffer): Promise<Tried> {
  const world = new World(['--store=disk:./data'])
  const directory = join(world.directory, 'data')
  const put = (file: Buffer): void => {
    rmSync(directory, { recursive: true, force: true })
    mkdirSync(directory)
    writeFileSync(join(directory, 'data.mdb'), file)
  }
  try {
    put(damaged)
    await world.startBroker()
    await world.killBroker()
    put(damaged)
    const found = await exportOf(directory)
    put(sound)
    const expected = await exportOf(directory)
    const { output } = found
    if (found.lines === expected.lines) return { outcome: 'whole', output }
    return { outcome: output.includes('damaged and left out') ? 'told' : 'wrong', output }
  } catch (error) {
    if (!(error instanceof BrokerEnded)) throw error
    const { code, output, message } = error
    const isClear = code === ExitCode.CannotStore && output.includes(join(directory, 'data.mdb'))
    return { outcome: isClear ? 'refused' : 'wrong', output: message }
  } finally {
    await world.remove()
  }
}

/** All that a store keeps, but for the line that tells the time; nothing if it cannot be read. */
async function exportOf(directory: string): Promise<{ lines: string; output: string }> {
  const args = [CLI, 'store', 'export', '--store', `disk:${directory}`]
  const options = { maxBuffer: OUTPUT_BYTES_MAX }
  try {
    const { stdout, stderr } = await promisify(execFile)(process.execPath, args, options)
    return { lines: stdout.slice(stdout.indexOf('\n')), output: stderr }
  } catch (error) {
    return { lines: '', output: (error as Error).message }
  }
}
