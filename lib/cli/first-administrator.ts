/** The user that a broker makes at its first start, so that a container is neither open nor useless. */

import { Buffer } from 'node:buffer'
import { randomBytes } from 'node:crypto'
import type { SecurityConfiguration } from '../config/options.ts'
import { withUser } from '../security/password-file.ts'
import { hashPassword } from '../security/password-hash.ts'
import { changeUserFile, readUserFile } from './user-file.ts'

const NAME = 'admin'
const PASSWORD_BYTES = 18

/** Makes `security.passwordFile` if `security.firstAdministrator` is set and there is none. */
export async function makeFirstAdministrator({
  firstAdministrator,
  passwordFile,
}: SecurityConfiguration): Promise<void> {
  if (!firstAdministrator || passwordFile === undefined) return
  if (readUserFile(passwordFile) !== undefined) return
  const password = randomBytes(PASSWORD_BYTES).toString('base64url')
  const hash = await hashPassword(Buffer.from(password))
  changeUserFile(passwordFile, (text) => withUser(text, NAME, hash))
  console.error(
    `This is the first start. User "${NAME}" has the password ${password}\n` +
      `It is shown this once, and only its hash is kept, in ${passwordFile}. A new one: noctule user passwd ${NAME}`,
  )
}
