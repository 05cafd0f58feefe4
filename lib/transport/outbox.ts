/**
 * The write buffer of a connection: gathers what a turn of the event loop produces and hands it to the
 * transport in one write, when the turn ends or 64 KiB have come together.
 *
 * Ownership: a transport owns what it was given, so a written region is never touched again. All outboxes
 * of a `Flusher` carve their regions out of one slab, one behind the other; a full slab is left to the
 * garbage collector. An outbox has a region only between its first byte of a turn and its flush:
 *
 *     slab  | written, of A | written, of B | A's region: start..end..limit | free |
 *
 * Packets that stand one behind the other where they came in, as those of one publisher do, are copied
 * together, ahead of their turn: behind `end` stands what probably comes next. Those that leave as they came
 * are a *piece* of where they came in. It is written as a view, one for all who get the same, if it is all
 * that there is to write or large; between other things it is copied.
 *
 * A view keeps its whole slab alive. A transport that is already blocked may keep it for long, so it gets a
 * copy of its own size instead; a transport that blocks on a view pins one slab at most. A piece is a view
 * only if it is most of the memory that it keeps alive.
 */

import { Buffer } from 'node:buffer'
import type { MemoryBudget } from '../util/memory-budget.ts'
import { FLUSH_BYTES, type Flusher } from './flusher.ts'
import { copyWords, SMALL_COPY_BYTES_MAX } from './small-copy.ts'
import type { Transport } from './transport.ts'

/** Pieces from this size on are not copied for what stands before or behind them. */
export const REFERENCE_MIN_BYTES: number = 16 * 1024

/**
 * Least size of a region. Small, since a message for thousands of receivers opens as many regions; one
 * that fills grows in place if it is the last of the slab, else it moves to twice the size.
 */
const REGION_BYTES = 512

/**
 * A region begins with room for what was written last, and the first packet of a row is copied with what probably
 * follows, but for no more than this: what comes in one chunk mostly is no more, and a message for thousands of
 * receivers begins as many in one turn.
 */
const AHEAD_BYTES_MAX = 2048

const NO_BLOCK = Buffer.alloc(0)

export class Outbox {
  readonly #transport: Transport
  readonly #flusher: Flusher
  readonly #budget: MemoryBudget | undefined
  #block: Buffer
  /** The block as words, if it is a slab. */
  #words: DataView | undefined
  #start: number
  #end: number
  #limit: number
  /** How many bytes of a region were written last. */
  #lastBytes: number
  /** The flusher will call `flush` when the turn ends. */
  #isListed: boolean
  /** What the transport has not taken, as far as the budget knows. */
  #heldBytes: number
  /** Where the bytes behind `end` were copied from, if any were: `source` from `sourceAt` to `sourceEnd`. */
  #source: Buffer | undefined
  #sourceAt: number
  #sourceEnd: number
  /** How many bytes of `source` were appended one behind the other, and of what was the source before. */
  #runBytes: number
  #lastRunBytes: number
  /** The piece behind what was gathered: `piece` from `pieceStart` to `pieceEnd`. There is no `source` then. */
  #piece: Buffer | undefined
  #pieceStart: number
  #pieceEnd: number

  /** What the transport does not take counts in `budget`, if there is one. */
  constructor(transport: Transport, flusher: Flusher, budget?: MemoryBudget) {
    this.#transport = transport
    this.#flusher = flusher
    this.#budget = budget
    this.#block = NO_BLOCK
    this.#words = undefined
    this.#start = 0
    this.#end = 0
    this.#limit = 0
    this.#lastBytes = 0
    this.#isListed = false
    this.#heldBytes = 0
    this.#source = undefined
    this.#sourceAt = 0
    this.#sourceEnd = 0
    this.#runBytes = 0
    this.#lastRunBytes = 0
    this.#piece = undefined
    this.#pieceStart = 0
    this.#pieceEnd = 0
  }

  /** Where the last `reserve` made room. Changes with every call of the outbox. */
  get block(): Buffer {
    return this.#block
  }

  /** Bytes gathered, and bytes the transport has not got rid of. */
  get pendingBytes(): number {
    const gathered = this.#end - this.#start + this.#pieceEnd - this.#pieceStart
    return gathered + this.#transport.pendingBytes
  }

  /**
   * What the socket has not taken. Drop policies look at this, never at what it was not yet offered, and
   * compare it with a limit above `FLUSH_BYTES`: TLS takes what it is given only when the turn ends.
   */
  get blockedBytes(): number {
    return this.#transport.pendingBytes
  }

  /**
   * Sends `bytes` from `start` to `end` as they are: they must never change afterwards. A large one is written
   * at once, so that the next is judged by what the socket has taken of it.
   */
  append(bytes: Buffer, start: number, end: number): void {
    const isNext = bytes === this.#piece && start === this.#pieceEnd
    if (isNext && end - this.#pieceStart <= FLUSH_BYTES) this.#pieceEnd = end
    else this.#beginPiece(bytes, start, end)
  }

  #beginPiece(bytes: Buffer, start: number, end: number): void {
    if (start === end) return
    if (this.#piece !== undefined) this.#endPiece(false)
    if (this.#end - this.#start + end - start > FLUSH_BYTES) this.#flushGathered()
    this.#list()
    this.#source = undefined
    this.#piece = bytes
    this.#pieceStart = start
    this.#pieceEnd = end
    if (end - start >= REFERENCE_MIN_BYTES) this.flush()
  }

  /** Writes the piece, or copies it to what was gathered; `isLast`: nothing comes behind it. */
  #endPiece(isLast: boolean): void {
    const piece = this.#piece!
    const start = this.#pieceStart
    const end = this.#pieceEnd
    this.#piece = undefined
    this.#pieceStart = 0
    this.#pieceEnd = 0
    const isAlone = isLast && this.#end === this.#start
    const isView = isAlone || end - start >= REFERENCE_MIN_BYTES
    if (isView && 2 * (end - start) >= piece.buffer.byteLength) {
      this.#flushGathered()
      this.#write(this.#flusher.viewOf(piece, start, end))
    } else {
      this.copy(piece, start, end)
    }
  }

  /**
   * Copies `bytes` from `start` to `end`, and returns where they stand in `block`: the caller may change
   * them before anything else is done with the outbox.
   */
  copy(bytes: Buffer, start: number, end: number): number {
    const at = this.reserve(end - start)
    const target = end - start <= SMALL_COPY_BYTES_MAX ? this.#words : undefined
    const source = target && this.#flusher.wordsAgain(bytes)
    if (target === undefined || source === undefined) bytes.copy(this.#block, at, start, end)
    else copyWords(source, start, end, target, at)
    return at
  }

  /** As `copy`, for `bytes` that never change: what stands one behind the other is copied together. */
  take(bytes: Buffer, start: number, end: number): number {
    if (bytes !== this.#source || start !== this.#sourceAt || end > this.#sourceEnd)
      this.#copyAhead(bytes, start, end)
    const at = this.#end
    this.#end = at + end - start
    this.#sourceAt = end
    this.#runBytes += end - start
    return at
  }

  /**
   * Copies at least `bytes` from `start` to `end`, and as much behind it as came in a row before it. The first of a
   * row expects as much as there was in the last one.
   */
  #copyAhead(bytes: Buffer, start: number, end: number): void {
    if (this.#piece !== undefined) this.#endPiece(false)
    const isNext = bytes === this.#source && start === this.#sourceAt
    if (!isNext) {
      this.#lastRunBytes = Math.min(this.#runBytes, AHEAD_BYTES_MAX)
      this.#runBytes = 0
    }
    const used = this.#end - this.#start
    const wanted = isNext ? end - start + this.#runBytes : Math.max(end - start, this.#lastRunBytes)
    let size = Math.min(wanted, bytes.length - start)
    if (used + size > FLUSH_BYTES) size = end - start
    if (this.#end + size > this.#limit) this.#makeRoom(size)
    bytes.copy(this.#block, this.#end, start, start + size)
    this.#source = bytes
    this.#sourceEnd = start + size
  }

  /**
   * Makes room for `size` bytes and returns where in `block` the caller writes all of them, before
   * anything else is done with the outbox.
   */
  reserve(size: number): number {
    if (this.#piece !== undefined) this.#endPiece(false)
    this.#source = undefined
    let at = this.#end
    if (at + size > this.#limit) {
      this.#makeRoom(size)
      at = this.#end
    }
    this.#end = at + size
    return at
  }

  /** Writes everything there is. Does nothing if that is nothing. */
  flush(): void {
    if (this.#piece !== undefined) this.#endPiece(true)
    this.#flushGathered()
  }

  #flushGathered(): void {
    const block = this.#block
    const start = this.#start
    const end = this.#end
    const limit = this.#limit
    if (end === start) return
    this.#lastBytes = end - start
    this.#block = NO_BLOCK
    this.#words = undefined
    this.#start = 0
    this.#end = 0
    this.#limit = 0
    this.#source = undefined
    const isBlocked = this.#transport.pendingBytes > 0 && block.length > end - start
    this.#flusher.giveBack(block, isBlocked ? start : end, limit)
    this.#write(isBlocked ? copyOf(block, start, end) : block.subarray(start, end))
  }

  #write(bytes: Buffer): void {
    this.#transport.write(bytes)
    this.noteBlocked()
  }

  /** Tells the budget what the transport has not taken; to be called when the transport has drained. */
  noteBlocked(): void {
    const blocked = this.#transport.pendingBytes
    if (blocked === this.#heldBytes) return
    this.#budget?.hold(blocked - this.#heldBytes)
    this.#heldBytes = blocked
  }

  /** Writes what was gathered for the last time; what the transport still has counts no more. */
  close(): void {
    this.flush()
    this.#budget?.release(this.#heldBytes)
    this.#heldBytes = 0
  }

  /** Called by the flusher alone. */
  endTurn(): void {
    this.#isListed = false
    this.flush()
  }

  /** Sees that it is flushed when the turn ends. */
  #list(): void {
    if (this.#isListed) return
    this.#isListed = true
    this.#flusher.add(this)
  }

  #makeRoom(size: number): void {
    if (this.#end - this.#start + size > FLUSH_BYTES) this.#flushGathered()
    this.#list()
    const used = this.#end - this.#start
    const needed = used + size
    if (needed > FLUSH_BYTES) {
      this.#use(Buffer.allocUnsafeSlow(needed), undefined, 0, needed)
      return
    }
    const flusher = this.#flusher
    const expected = Math.min(this.#lastBytes, AHEAD_BYTES_MAX)
    const wanted = Math.max(needed, 2 * used, REGION_BYTES, expected)
    if (flusher.extend(this.#block, this.#limit, this.#start + needed, this.#start + wanted)) {
      this.#limit = flusher.slabUsed
    } else {
      const start = flusher.carve(needed, wanted)
      this.#use(flusher.slab, flusher.slabWords, start, flusher.slabUsed)
    }
  }

  /** Moves what was gathered to another region. */
  #use(block: Buffer, words: DataView | undefined, start: number, limit: number): void {
    const used = this.#block.copy(block, start, this.#start, this.#end)
    this.#block = block
    this.#words = words
    this.#start = start
    this.#end = start + used
    this.#limit = limit
  }
}

function copyOf(bytes: Buffer, start: number, end: number): Buffer {
  const copy = Buffer.allocUnsafeSlow(end - start)
  bytes.copy(copy, 0, start, end)
  return copy
}
