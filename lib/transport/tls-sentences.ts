/** What OpenSSL and Node say when a handshake fails, as sentences that tell whose fault it is. */

import { networkSentence } from './peer.ts'

const NOT_TRUSTED = 'the client does not trust our certificate'
const OLD_VERSION = 'the client offered no TLS version we accept; TLS 1.2 is the oldest'

const SENTENCES: Readonly<Record<string, string>> = {
  ERR_SSL_UNSUPPORTED_PROTOCOL: OLD_VERSION,
  ERR_SSL_VERSION_TOO_LOW: OLD_VERSION,
  ERR_SSL_WRONG_VERSION_NUMBER: 'the client does not speak TLS',
  ERR_SSL_NO_SHARED_CIPHER: 'the client offered no cipher we accept',
  ERR_SSL_NO_SUITABLE_SIGNATURE_ALGORITHM: 'the client offered no signature algorithm we accept',
  ERR_SSL_PEER_DID_NOT_RETURN_A_CERTIFICATE:
    'the client sent no certificate, and this listener requires one',
  ERR_SSL_TLSV1_ALERT_UNKNOWN_CA: NOT_TRUSTED,
  ERR_SSL_SSLV3_ALERT_BAD_CERTIFICATE: NOT_TRUSTED,
  ERR_SSL_SSLV3_ALERT_CERTIFICATE_UNKNOWN: NOT_TRUSTED,
  ERR_SSL_SSLV3_ALERT_UNSUPPORTED_CERTIFICATE: NOT_TRUSTED,
  ERR_SSL_SSLV3_ALERT_CERTIFICATE_EXPIRED: 'the client says that our certificate has expired',
  ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION: 'the client accepts none of our TLS versions',
  ERR_SSL_SSLV3_ALERT_HANDSHAKE_FAILURE: 'the client found nothing in our offer that it accepts',
  ERR_TLS_HANDSHAKE_TIMEOUT: 'the TLS handshake took too long',
  ECONNRESET: 'the client closed the connection during the TLS handshake',
}

/** `verification` is the code of a client certificate that did not verify. */
export function tlsSentence(error: NodeJS.ErrnoException, verification: unknown): string {
  if (typeof verification === 'string') {
    return `the client certificate is not valid: ${verification}`
  }
  const sentence = SENTENCES[error.code ?? '']
  if (sentence !== undefined) return sentence
  if ('reason' in error) return `the TLS handshake failed: ${String(error.reason)}`
  return networkSentence(error)
}
