/**
 * Looks at LMDB's data file before LMDB does. LMDB believes what it reads: a page that is not there, or
 * not what was written, would kill the process. So the pages that its newest state reaches are walked:
 * each must be within the file, say its own number, and keep what it has within itself.
 *
 * LMDB writes pages anew and never in place, and names the newest state in one of two head pages last of
 * all. What a process or a machine leaves half written is reached by neither.
 *
 *     page      number 8, transaction 8, pad 2, flags 2, lower 2, upper 2 (or count 4), then, counted from
 *               here, 2 for the place of each node up to lower, and from upper on the nodes
 *     node      low 2, high 2, flags 2, key length 2, key, data
 */

import { Buffer } from 'node:buffer'
import { closeSync, existsSync, fstatSync, openSync, readSync } from 'node:fs'
import { endianness } from 'node:os'
import { StoreError } from '../storage.ts'

const MAGIC = 0xbeefc0de
const HEAD_BYTES = 24
const META_BYTES = 160
const NODE_HEAD_BYTES = 8
const NO_PAGE = 0xffff_ffff_ffff_ffffn

const Flags = { Branch: 1, Leaf: 2, Overflow: 4, Meta: 8 } as const
const BIG_DATA = 1

/** The first tree is that of free pages. */
const OUR_TREE = 1

/** A smaller file, 256 MiB with pages of 4 KiB, is walked as a whole: 0.4 s at most, measured. */
const PAGES_WALKED_MAX = 65_536
/** Of a larger one what so many transactions wrote: what could be torn when the machine lost its power. */
const TRANSACTIONS_WALKED = 1_000n

interface Head {
  readonly pageBytes: number
  readonly lastPage: bigint
  readonly transaction: bigint
  readonly roots: readonly bigint[]
}

/** Throws `StoreError` if LMDB could not live with the file. A file that does not exist is fine. */
export function checkDataFile(path: string): void {
  // LMDB's files are those of the machine's byte order; all that this program runs on agree.
  if (!existsSync(path) || endianness() !== 'LE') return
  const file = openSync(path, 'r')
  try {
    const { size } = fstatSync(file)
    if (size === 0) return
    const head = newestHead(file, path)
    new Walk(file, path, size, head).run()
  } finally {
    closeSync(file)
  }
}

function newestHead(file: number, path: string): Head {
  const bytes = Buffer.alloc(HEAD_BYTES + META_BYTES)
  const heads: Head[] = []
  let pageBytes = 0
  for (let i = 0; i < 2; i++) {
    if (readSync(file, bytes, 0, bytes.length, i * pageBytes) < bytes.length) break
    const isOurs = bytes.readUInt16LE(18) & Flags.Meta && bytes.readUInt32LE(24) === MAGIC
    if (!isOurs) throw damaged(path, `its page ${i} is not that of a store`)
    const at = HEAD_BYTES + 24
    pageBytes ||= bytes.readUInt32LE(at)
    heads.push({
      pageBytes,
      // The tree of free pages, and ours.
      roots: [bytes.readBigUInt64LE(at + 40), bytes.readBigUInt64LE(at + 88)],
      lastPage: bytes.readBigUInt64LE(at + 96),
      transaction: bytes.readBigUInt64LE(at + 104),
    })
  }
  const [first, second] = heads
  const isPowerOfTwo =
    pageBytes >= 512 && pageBytes <= 65_536 && (pageBytes & (pageBytes - 1)) === 0
  if (first === undefined || second === undefined || !isPowerOfTwo) {
    throw damaged(path, 'it has no head')
  }
  return first.transaction > second.transaction ? first : second
}

class Walk {
  readonly #file: number
  readonly #path: string
  readonly #size: number
  readonly #head: Head
  readonly #page: Buffer
  readonly #since: bigint
  readonly #waiting: { readonly number: bigint; readonly isOurs: boolean }[]

  constructor(file: number, path: string, size: number, head: Head) {
    this.#file = file
    this.#path = path
    this.#size = size
    this.#head = head
    this.#page = Buffer.alloc(head.pageBytes)
    const isWhole = head.lastPage < PAGES_WALKED_MAX || !this.#holds(head.lastPage)
    this.#since = isWhole ? 0n : head.transaction - TRANSACTIONS_WALKED
    this.#waiting = head.roots
      .map((number, tree) => ({ number, isOurs: tree === OUR_TREE }))
      .filter(({ number }) => number !== NO_PAGE)
  }

  run(): void {
    // In a whole tree no page comes twice.
    let left = this.#head.lastPage
    for (let next = this.#waiting.pop(); next !== undefined; next = this.#waiting.pop()) {
      if (left-- < 0n) this.#fail(next.number)
      this.#walk(next.number, next.isOurs)
    }
  }

  #walk(number: bigint, isOurs: boolean): void {
    this.#read(number, this.#page)
    const page = this.#page
    const transaction = page.readBigUInt64LE(8)
    // A page has only older ones below it.
    if (transaction < this.#since) return
    const flags = page.readUInt16LE(18)
    const lower = HEAD_BYTES + page.readUInt16LE(20)
    const upper = HEAD_BYTES + page.readUInt16LE(22)
    if (flags !== Flags.Branch && flags !== Flags.Leaf) this.#fail(number)
    if (lower > upper || upper > page.length) this.#fail(number)
    let before: number | undefined
    for (let at = HEAD_BYTES; at < lower; at += 2) {
      const node = HEAD_BYTES + page.readUInt16LE(at)
      if (node < upper || node + NODE_HEAD_BYTES > page.length) this.#fail(number)
      if (keyEnd(page, node) > page.length) this.#fail(number)
      // What is out of order is not found. The first key of a branch says nothing, and may be anything.
      if (isOurs && before !== undefined && compareKeys(page, before, node) >= 0) this.#fail(number)
      if (flags === Flags.Leaf || at > HEAD_BYTES) before = node
      if (flags === Flags.Branch) this.#waiting.push({ number: childOf(page, node), isOurs })
      else this.#leaf(number, node)
    }
  }

  #leaf(number: bigint, node: number): void {
    const page = this.#page
    const dataBytes = page.readUInt32LE(node)
    const data = keyEnd(page, node)
    const isBig = (page.readUInt16LE(node + 4) & BIG_DATA) !== 0
    if (data + (isBig ? 8 : dataBytes) > page.length) this.#fail(number)
    if (isBig) this.#overflow(page.readBigUInt64LE(data), dataBytes)
  }

  /** Large values have pages of their own, of which only the first has a head. */
  #overflow(number: bigint, dataBytes: number): void {
    const head = Buffer.alloc(HEAD_BYTES)
    this.#read(number, head)
    const count = head.readUInt32LE(20)
    const isLargeEnough = count * this.#head.pageBytes >= HEAD_BYTES + dataBytes
    if (head.readUInt16LE(18) !== Flags.Overflow || !isLargeEnough) this.#fail(number)
    if (!this.#holds(number + BigInt(count) - 1n)) this.#fail(number)
  }

  #read(number: bigint, into: Buffer): void {
    if (number > this.#head.lastPage || !this.#holds(number)) this.#fail(number)
    readSync(this.#file, into, 0, into.length, Number(number) * this.#head.pageBytes)
    const isNewer = into.readBigUInt64LE(8) > this.#head.transaction
    if (into.readBigUInt64LE(0) !== number || isNewer) this.#fail(number)
  }

  #holds(number: bigint): boolean {
    return (Number(number) + 1) * this.#head.pageBytes <= this.#size
  }

  #fail(number: bigint): never {
    throw damaged(
      this.#path,
      this.#holds(number)
        ? `its page ${number} is not what was written`
        : `it ends before its page ${number}`,
    )
  }
}

function keyEnd(page: Buffer, node: number): number {
  return node + NODE_HEAD_BYTES + page.readUInt16LE(node + 6)
}

function compareKeys(page: Buffer, first: number, second: number): number {
  const [start, otherStart] = [first + NODE_HEAD_BYTES, second + NODE_HEAD_BYTES]
  return page.compare(page, otherStart, keyEnd(page, second), start, keyEnd(page, first))
}

function childOf(page: Buffer, node: number): bigint {
  return BigInt(page.readUInt32LE(node)) | (BigInt(page.readUInt16LE(node + 4)) << 32n)
}

/** The refusal of a file that is not what was written. */
export function damaged(file: string, reason: string): StoreError {
  return new StoreError(
    'unusable',
    `The store ${file} is damaged (${reason}): put back a copy of the directory, or move it away to begin with nothing.`,
  )
}
