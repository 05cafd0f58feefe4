/** Node reads certificates but makes none: the package that does is optional, as only `noctule certs` needs it. */

import { webcrypto } from 'node:crypto'
import { CommandFailure } from '../failures.ts'

export type X509 = typeof import('@peculiar/x509')

/** Rejects with a sentence that says what to install. `load` is there for tests. */
export async function loadX509(load: () => Promise<X509> = loadPackage): Promise<X509> {
  try {
    const x509 = await load()
    x509.cryptoProvider.set(webcrypto)
    return x509
  } catch (error) {
    throw new CommandFailure(
      `Certificates are made by the optional packages @peculiar/x509 and reflect-metadata, which cannot be loaded (${(error as Error).message}). Install them: npm install @peculiar/x509 reflect-metadata`,
    )
  }
}

/** Its dependencies want reflect-metadata to be there first. */
async function loadPackage(): Promise<X509> {
  await import('reflect-metadata')
  return import('@peculiar/x509')
}
