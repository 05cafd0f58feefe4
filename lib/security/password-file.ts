/**
 * The text of a password file: one `USER:HASH` a line, comments after `#`, as Mosquitto has it. Reading
 * and changing it; who reads the file itself, and when, is `password-source.ts`.
 */

import { loadArgon2, type VerifyArgon2 } from './argon2.ts'
import { FileProblem } from './file-problem.ts'
import { isArgon2, type PasswordHash, parsePasswordHash } from './password-hash.ts'

/** No client can name a longer user: a string of MQTT has at most so many bytes. */
const USER_NAME_LENGTH_MAX = 65_535

export type Users = ReadonlyMap<string, PasswordHash>

/** Understands a whole file. Rejects with a `FileProblem` that names the first wrong line. */
export async function parsePasswordFile(
  text: string,
  load: () => Promise<VerifyArgon2> = loadArgon2,
): Promise<Users> {
  const users = new Map<string, PasswordHash>()
  let verifyArgon2: VerifyArgon2 | undefined
  for (const [index, line] of linesOf(text).entries()) {
    const entry = splitLine(line)
    if (entry === undefined) continue
    try {
      if (entry.userName === undefined) throw new Error('not USER:HASH')
      if (users.has(entry.userName)) throw new Error(`${quoted(entry.userName)} stands there twice`)
      if (isArgon2(entry.hash)) verifyArgon2 ??= await load()
      users.set(entry.userName, parsePasswordHash(entry.hash, verifyArgon2))
    } catch (error) {
      throw new FileProblem(index + 1, (error as Error).message)
    }
  }
  return users
}

/** The user names of a file, in its order; lines that are wrong are left out. */
export function userNamesIn(text: string): string[] {
  return linesOf(text).flatMap((line) => splitLine(line)?.userName ?? [])
}

/** Returns the text with that hash for a user: in its line, or in a new last one. */
export function withUser(text: string, userName: string, hash: string): string {
  const entry = `${userName}:${hash}`
  const lines = linesOf(text)
  const at = lines.findIndex((line) => splitLine(line)?.userName === userName)
  return joinLines(at === -1 ? [...lines, entry] : lines.with(at, entry))
}

/** Returns the text without a user. */
export function withoutUser(text: string, userName: string): string {
  return joinLines(linesOf(text).filter((line) => splitLine(line)?.userName !== userName))
}

/** Why a user cannot have that name; undefined: it can. */
export function findUserNameFault(userName: string): string | undefined {
  if (userName === '') return 'it is empty'
  if (userName.length > USER_NAME_LENGTH_MAX) return 'no client can send so long a name'
  if (userName.includes(':')) return 'a colon would end it in the file'
  if (userName.startsWith('#')) return 'a line that begins with # is a comment'
  if (/\p{Cc}/u.test(userName)) return 'it has control characters'
  if (userName.trim() !== userName) return 'it begins or ends with a space'
  return undefined
}

function splitLine(line: string): { userName: string | undefined; hash: string } | undefined {
  if (line.trim() === '' || line.startsWith('#')) return undefined
  const colon = line.indexOf(':')
  if (colon < 1) return { userName: undefined, hash: '' }
  return { userName: line.slice(0, colon), hash: line.slice(colon + 1).trim() }
}

function linesOf(text: string): string[] {
  return text === '' ? [] : text.replace(/\r?\n$/, '').split(/\r?\n/)
}

function joinLines(lines: readonly string[]): string {
  return lines.map((line) => `${line}\n`).join('')
}

function quoted(name: string): string {
  return JSON.stringify(name.slice(0, 64))
}
