/**
 * The files of a listener with TLS, live: other certificates are served as soon as all files fit together, and
 * until then the old ones; connections stay. Pre-shared keys are in force as soon as they are written.
 */

import { LiveFile } from '../security/live-file.ts'
import { PskIdentities } from '../security/psk-identities.ts'
import type { TlsListener, TlsOptions } from '../transport/tls.ts'
import type { Clock } from '../util/clock.ts'
import type { Logger } from '../util/logger.ts'
import { WatchedFile } from '../util/watched-file.ts'
import {
  areSame,
  credentialFiles,
  type EncryptedListener,
  type ReadCredentials,
  readCredentials,
} from './credentials.ts'

/** Whoever changes one file may be about to change the next. */
const FILES_REST_MS: number = 200

export interface EncryptionParts {
  readonly clock: Clock
  readonly log: Logger
  /** Other certificates are in force. */
  readonly certificatesChanged: () => void
  /** These identities of that listener are gone, or have another key. */
  readonly identitiesChanged: (listener: string, identities: ReadonlySet<string>) => void
}

type EncryptionOptions = Pick<
  TlsOptions,
  'credentials' | 'requestCert' | 'requireCert' | 'userNameFrom' | 'preSharedKeys'
>

export class LiveEncryption {
  readonly #configuration: EncryptedListener
  readonly #parts: EncryptionParts
  readonly #identities = new PskIdentities()
  readonly #keys: LiveFile | undefined
  readonly #files: readonly WatchedFile[]
  #inForce: ReadCredentials
  #listener: TlsListener | undefined
  /** Complaints are told once. */
  #complaint = ''
  #cancelLook: (() => void) | undefined
  #isClosed = false

  /**
   * Reads all files and begins to watch them. Rejects with a `ListenError` if the certificates, with a
   * `ConfigurationError` if the pre-shared keys cannot be used.
   */
  static async open(
    configuration: EncryptedListener,
    parts: EncryptionParts,
  ): Promise<LiveEncryption> {
    const encryption = new LiveEncryption(
      configuration,
      parts,
      await readCredentials(configuration),
    )
    try {
      await encryption.#keys?.open()
      await Promise.all(encryption.#files.map((file) => file.open()))
    } catch (error) {
      encryption.close()
      throw error
    }
    return encryption
  }

  private constructor(
    configuration: EncryptedListener,
    parts: EncryptionParts,
    inForce: ReadCredentials,
  ) {
    this.#configuration = configuration
    this.#parts = parts
    this.#inForce = inForce
    const events = { changed: () => this.#lookSoon(), failed: () => this.#lookSoon() }
    const paths = credentialFiles.flatMap((option) => configuration[option] ?? [])
    this.#files = paths.map((path) => new WatchedFile(path, parts.clock, events))
    const { pskFile } = configuration
    this.#keys = pskFile === undefined ? undefined : this.#keyFile(pskFile)
  }

  /** What the listener is opened with. */
  get options(): EncryptionOptions {
    const { requestClientCertificate, userNameFromCertificate, pskHint } = this.#configuration
    const keyOf = (identity: string) => this.#identities.keyOf(identity)
    return {
      credentials: this.#inForce.credentials,
      requestCert: requestClientCertificate !== 'no',
      requireCert: requestClientCertificate === 'required',
      ...(userNameFromCertificate !== 'no' && { userNameFrom: userNameFromCertificate }),
      ...(this.#keys !== undefined && { preSharedKeys: { hint: pskHint, keyOf } }),
    }
  }

  get ends(): ReadCredentials['ends'] {
    return this.#inForce.ends
  }

  /** From now on `listener` is given what changes. */
  serve(listener: TlsListener): void {
    this.#listener = listener
    this.#lookSoon() // They may have changed since they were read.
  }

  /** Reads all again and returns what puts it in force; rejects with a `ListenError` if it cannot be used. */
  async prepare(): Promise<() => void> {
    const read = await readCredentials(this.#configuration)
    await this.#keys?.check()
    return () => this.#use(read)
  }

  close(): void {
    this.#isClosed = true
    this.#cancelLook?.()
    this.#keys?.close()
    for (const file of this.#files) file.close()
  }

  #keyFile(path: string): LiveFile {
    const { name } = this.#configuration
    const { clock, log, identitiesChanged } = this.#parts
    return new LiveFile({
      option: 'pskFile',
      path,
      hint: 'A line of it is IDENTITY:HEXKEY',
      use: (text) => {
        identitiesChanged(name, this.#identities.use(text))
        const { weakCount } = this.#identities
        if (weakCount === 0) return
        const rule = `${weakCount} keys have less than 16 bytes`
        log.warn({ listener: name, option: 'pskFile', rule }, 'who listens can guess short keys')
      },
      clock,
      log,
    })
  }

  #lookSoon(): void {
    if (this.#isClosed) return
    this.#cancelLook?.()
    this.#cancelLook = this.#parts.clock.after(FILES_REST_MS, () => void this.#look())
  }

  async #look(): Promise<void> {
    const { name } = this.#configuration
    try {
      const read = await readCredentials(this.#configuration)
      this.#complaint = ''
      if (this.#isClosed || areSame(read.credentials, this.#inForce.credentials)) return
      this.#use(read)
      this.#parts.log.info({ listener: name }, 'changed certificates are in force')
    } catch (error) {
      const { message } = error as Error
      if (message === this.#complaint) return
      this.#complaint = message
      this.#parts.log.error(
        { listener: name, rule: message },
        'changed certificates cannot be used: the old ones stay',
      )
    }
  }

  #use(read: ReadCredentials): void {
    if (areSame(read.credentials, this.#inForce.credentials)) return
    this.#listener?.reload(read.credentials)
    this.#inForce = read
    this.#parts.certificatesChanged()
  }
}
