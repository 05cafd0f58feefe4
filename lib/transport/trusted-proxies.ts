/** Whose word about a client's address is believed: PROXY headers and X-Forwarded-For. */

import { BlockList, isIP } from 'node:net'
import { parseAddressRange, plainAddress } from '../util/address.ts'
import { ListenError } from './listen.ts'

export class TrustedProxies {
  readonly #list = new BlockList()
  readonly isEmpty: boolean

  /** Takes addresses and CIDR ranges; throws a `ListenError` for anything else. */
  constructor(ranges: readonly string[]) {
    this.isEmpty = ranges.length === 0
    for (const range of ranges) this.#add(range)
  }

  has(address: string): boolean {
    const version = isIP(address)
    return version !== 0 && this.#list.check(address, version === 6 ? 'ipv6' : 'ipv4')
  }

  /**
   * Follows the proxies back from `address`, which is the nearest: each trusted one names the one
   * before it, right to left. Returns the first that is not trusted, since all to its left may be made up.
   */
  clientOf(address: string, forwardedFor: string): string {
    const named = forwardedFor.split(',')
    let client = address
    while (this.has(client)) {
      const previous = hostOf(named.pop()?.trim() ?? '')
      if (isIP(previous) === 0) break
      client = plainAddress(previous)
    }
    return client
  }

  #add(written: string): void {
    const range = parseAddressRange(written)
    if (range === undefined) {
      throw new ListenError(
        'ERR_TRUSTED_PROXIES',
        `Cannot trust the proxy "${written}": it is neither an IP address nor a range such as 10.0.0.0/8. Correct trustedProxies.`,
      )
    }
    range.addTo(this.#list)
  }
}

/** Some proxies append the port: `192.0.2.1:4711`, `[2001:db8::1]:4711`. */
function hostOf(text: string): string {
  if (text.startsWith('[')) return text.slice(1, text.indexOf(']'))
  const colon = text.indexOf(':')
  return colon >= 0 && colon === text.lastIndexOf(':') ? text.slice(0, colon) : text
}
