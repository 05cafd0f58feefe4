/**
 * What a disk may hold of a data file. It writes sectors, in any order until it is told to sync. LMDB syncs
 * what it wrote before it names it in one of two head pages, and relies on their sectors to be written as a
 * whole or not at all.
 */

import { Buffer } from 'node:buffer'
import type { Random } from '../../lib/util/random.ts'

const PAGE_BYTES = 4_096
const SECTOR_BYTES = 512
const HEAD_PAGES = 2

/** Whether something was written between two looks at a file, and at most one head: no more than one commit. */
export function isOneWrite(before: Buffer, after: Buffer): boolean {
  const heads = Array.from({ length: HEAD_PAGES }, (_, i) => i)
  const changed = heads.filter((page) => !pageOf(before, page).equals(pageOf(after, page)))
  return changed.length <= 1 && !before.equals(after)
}

/**
 * What a power cut may leave of what was written between two looks: in each sector what was there, what was
 * to be there, or anything; of the head, which comes last, nothing; and the file may not have grown yet.
 */
export function cutPower(before: Buffer, after: Buffer, random: Random): Buffer {
  const file = Buffer.alloc(random.below(2) === 0 ? before.length : after.length)
  before.copy(file)
  for (let at = HEAD_PAGES * PAGE_BYTES; at < file.length; at += SECTOR_BYTES) {
    const sector = file.subarray(at, at + SECTOR_BYTES)
    const written = after.subarray(at, at + SECTOR_BYTES)
    if (sector.equals(written)) continue
    const fate = random.below(3)
    if (fate === 0) written.copy(sector)
    else if (fate === 1) scramble(sector, random)
  }
  return file
}

/** Harms what was on the disk already: it lost its end, a page, or a sector. */
export function damage(sound: Buffer, random: Random): Buffer {
  const pages = sound.length / PAGE_BYTES
  // A head is there in every file, and everything hangs from it.
  const page = random.below(4) === 0 ? random.below(HEAD_PAGES) : random.below(pages)
  const start = page * PAGE_BYTES
  const fate = random.below(3)
  if (fate === 0) return sound.subarray(0, start + random.below(PAGE_BYTES))
  const file = Buffer.from(sound)
  if (fate === 1) file.fill(0, start, start + PAGE_BYTES)
  else {
    const sector = page < HEAD_PAGES ? 0 : random.below(PAGE_BYTES / SECTOR_BYTES)
    const at = start + sector * SECTOR_BYTES
    scramble(file.subarray(at, at + SECTOR_BYTES), random)
  }
  return file
}

function pageOf(file: Buffer, page: number): Buffer {
  return file.subarray(page * PAGE_BYTES, (page + 1) * PAGE_BYTES)
}

function scramble(bytes: Buffer, random: Random): void {
  for (let i = 0; i < bytes.length; i++) bytes[i] = random.below(256)
}
