/** The broker is killed while it writes, and of what it was writing the disk has got what it may. */

import type { Buffer } from 'node:buffer'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type { Random } from '../../lib/util/random.ts'
import { nextTurn } from '../support/turns.ts'
import { type Outcome, tryDamaged } from './damaged-store.ts'
import { cutPower, damage, isOneWrite } from './disk-image.ts'
import type { Clients, Fault, Report } from './fault.ts'
import type { World } from './world.ts'

/** How long the broker goes on between two looks at its file, at most. */
const GLANCE_MAX_MS = 3
/** Under load it mostly takes less than twenty. */
const LOOKS_MAX = 5_000

interface Look {
  readonly file: Buffer
  /** Packets that the broker had sent. */
  readonly heard: number
}

/**
 * The broker is stopped again and again until it has written something and told nobody anything since: that
 * may be torn as by a power cut. A copy of what was on the disk before is damaged, and must be refused, or
 * be served whole, or with a word about what is not.
 */
export class TornWrite implements Fault {
  readonly name = 'last write torn'
  readonly store = 'disk:./data'
  readonly killsBroker = true
  readonly #outcomes: Record<Outcome, number> = { refused: 0, whole: 0, told: 0, wrong: 0 }
  readonly #broken: string[] = []

  async prepare(): Promise<readonly string[]> {
    return ['--store=disk:./data']
  }

  async strike(world: World, random: Random, clients: Clients): Promise<void> {
    const { before, after } = await this.#killWriting(world, random, clients)
    world.strikes++
    await this.#damage(after, random)
    writeFileSync(fileOf(world), cutPower(before, after, random))
    await world.startBroker()
  }

  report(): Report {
    const { refused, whole, told } = this.#outcomes
    const remark = `damaged copies: ${refused} refused, ${whole} whole, ${told} with a word about what is lost`
    return { remarks: [remark], broken: this.#broken }
  }

  async remove(): Promise<void> {}

  /** Kills the broker; returns its file as it was a moment before, and as it is. */
  async #killWriting(
    world: World,
    random: Random,
    clients: Clients,
  ): Promise<{ readonly before: Buffer; readonly after: Buffer }> {
    for (;;) {
      const { before, after } = await untilWriting(world, random)
      await world.killBroker()
      clients.died()
      await world.untilDeserted()
      // All that it sent has come by now.
      if (world.heard === before.heard) return { before: before.file, after: after.file }
      await world.startBroker()
    }
  }

  async #damage(sound: Buffer, random: Random): Promise<void> {
    const { outcome, output } = await tryDamaged(sound, damage(sound, random))
    this.#outcomes[outcome]++
    if (outcome === 'wrong') this.#broken.push(`a damaged file was not found out: ${output}`)
  }
}

function fileOf({ directory }: World): string {
  return join(directory, 'data', 'data.mdb')
}

/** Stops the broker when it has written something since it told anybody anything. */
async function untilWriting(
  world: World,
  random: Random,
): Promise<{ readonly before: Look; readonly after: Look }> {
  let before = await look(world)
  for (let i = 0; i < LOOKS_MAX; i++) {
    world.thaw()
    await delay(random.below(GLANCE_MAX_MS))
    const after = await look(world)
    if (after.heard === before.heard && isOneWrite(before.file, after.file)) {
      return { before, after }
    }
    before = after
  }
  throw new Error(`the broker wrote nothing by itself in ${LOOKS_MAX} looks at its file`)
}

/** Stops the broker, and looks. */
async function look(world: World): Promise<Look> {
  await world.freeze()
  const file = readFileSync(fileOf(world))
  // What it has sent is read in the next turn.
  await nextTurn()
  await nextTurn()
  return { file, heard: world.heard }
}
