/** Addresses of clients, as limits and bans count them. */

import { BlockList, isIP, isIPv6, SocketAddress } from 'node:net'

const IPV4_IN_IPV6 = '::ffff:'
const IPV4_IN_IPV6_BITS = 96

/** Returns an address as people write it: canonical, and IPv4 also where a dual-stack socket saw it. */
export function plainAddress(address: string): string {
  if (isIP(address) !== 6) return address
  const canonical = new SocketAddress({ address, family: 'ipv6' }).address
  const mapped = canonical.startsWith(IPV4_IN_IPV6) ? canonical.slice(IPV4_IN_IPV6.length) : ''
  return isIP(mapped) === 4 ? mapped : canonical
}

/**
 * What an address counts as: an IPv4 address for itself, an IPv6 address for its /64, which is what one
 * customer has; anything else (a Unix socket, memory) for itself.
 */
export function sourceOf(address: string): string {
  if (!isIPv6(address)) return address
  const groups = groupsOf(address)
  return `${groups.slice(0, 4).join(':')}::/64`
}

/** Whether it is of this machine; so are Unix sockets and transports inside the process. */
export function isOfThisMachine(address: string): boolean {
  return isIP(address) === 0 || address === '::1' || address.startsWith('127.')
}

/** An address or range as people write it, understood. */
export interface AddressRange {
  /** In the form in which equal ranges have equal texts. */
  readonly text: string
  /** The `sourceOf` all that it has, where it is exactly that. */
  readonly source: string | undefined
  has(address: string): boolean
  addTo(list: BlockList): void
}

/**
 * Understands `192.0.2.1`, `10.0.0.0/8`, `2001:db8::/32`, and `::ffff:10.0.0.0/104` as `10.0.0.0/8`; undefined if
 * it is neither address nor range.
 */
export function parseAddressRange(written: string): AddressRange | undefined {
  const [address = '', prefix, ...rest] = written.split('/')
  const version = isIP(address)
  const longest = version === 6 ? 128 : 32
  const bits = prefix === undefined ? longest : Number(prefix)
  const isRange = version !== 0 && rest.length === 0 && /^\d{1,3}$/.test(prefix ?? '0')
  if (!isRange || bits > longest) return undefined
  const ipv4 = plainAddress(address)
  if (ipv4 !== address && isIP(ipv4) === 4 && bits >= IPV4_IN_IPV6_BITS) {
    return parseAddressRange(`${ipv4}/${bits - IPV4_IN_IPV6_BITS}`)
  }
  const isSource = bits === (version === 6 ? 64 : 32)
  const source = isSource ? sourceOf(address) : undefined
  const first = version === 6 && source !== undefined ? source.slice(0, -'/64'.length) : address
  const plain =
    version === 6 ? new SocketAddress({ address: first, family: 'ipv6' }).address : address
  const addTo = (list: BlockList) => list.addSubnet(address, bits, familyOf(version))
  return {
    text: bits === longest ? plain : `${plain}/${bits}`,
    source,
    has: source === undefined ? membership(version, addTo) : (other) => sourceOf(other) === source,
    addTo,
  }
}

/** Made when it is first asked: a list of bans has thousands that are no single source, and asks few. */
function membership(version: number, addTo: AddressRange['addTo']): AddressRange['has'] {
  let list: BlockList | undefined
  return (other) => {
    if (isIP(other) !== version) return false
    if (list === undefined) {
      list = new BlockList()
      addTo(list)
    }
    return list.check(other, familyOf(version))
  }
}

function familyOf(version: number): 'ipv4' | 'ipv6' {
  return version === 6 ? 'ipv6' : 'ipv4'
}

/** The eight groups of an IPv6 address, without leading zeros. */
function groupsOf(address: string): string[] {
  const plain = new SocketAddress({ address, family: 'ipv6' }).address
  const [head = '', tail] = plain.split('::')
  const left = head === '' ? [] : head.split(':')
  const right = tail === undefined || tail === '' ? [] : tail.split(':')
  const missing = tail === undefined ? 0 : 8 - left.length - right.length
  return [...left, ...Array.from({ length: missing }, () => '0'), ...right]
}
