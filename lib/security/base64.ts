/** Base64 as it stands in password files. */

import { Buffer } from 'node:buffer'

/** Throws an `Error` for what is no Base64, or empty. Padding may be left out. */
export function fromBase64(text = ''): Buffer {
  const bytes = Buffer.from(text, 'base64')
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(text) || bytes.length === 0) {
    throw new Error('salt or key is not Base64')
  }
  return bytes
}

/** As the PHC string format has it. */
export function toUnpaddedBase64(bytes: Buffer): string {
  return bytes.toString('base64').replaceAll('=', '')
}
