/** argon2id comes from a package that is optional: only password files that have such lines need it. */

import type { Buffer } from 'node:buffer'

/** Says whether `encoded`, a line's `$argon2id$…`, is that of `password`; works off the event loop. */
export type VerifyArgon2 = (encoded: string, password: Buffer) => Promise<boolean>

/** Rejects with a sentence that says what to install. `load` is there for tests. */
export async function loadArgon2(
  load: () => Promise<{ verify: VerifyArgon2 }> = () => import('@node-rs/argon2'),
): Promise<VerifyArgon2> {
  try {
    const { verify } = await load()
    return (encoded, password) => verify(encoded, password)
  } catch (error) {
    throw new Error(
      'argon2id needs the optional package @node-rs/argon2. Install it (npm install @node-rs/argon2), or set the password again with noctule user passwd',
      { cause: error },
    )
  }
}
