/**
 * A file of rules or users in force: a new text replaces the old one as soon as it can be used as a whole;
 * until then the last good one stays, and the log says once which line is wrong.
 */

import { ConfigurationError, wrongFile } from '../config/problems.ts'
import type { Clock } from '../util/clock.ts'
import type { Logger } from '../util/logger.ts'
import { WatchedFile } from '../util/watched-file.ts'
import { FileProblem } from './file-problem.ts'

export interface LiveFileParts {
  /** `security.aclFile`: for whoever has to correct it. */
  readonly option: string
  readonly path: string
  /** What to do if there is no such file. */
  readonly hint: string
  /** Takes a text into force, or throws a `FileProblem` and changes nothing. */
  readonly use: (text: string) => void | Promise<void>
  readonly clock: Clock
  readonly log: Logger
}

export class LiveFile {
  readonly #parts: LiveFileParts
  readonly #file: WatchedFile

  constructor(parts: LiveFileParts) {
    this.#parts = parts
    this.#file = new WatchedFile(parts.path, parts.clock, {
      changed: (text) => this.#change(text),
      failed: (sentence) => this.#complain(`${parts.path}: ${sentence}`),
    })
  }

  /** Rejects with a `ConfigurationError` if the file cannot be used. */
  async open(): Promise<void> {
    const { option, path, hint, use } = this.#parts
    let text: string
    try {
      text = await this.#file.open()
    } catch (error) {
      const found = `cannot be read: ${(error as Error).message}. ${hint}`
      throw new ConfigurationError([wrongFile(`${option} ${path}`, 'a file', found)])
    }
    try {
      await use(text)
    } catch (error) {
      this.close()
      if (!(error instanceof FileProblem)) throw error
      const where = error.line > 0 ? `${path}:${error.line}` : path
      throw new ConfigurationError([wrongFile(where, 'a line that can be used', error.message)])
    }
  }

  /** Looks at once whether it has changed. */
  check(): Promise<void> {
    return this.#file.check()
  }

  close(): void {
    this.#file.close()
  }

  async #change(text: string): Promise<void> {
    const { path, log, use, option } = this.#parts
    try {
      await use(text)
      log.info({ option, file: path }, 'a changed file is in force')
    } catch (error) {
      if (!(error instanceof FileProblem)) throw error
      this.#complain(error.at(path))
    }
  }

  #complain(rule: string): void {
    const { option, log } = this.#parts
    log.error({ option, rule }, 'a changed file cannot be used: what was in force before stays')
  }
}
