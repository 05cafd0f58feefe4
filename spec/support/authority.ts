/** Certificates of whatever validity, by the authority that `noctule certs` makes too. */

import {
  Authority,
  type KeyAndCertificate as Made,
  type Revocation,
} from '../../lib/cli/certs/authority.ts'
import type { KeyAndCertificate } from './certificates.ts'

const DAY_MS = 86_400_000

/** From when until when, in days from now. */
export type Days = readonly [from: number, until: number]

export interface TestAuthority {
  readonly ca: KeyAndCertificate
  readonly device: (name: string, days?: Days) => Promise<KeyAndCertificate>
  /** For localhost and 127.0.0.1 unless said otherwise. */
  readonly server: (days?: Days, hosts?: readonly string[]) => Promise<KeyAndCertificate>
  /** A list that takes back these certificates. */
  readonly revoke: (certificates: readonly KeyAndCertificate[], days?: Days) => Promise<string>
}

export async function makeAuthority(
  name: string,
  days: Days = [-365, 3650],
): Promise<TestAuthority> {
  const made = await Authority.make(name, validity(days))
  const authority = await Authority.from(made)
  return {
    ca: pairOf(made),
    device: async (device, own = [-1, 100]) =>
      pairOf(await authority.signDevice(device, validity(own))),
    server: async (own = [-1, 100], hosts = ['localhost', '127.0.0.1']) =>
      pairOf(await authority.signServer(hosts, validity(own))),
    async revoke(certificates, own = [-1, 100]) {
      const entries = await Promise.all(
        certificates.map(async ({ cert }): Promise<Revocation> => {
          return { serialNumber: await authority.serialNumberOf(cert), at: Date.now() - DAY_MS }
        }),
      )
      return authority.signRevocations(entries, validity(own))
    },
  }
}

function validity([from, until]: Days): { from: number; until: number } {
  const now = Date.now()
  return { from: now + from * DAY_MS, until: now + until * DAY_MS }
}

function pairOf({ key, certificate }: Made): KeyAndCertificate {
  return { key, cert: certificate }
}
