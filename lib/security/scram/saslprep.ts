/**
 * SASLprep (RFC 4013): the one form of a name or password that can be typed in several. It comes from a
 * package that is optional, as only names and passwords beyond printable ASCII need it.
 */

import { Buffer, isUtf8 } from 'node:buffer'

type Prepare = (text: string, options: { allowUnassigned: boolean }) => string

const UNCHANGED = /^[ -~]*$/

/**
 * Rejects with a sentence if the text has characters that are forbidden. Those that came after Unicode 3.2
 * are taken as they are, as RFC 4013 has it for queries: people do use them in passwords.
 */
export async function saslprep(text: string): Promise<string> {
  if (UNCHANGED.test(text)) return text
  const prepare = await load()
  try {
    return prepare(text, { allowUnassigned: true })
  } catch (error) {
    throw new Error('it has characters that SASLprep forbids', { cause: error })
  }
}

/** What SASLprep does not take is compared as it is. */
export async function preparePassword(password: Buffer): Promise<Buffer> {
  if (!isUtf8(password)) return password
  const text = password.toString()
  if (UNCHANGED.test(text)) return password
  const prepare = await load()
  try {
    return Buffer.from(prepare(text, { allowUnassigned: true }))
  } catch {
    return password
  }
}

async function load(): Promise<Prepare> {
  try {
    const loaded = await import('@mongodb-js/saslprep')
    return loaded.default
  } catch (error) {
    throw new Error(
      'SCRAM with other than ASCII characters needs the optional package @mongodb-js/saslprep: npm install @mongodb-js/saslprep',
      { cause: error },
    )
  }
}
