/** What OpenSSL and Node say when a handshake fails, as sentences that tell whose fault it is. */

import { networkSentence } from './peer.ts'

const NOT_TRUSTED = 'the client does not trust our certificate'

const SENTENCES: Readonly<Record<string, string>> = {
  ERR_SSL_UNSUPPORTED_PROTOCOL:
    'the client offered no TLS version we accept; minTlsVersion is the oldest',
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
  ECONNRESET: 'the client closed the connection during the TLS handshake',
}

/** What a wrong pre-shared key leads to: OpenSSL finds that the end of the handshake is not what it should be. */
const WRONG_KEY = 'ERR_SSL_DECRYPTION_FAILED_OR_BAD_RECORD_MAC'

/** `identity`: that of a pre-shared key, if the client has named one. */
export function handshakeSentence(
  error: NodeJS.ErrnoException,
  identity: string | undefined,
): string {
  if (identity !== undefined && error.code === WRONG_KEY) {
    return `the client has another key for ${JSON.stringify(identity)} than pskFile, which may have none`
  }
  const sentence = SENTENCES[error.code ?? '']
  if (sentence !== undefined) return sentence
  if ('reason' in error) return `the TLS handshake failed: ${String(error.reason)}`
  return networkSentence(error)
}

/** OpenSSL's code for a certificate that its authority has taken back. */
export const REVOKED = 'CERT_REVOKED'

const UNKNOWN_SIGNER = 'is signed by nobody in caFile'

/** What OpenSSL's verification says about a certificate; the others need their code to be looked up. */
const VERIFICATIONS: Readonly<Record<string, string>> = {
  CERT_HAS_EXPIRED: 'has expired',
  CERT_NOT_YET_VALID: 'is not valid yet; are both clocks right?',
  [REVOKED]: 'is revoked by crlFile',
  CRL_HAS_EXPIRED: 'cannot be checked: the revocation list in crlFile has expired, get a new one',
  CRL_NOT_YET_VALID: 'cannot be checked: the revocation list in crlFile is not valid yet',
  UNABLE_TO_GET_CRL: 'cannot be checked: crlFile has no list of its authority, or of one above it',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: UNKNOWN_SIGNER,
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: UNKNOWN_SIGNER,
  SELF_SIGNED_CERT_IN_CHAIN: UNKNOWN_SIGNER,
  DEPTH_ZERO_SELF_SIGNED_CERT: 'is signed by itself, not by one of caFile',
  INVALID_PURPOSE: 'is not made for clients (its key usage)',
  UNSPECIFIED: 'is not valid; openssl verify -CAfile tells why',
}

/** `verification` is OpenSSL's code, `shown` the names of the certificate as far as they are known. */
export function verificationSentence(verification: string, shown: string | undefined): string {
  const what = VERIFICATIONS[verification] ?? `is not valid: ${verification}`
  return `the client certificate${shown === undefined ? '' : ` ${shown}`} ${what}`
}
