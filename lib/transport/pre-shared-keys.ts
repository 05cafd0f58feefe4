/**
 * TLS with pre-shared keys (RFC 4279), beside certificates or instead of them.
 *
 * TLS 1.2 only. In TLS 1.3 OpenSSL asks for the key of an identity and may then not use it (another hash, a
 * ticket): whoever is told an identity there cannot know that it was proved. For the same reason there are no
 * tickets here: a session that goes on would come without its identity.
 */

import type { Buffer } from 'node:buffer'
import { constants } from 'node:crypto'
import type { TlsOptions as NodeTlsOptions, SecureContextOptions } from 'node:tls'
import { DEFAULT_CIPHERS } from 'node:tls'

export interface PreSharedKeys {
  /** Told to clients before they choose their identity; at most 128 bytes. */
  readonly hint?: string | undefined
  /**
   * The key of an identity. Of one that nobody has, a key that nobody has either, so that strangers cannot
   * find out who there is.
   */
  readonly keyOf: (identity: string) => Buffer
}

export type PskOptions = Pick<NodeTlsOptions, 'pskCallback' | 'pskIdentityHint'>

/** Forward secrecy first; then what small devices have, down to the 8 bytes that RFC 7925 makes do with. */
const PSK_CIPHERS = [
  'ECDHE-PSK-CHACHA20-POLY1305',
  'ECDHE-PSK-AES128-CBC-SHA256',
  'ECDHE-PSK-AES256-CBC-SHA384',
  'PSK-AES128-GCM-SHA256',
  'PSK-AES256-GCM-SHA384',
  'PSK-CHACHA20-POLY1305',
  'PSK-AES128-CCM',
  'PSK-AES256-CCM',
  'PSK-AES128-CBC-SHA256',
  'PSK-AES256-CBC-SHA384',
  'PSK-AES128-CCM8',
]

// Node's list ends with general words, the last of which take away all ciphers with pre-shared keys.
const CERTIFICATE_CIPHERS = DEFAULT_CIPHERS.split(':').filter((name) => /^(EC)?DHE-/.test(name))

/**
 * What a listener with pre-shared keys differs by. Their ciphers come first: only who has a key offers them, but
 * offers those of certificates too.
 */
export function pskContext({ cert }: { readonly cert?: unknown }): SecureContextOptions {
  const ciphers = cert === undefined ? PSK_CIPHERS : [...PSK_CIPHERS, ...CERTIFICATE_CIPHERS]
  return {
    ciphers: ciphers.join(':'),
    maxVersion: 'TLSv1.2',
    secureOptions: constants.SSL_OP_NO_RENEGOTIATION | constants.SSL_OP_NO_TICKET,
  }
}
