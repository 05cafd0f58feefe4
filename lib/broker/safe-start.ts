/**
 * Closed by default: nothing that other machines reach is opened before something says who may connect, and who may
 * read metrics.
 */

import type { BrokerConfiguration, ListenerConfiguration } from '../config/options.ts'
import { ConfigurationError, type ConfigurationProblem, wrongFile } from '../config/problems.ts'
import type { AccessHooks } from '../security/access.ts'
import { isLoopback, isLoopbackHost, limitsOf, provesNames } from './limits.ts'

const CERTIFICATES = `
  listeners:
    - type: tls                 # who has a certificate; noctule certs makes them
      caFile: ./certs/ca.crt
      requestClientCertificate: required
      userNameFromCertificate: commonName
`

const METRICS = `Other machines reach the metrics, and nothing says who may read them. Change one of these:

  monitor:
    metrics:
      tokenFile: ./metrics-token  # who has the token; openssl rand -hex 32 > metrics-token

  monitor:
    metrics:
      allowAnonymous: true        # everybody may

  monitor:
    metrics:
      host: 127.0.0.1             # this machine only
`

/** Throws a `ConfigurationError` with the lines to change. */
export function checkReach(configuration: BrokerConfiguration, hooks: AccessHooks): void {
  const problems = [findOpenListeners(configuration, hooks), findOpenMetrics(configuration)]
  const found = problems.filter((problem) => problem !== undefined)
  if (found.length > 0) throw new ConfigurationError(found)
}

function findOpenListeners(
  configuration: BrokerConfiguration,
  hooks: AccessHooks,
): ConfigurationProblem | undefined {
  if (hooks.authenticate !== undefined || hooks.authenticationMethods !== undefined) {
    return undefined
  }
  const open = configuration.listeners.filter(
    (listener) =>
      !isLoopback(listener) &&
      !provesNames(listener) &&
      !limitsOf(configuration, listener, hooks).allowAnonymous,
  )
  if (open.length === 0) return undefined
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
  return wrongFile(names, 'authentication', found)
}

function findOpenMetrics({ monitor }: BrokerConfiguration): ConfigurationProblem | undefined {
  const { port, host, tokenFile, allowAnonymous } = monitor.metrics
  const isClosed = isLoopbackHost(host) || tokenFile !== undefined || allowAnonymous
  if (port === undefined || isClosed) return undefined
  return wrongFile(`metrics (${host}:${port})`, 'a token', METRICS)
}

function describe(listener: ListenerConfiguration): string {
  return listener.type === 'unix'
    ? listener.name
    : `${listener.name} (${listener.host}:${listener.port})`
}
