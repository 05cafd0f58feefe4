/**
 * The directory of an embedded store, and LMDB in it: made where it is missing, looked at before it is
 * trusted, and refused in a sentence that says what to do.
 */

import { Buffer } from 'node:buffer'
import { randomUUID } from 'node:crypto'
import { accessSync, constants, existsSync, mkdirSync, statSync } from 'node:fs'
import { join, resolve } from 'node:path'
import type { RootDatabase } from 'lmdb'
import { StoreError } from '../storage.ts'
import { checkDataFile, damaged } from './data-file.ts'
import { everything, metaKey } from './keys.ts'
import { RecordError, RecordReader, RecordWriter, sealRecord } from './record-fields.ts'

export type Database = RootDatabase<Buffer, Buffer>

export interface DatabaseOptions {
  /** Whether a commit waits for the disk. */
  readonly isSynced: boolean
  /** For tools that look while a broker has the directory. */
  readonly isReadOnly: boolean
}

/** Changes when what is stored can no longer be read by older programs. */
const FORMAT_VERSION = 1
const FORMAT = metaKey('format')

/** What LMDB's errors have as code: a number of the system, or one of its own below zero. */
const NO_SPACE = 28
const VERSION_MISMATCH = -30794

/** LMDB hands out what it reads in a buffer that it uses again, `length` long, unless it is large. */
interface HandedOut extends Buffer {
  readonly isGlobal?: boolean
}

/**
 * Keys and records are copied into memory that they share. As LMDB does it, each has an ArrayBuffer of its own,
 * which costs more than to read it: 1.2 us a message, and 0.5 with these, measured.
 */
const records = {
  encode: (record: Buffer): Buffer => record,
  decode: (bytes: HandedOut): Buffer =>
    bytes.isGlobal === true ? copyOf(bytes, 0, bytes.length) : bytes,
}

const keys = {
  writeKey(key: Buffer, target: Buffer, start: number): number {
    target.set(key, start)
    return start + key.length
  },
  readKey: copyOf,
}

function copyOf(bytes: Buffer, start: number, end: number): Buffer {
  const copy = Buffer.allocUnsafe(end - start)
  copy.set(new Uint8Array(bytes.buffer, bytes.byteOffset + start, end - start))
  return copy
}

/** Opens the store in `directory`, which exists. Rejects with `StoreError` where it cannot be used. */
export async function openDatabase(
  directory: string,
  { isSynced, isReadOnly }: DatabaseOptions,
): Promise<Database> {
  const file = join(directory, 'data.mdb')
  const { open } = await loadLmdb()
  // While a broker writes, its pages are none that we could look at without LMDB's help.
  if (!isReadOnly) checkDataFile(file)
  let database: Database
  try {
    database = open<Buffer, Buffer>({
      path: directory,
      noSubdir: false,
      encoding: 'binary',
      encoder: records,
      keyEncoder: keys,
      // With it a put would be reported before it is on the disk.
      overlappingSync: false,
      // We say ourselves what belongs together: a batch is one transaction.
      eventTurnBatching: false,
      noSync: !isSynced,
      readOnly: isReadOnly,
      maxDbs: 1,
    })
  } catch (cause) {
    throw cannotOpen(file, cause as Error & { code?: number })
  }
  try {
    await checkFormat(database, file, isReadOnly)
  } catch (error) {
    await database.close()
    throw error
  }
  return database
}

/** The directory that a `store.url` of this kind names. */
export function directoryOf(url: string): string {
  const path = url.slice(url.indexOf(':') + 1)
  if (path.startsWith('//')) {
    throw new StoreError(
      'unusable',
      `store.url is "${url}": write disk:${path.slice(1)} for that place on the disk, disk:${path.slice(2)} for one below the present directory.`,
    )
  }
  if (path !== '') return resolve(path)
  throw new StoreError('unusable', `store.url is "${url}": name a directory behind the colon.`)
}

/** Makes the directory, for us alone to read, and sees that it can be written. */
export function prepareDirectory(directory: string): void {
  try {
    mkdirSync(directory, { recursive: true, mode: 0o700 })
    accessSync(directory, constants.R_OK | constants.W_OK | constants.X_OK)
    const file = join(directory, 'data.mdb')
    if (existsSync(file)) accessSync(file, constants.R_OK | constants.W_OK)
  } catch (cause) {
    const { code, message, path } = cause as NodeJS.ErrnoException
    const user = process.getuid === undefined ? '' : ` by user ${process.getuid()}`
    throw new StoreError(
      code === 'ENOSPC' ? 'full' : 'unusable',
      `The store's directory ${directory} cannot be made or written${user} (${reasonOf(code, path, message)}): give that user the right to it, or name another directory in store.url.`,
      { cause },
    )
  }
}

/** Whether there is a store to read. */
export function assertStoreIn(directory: string): void {
  const file = join(directory, 'data.mdb')
  let why = `${file} is empty`
  try {
    if (statSync(file).size > 0) return
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    why = code === 'ENOENT' ? `${file} does not exist` : message
  }
  throw new StoreError('unusable', `There is no store in ${directory} that could be read: ${why}.`)
}

function reasonOf(code: string | undefined, path: string | undefined, message: string): string {
  if (code === 'EEXIST' || code === 'ENOTDIR') return `${path ?? 'a part of it'} is a file`
  return message
}

async function loadLmdb(): Promise<typeof import('lmdb')> {
  try {
    return await import('lmdb')
  } catch (cause) {
    throw new StoreError(
      'unusable',
      `A store on disk needs the package lmdb, which is not there or not made for this machine (${(cause as Error).message}): run "npm install lmdb", or choose another store in store.url.`,
      { cause },
    )
  }
}

function cannotOpen(file: string, cause: Error & { code?: number }): StoreError {
  if (cause.code === NO_SPACE) {
    return new StoreError('full', `There is no room to open the store ${file}: free some.`, {
      cause,
    })
  }
  const what =
    cause.code === VERSION_MISMATCH ? 'is of another version of LMDB' : `cannot be opened`
  return new StoreError(
    'unusable',
    `The store ${file} ${what} (${cause.message}): put back a copy of the directory, or move it away to begin with nothing.`,
    { cause },
  )
}

async function checkFormat(database: Database, file: string, isReadOnly: boolean): Promise<void> {
  const record = database.getBinary(FORMAT)
  if (record === undefined) {
    const isFresh = database.getKeysCount(everything(1)) === 0
    if (isFresh && !isReadOnly) {
      const fresh = new RecordWriter().byte(FORMAT_VERSION).text(randomUUID()).finish()
      sealRecord(FORMAT, fresh)
      await database.put(FORMAT, fresh)
      return
    }
    throw new StoreError(
      'unusable',
      `${file} is not a store of this broker: name another directory in store.url.`,
    )
  }
  const version = formatOf(record, file)
  if (version <= FORMAT_VERSION) return
  throw new StoreError(
    'unusable',
    `The store ${file} is of format ${version}, and this broker knows formats up to ${FORMAT_VERSION}: start the newer broker that wrote it.`,
  )
}

function formatOf(record: Buffer, file: string): number {
  try {
    return new RecordReader(FORMAT, record).byte()
  } catch (cause) {
    if (!(cause instanceof RecordError)) throw cause
    throw damaged(file, cause.message)
  }
}
