/** `-L mqtt://user:password@host:port/topic`, as mosquitto's clients take it. */

import { UsageError } from './failures.ts'

export interface BrokerUrl {
  readonly protocol: 'mqtt' | 'mqtts' | 'ws' | 'wss'
  readonly host: string
  readonly port: number | undefined
  readonly username: string | undefined
  readonly password: string | undefined
  /** What follows the first slash: a topic for mqtt and mqtts, the WebSocket's path for ws and wss. */
  readonly rest: string | undefined
}

const SHAPE = /^(mqtts?|wss?):\/\/([^/?#]+)(?:\/(.*))?$/s

/** `flag` is what mistakes are told of. */
export function parseBrokerUrl(url: string, flag = '-L'): BrokerUrl {
  const [, protocol, authority = '', rest] = SHAPE.exec(url) ?? []
  if (protocol === undefined) {
    throw new UsageError(
      `${flag} is mqtt://[user[:password]@]host[:port]${flag === '-L' ? '/topic' : ''} (or mqtts, ws, wss)`,
    )
  }
  const { hostname, port, username, password } = parseAuthority(authority, flag)
  return {
    protocol: protocol as BrokerUrl['protocol'],
    host: hostname.replace(/^\[(.*)\]$/, '$1'),
    port: port === '' ? undefined : Number(port),
    username: username === '' ? undefined : decode(username, flag),
    password: password === '' ? undefined : decode(password, flag),
    // Not through URL: "a/#" would lose its "#", "a/../b" two levels.
    rest: rest === undefined || rest === '' ? undefined : decode(rest, flag),
  }
}

function parseAuthority(authority: string, flag: string): URL {
  try {
    return new URL(`mqtt://${authority}`)
  } catch (error) {
    if (error instanceof TypeError) throw new UsageError(`${flag} has no valid host and port`)
    throw error
  }
}

function decode(written: string, flag: string): string {
  try {
    return decodeURIComponent(written)
  } catch (error) {
    if (error instanceof URIError) {
      throw new UsageError(
        `${flag} has a "%" that is not followed by two hexadecimal digits of UTF-8`,
      )
    }
    throw error
  }
}
