/** Where users are kept that `noctule user` changes: in a password file, or in Redis. */

import { findUserNameFault, userNamesIn, withoutUser, withUser } from '../security/password-file.ts'
import { findAccountNameFault } from '../security/redis/account.ts'
import type { Administration } from '../security/redis/administration.ts'
import { CommandFailure, UsageError } from './failures.ts'
import { assertRolesExist } from './role-names.ts'
import { changeUserFile, readUserFile } from './user-file.ts'

export interface UserPlace {
  /** For people: the file, or the Redis. */
  readonly name: string
  /** Makes a user; `makeHash` asks for the password once it is known that there is none of that name. */
  add(userName: string, roles: readonly string[], makeHash: () => Promise<string>): Promise<void>
  setPassword(userName: string, makeHash: () => Promise<string>): Promise<void>
  remove(userName: string): Promise<void>
  list(): AsyncIterable<string>
}

export class UsersInFile implements UserPlace {
  readonly name: string

  constructor(path: string) {
    this.name = path
  }

  async add(
    userName: string,
    roles: readonly string[],
    makeHash: () => Promise<string>,
  ): Promise<void> {
    if (roles.length > 0) {
      throw new UsageError(
        'Roles are for users in Redis (--redis); for others the ACL file says who has a role',
      )
    }
    assertPossible(findUserNameFault(userName))
    await this.#setHash(userName, makeHash, (text = '') => {
      if (userNamesIn(text).includes(userName)) throw alreadyThere(userName, this.name)
    })
  }

  setPassword(userName: string, makeHash: () => Promise<string>): Promise<void> {
    return this.#setHash(userName, makeHash, (text) => this.#assertKnown(text, userName))
  }

  async remove(userName: string): Promise<void> {
    this.#assertKnown(readUserFile(this.name), userName)
    changeUserFile(this.name, (text) => withoutUser(text, userName))
  }

  async *list(): AsyncIterable<string> {
    const text = readUserFile(this.name)
    if (text === undefined) throw this.#noFile()
    yield* userNamesIn(text)
  }

  /** `assertFits` judges the file: before anybody is asked for a password, and once more as it is changed. */
  async #setHash(
    userName: string,
    makeHash: () => Promise<string>,
    assertFits: (text: string | undefined) => void,
  ): Promise<void> {
    assertFits(readUserFile(this.name))
    const hash = await makeHash()
    changeUserFile(this.name, (text) => {
      assertFits(text)
      return withUser(text, userName, hash)
    })
  }

  #assertKnown(text: string | undefined, userName: string): void {
    if (text === undefined) throw this.#noFile()
    if (!userNamesIn(text).includes(userName)) throw notThere(userName, this.name)
  }

  #noFile(): CommandFailure {
    return new CommandFailure(`There is no file ${this.name}: noctule user add makes it.`)
  }
}

export class UsersInRedis implements UserPlace {
  readonly name: string
  readonly #administration: Administration

  constructor(administration: Administration) {
    this.name = administration.place
    this.#administration = administration
  }

  async add(
    userName: string,
    roles: readonly string[],
    makeHash: () => Promise<string>,
  ): Promise<void> {
    assertPossible(findAccountNameFault(userName))
    await assertRolesExist(this.#administration, roles)
    if (await this.#administration.hasAccount(userName)) throw alreadyThere(userName, this.name)
    const password = await this.#hashOf(makeHash)
    await this.#administration.changeAccount(userName, 'credentials', (_, isThere) => {
      if (isThere) throw alreadyThere(userName, this.name)
      return { password, roles, enabled: true }
    })
  }

  /** What cannot be understood is written anew. */
  async setPassword(userName: string, makeHash: () => Promise<string>): Promise<void> {
    const assertKnown = (isThere: boolean) => {
      if (!isThere) throw notThere(userName, this.name)
    }
    assertKnown(await this.#administration.hasAccount(userName))
    const password = await this.#hashOf(makeHash)
    await this.#administration.changeAccount(userName, 'credentials', (record, isThere) => {
      assertKnown(isThere)
      return { roles: [], enabled: true, ...record, password }
    })
  }

  remove(userName: string): Promise<void> {
    return this.#administration.changeAccount(userName, 'credentials', (_, isThere) => {
      if (!isThere) throw notThere(userName, this.name)
      return undefined
    })
  }

  async *list(): AsyncIterable<string> {
    for await (const [userName] of this.#administration.accounts()) yield userName
  }

  async #hashOf(makeHash: () => Promise<string>): Promise<string> {
    const hash = await makeHash()
    await this.#administration.ensureDecoy(hash)
    return hash
  }
}

export function notThere(userName: string, place: string): CommandFailure {
  return new CommandFailure(
    `There is no user ${JSON.stringify(userName)} in ${place}: noctule user list names them.`,
  )
}

function alreadyThere(userName: string, place: string): CommandFailure {
  return new CommandFailure(
    `There is a user ${JSON.stringify(userName)} in ${place} already: noctule user passwd sets a new password.`,
  )
}

function assertPossible(fault: string | undefined): void {
  if (fault !== undefined) throw new UsageError(`No user can have that name: ${fault}`)
}
