/** Closed by default: no listener that other machines reach is opened before something says who may connect. */

import type { BrokerConfiguration, ListenerConfiguration } from '../config/options.ts'
import { ConfigurationError, wrongFile } from '../config/problems.ts'
import type { AccessHooks } from '../security/access.ts'
import { isLoopback, limitsOf, provesNames } from './limits.ts'

const CERTIFICATES = `
  listeners:
    - type: tls                 # who has a certificate; noctule certs makes them
      caFile: ./certs/ca.crt
      requestClientCertificate: required
      userNameFromCertificate: commonName
`

/** Throws a `ConfigurationError` with the lines to change. */
export function checkReach(configuration: BrokerConfiguration, hooks: AccessHooks): void {
  if (hooks.authenticate !== undefined || hooks.authenticationMethods !== undefined) return
  const open = configuration.listeners.filter(
    (listener) =>
      !isLoopback(listener) &&
      !provesNames(listener) &&
      !limitsOf(configuration, listener, hooks).allowAnonymous,
  )
  if (open.length === 0) return
  const names = open.map(describe).join(', ')
  const many = open.length > 1
  const isEncrypted = open.some(({ type }) => type === 'tls' || type === 'wss')
  const found = `Other machines reach ${many ? 'these listeners' : 'this listener'}, and nothing says who may connect. Change one of these:

  security:
    passwordFile: ./passwords   # who may; then: noctule user add NAME --file ./passwords

  security:
    allowAnonymous: true        # everybody may; or: noctule start --allow-anonymous

  listeners:
    - type: ${open[0]?.type}
      host: 127.0.0.1           # this machine only; or: noctule start --host 127.0.0.1
${isEncrypted ? CERTIFICATES : ''}`
  throw new ConfigurationError([wrongFile(names, 'authentication', found)])
}

function describe(listener: ListenerConfiguration): string {
  return listener.type === 'unix'
    ? listener.name
    : `${listener.name} (${listener.host}:${listener.port})`
}
