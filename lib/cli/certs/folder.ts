/** The folder of `noctule certs`: an authority, a server, devices by their names, and who is revoked. */

import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileSentence } from '../../util/file-sentence.ts'
import { CommandFailure } from '../failures.ts'
import { Authority, type KeyAndCertificate } from './authority.ts'

export const AUTHORITY = 'ca'
export const SERVER = 'server'
const REVOCATIONS = 'ca.crl'

const KEY_MODE = 0o600
const CERTIFICATE_MODE = 0o644
const FOLDER_MODE = 0o700
/** What a file is in while it is written. */
const BESIDE = '.new'

export class CertificateFolder {
  readonly path: string

  constructor(path: string) {
    this.path = path
  }

  keyFile(name: string): string {
    return join(this.path, `${name}.key`)
  }

  certificateFile(name: string): string {
    return join(this.path, `${name}.crt`)
  }

  get revocationFile(): string {
    return join(this.path, REVOCATIONS)
  }

  /** Throws a sentence if there are files of one of these names, unless it is said to replace them. */
  assertFree(names: readonly string[], mayReplace: boolean): void {
    if (mayReplace) return
    const files = names.flatMap((name) => [this.keyFile(name), this.certificateFile(name)])
    const found = files.find((file) => existsSync(file))
    if (found === undefined) return
    throw new CommandFailure(`${found} is there already; --force replaces it.`)
  }

  /** Key and certificate are replaced one after the other: a broker that watches them waits for both. */
  write(name: string, { key, certificate }: KeyAndCertificate): void {
    put(this.keyFile(name), key, KEY_MODE)
    put(this.certificateFile(name), certificate, CERTIFICATE_MODE)
  }

  writeRevocations(list: string): void {
    put(this.revocationFile, list, CERTIFICATE_MODE)
  }

  /** Undefined if there is no such file. */
  readRevocations(): string | undefined {
    return existsSync(this.revocationFile) ? read(this.revocationFile) : undefined
  }

  readCertificate(name: string): string {
    return read(this.certificateFile(name))
  }

  async authority(): Promise<Authority> {
    const certificateFile = this.certificateFile(AUTHORITY)
    if (!existsSync(certificateFile)) {
      throw new CommandFailure(
        `There is no authority in ${this.path}: noctule certs init makes one, --dir names another folder.`,
      )
    }
    const pair = { key: read(this.keyFile(AUTHORITY)), certificate: read(certificateFile) }
    try {
      return await Authority.from(pair)
    } catch (error) {
      if (error instanceof CommandFailure) throw error
      throw new CommandFailure(
        `The authority ${certificateFile} cannot be used: ${(error as Error).message}.`,
      )
    }
  }
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    throw new CommandFailure(
      `Cannot read ${path}: ${fileSentence(error as NodeJS.ErrnoException)}.`,
    )
  }
}

/** Whoever reads it finds the old file or the new one, never a part; a key is never readable for others. */
function put(path: string, text: string, mode: number): void {
  try {
    mkdirSync(join(path, '..'), { recursive: true, mode: FOLDER_MODE })
    writeFileSync(`${path}${BESIDE}`, text, { mode, flush: true })
    renameSync(`${path}${BESIDE}`, path)
  } catch (error) {
    throw new CommandFailure(`Cannot write ${path}: ${(error as Error).message}.`)
  }
}
