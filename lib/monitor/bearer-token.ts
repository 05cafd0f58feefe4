/** The token that whoever reads metrics has to send (RFC 6750), out of a file that may change. */

import { Buffer } from 'node:buffer'
import { createHash, timingSafeEqual } from 'node:crypto'
import { FileProblem } from '../security/file-problem.ts'
import { LiveFile } from '../security/live-file.ts'
import type { Clock } from '../util/clock.ts'
import type { Logger } from '../util/logger.ts'

export class BearerToken {
  readonly #file: LiveFile
  /** Of equal length whatever is compared, so that the time of a comparison tells nothing. */
  #digest: Buffer = Buffer.alloc(0)

  constructor(path: string, clock: Clock, log: Logger) {
    this.#file = new LiveFile({
      option: 'monitor.metrics.tokenFile',
      path,
      hint: 'openssl rand -hex 32 prints a token for it',
      use: (text) => this.#use(text),
      clock,
      log,
    })
  }

  /** Rejects with a `ConfigurationError` if the file cannot be used. */
  open(): Promise<void> {
    return this.#file.open()
  }

  /** Looks at once whether the file has changed. */
  check(): Promise<void> {
    return this.#file.check()
  }

  close(): void {
    this.#file.close()
  }

  /** Whether a header `Authorization` has it. */
  isIn(authorization: string | undefined): boolean {
    const [, token] = /^bearer +([^ ]+) *$/i.exec(authorization ?? '') ?? []
    return token !== undefined && timingSafeEqual(digestOf(token), this.#digest)
  }

  #use(text: string): void {
    const token = text.trim()
    if (token === '') throw new FileProblem(0, 'it is empty, and should have a token')
    // What a header can carry: anything else could never be sent.
    if (!/^[\x21-\x7e]+$/.test(token)) {
      throw new FileProblem(0, 'a token is one word of letters, digits and signs of ASCII')
    }
    this.#digest = digestOf(token)
  }
}

function digestOf(token: string): Buffer {
  return createHash('sha256').update(token).digest()
}
