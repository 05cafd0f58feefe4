/** The messages of SCRAM as text (RFC 5802, section 7), without channel binding. */

import { Buffer, isUtf8 } from 'node:buffer'

/** A nonce, a name, a proof: what is longer is no honest message. */
export const MESSAGE_BYTES_MAX: number = 4096
const NONCE_LENGTH_MIN = 8

const FIRST =
  /^(?<header>(?<binding>n|y|p=[\w.-]+),(?:a=(?<authzid>[^,]*))?,)(?<bare>(?<mandatory>m=[^,]*,)?n=(?<name>[^,]*),r=(?<nonce>[!-+\--~]+)(?:,.*)?)$/su
const FINAL =
  /^(?<unproven>c=(?<binding>[\w+/=]+),r=(?<nonce>[!-+\--~]+)(?:,[A-Za-z]=[^,]*)*),p=(?<proof>[A-Za-z0-9+/]+={0,2})$/su

/** `server-error-value` of RFC 5802, those that are used. */
export type ScramErrorCode =
  | 'invalid-encoding'
  | 'extensions-not-supported'
  | 'invalid-proof'
  | 'channel-bindings-dont-match'
  | 'channel-binding-not-supported'
  | 'no-resources'
  | 'invalid-username-encoding'
  | 'other-error'

/** An exchange that fails: what the client is told as `e=…`, and a sentence. */
export class ScramError extends Error {
  override readonly name = 'ScramError'
  readonly code: ScramErrorCode

  constructor(code: ScramErrorCode, sentence: string) {
    super(sentence)
    this.code = code
  }
}

export interface ClientFirst {
  /** As it came: to be repeated in `c=`. */
  readonly header: string
  /** Without the header: a part of what is signed. */
  readonly bare: string
  readonly userName: string
  readonly nonce: string
}

export interface ClientFinal {
  /** Without the proof: a part of what is signed. */
  readonly unproven: string
  readonly header: string
  readonly nonce: string
  readonly proof: Buffer
}

/** Throws `ScramError`. */
export function parseClientFirst(data: Buffer | undefined): ClientFirst {
  if (data === undefined)
    throw malformed('CONNECT or AUTH has no Authentication Data to begin with')
  const { header, binding, authzid, bare, mandatory, name, nonce } =
    FIRST.exec(textOf(data))?.groups ?? {}
  if (header === undefined || bare === undefined || name === undefined || nonce === undefined) {
    throw malformed('not n,,n=USER,r=NONCE')
  }
  if (binding?.startsWith('p') === true) {
    throw new ScramError('channel-binding-not-supported', 'the client asks for channel binding')
  }
  if (mandatory !== undefined) {
    throw new ScramError('extensions-not-supported', 'the client asks for an extension (m=)')
  }
  if (nonce.length < NONCE_LENGTH_MIN) throw malformed('the nonce of the client is too short')
  const userName = decodeName(name)
  if (authzid !== undefined && decodeName(authzid) !== userName) {
    throw new ScramError('other-error', 'a client may not act for another user (a=)')
  }
  return { header, bare, userName, nonce }
}

/** Throws `ScramError`. */
export function parseClientFinal(data: Buffer | undefined): ClientFinal {
  if (data === undefined) throw malformed('AUTH has no Authentication Data')
  const { unproven, binding, nonce, proof } = FINAL.exec(textOf(data))?.groups ?? {}
  if (unproven === undefined || binding === undefined || nonce === undefined) {
    throw malformed('not c=…,r=NONCE,p=PROOF')
  }
  return {
    unproven,
    header: Buffer.from(binding, 'base64').toString('latin1'),
    nonce,
    proof: Buffer.from(proof ?? '', 'base64'),
  }
}

/** In messages a comma ends a field. */
export function encodeName(userName: string): string {
  return userName.replaceAll('=', '=3D').replaceAll(',', '=2C')
}

function decodeName(encoded: string): string {
  if (encoded === '' || /=(?!2C|3D)/.test(encoded) || encoded.includes('\0')) {
    throw new ScramError(
      'invalid-username-encoding',
      'the user name is not written as RFC 5802 has it',
    )
  }
  return encoded.replaceAll('=2C', ',').replaceAll('=3D', '=')
}

function textOf(data: Buffer): string {
  if (data.length > MESSAGE_BYTES_MAX)
    throw malformed(`it has more than ${MESSAGE_BYTES_MAX} bytes`)
  if (!isUtf8(data)) throw malformed('it is not UTF-8')
  return data.toString()
}

function malformed(sentence: string): ScramError {
  return new ScramError('invalid-encoding', sentence)
}
