/**
 * The PROXY protocol, versions 1 (text) and 2 (binary): the header by which a load balancer names the
 * client behind it. A pure function over the bytes so far; gate.ts reads them from sockets.
 */

import type { Buffer } from 'node:buffer'
import { isIPv4, isIPv6 } from 'node:net'
import { plainAddress } from '../util/address.ts'

export type ProxyHeader =
  | { readonly state: 'more' }
  | { readonly state: 'invalid'; readonly sentence: string }
  | {
      readonly state: 'done'
      /** `undefined`: the proxy speaks for itself (LOCAL) or does not know: the socket's address holds. */
      readonly address: string | undefined
      readonly port: number
      readonly headerBytes: number
    }

/** Longest header of version 1, its line end included (section 2.1 of the PROXY protocol). */
const V1_BYTES_MAX = 107
/** Most that may follow the 16 fixed bytes of version 2: addresses take 216, the rest are TLVs. */
const V2_REST_BYTES_MAX = 4_096

const MORE: ProxyHeader = { state: 'more' }
const V1_PREFIX = [0x50, 0x52, 0x4f, 0x58, 0x59, 0x20] // 'PROXY '
const V2_SIGNATURE = [0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a]
const V2_FIXED_BYTES = 16
const CR = 0x0d
const LF = 0x0a

/** Parses the header at the start of `bytes`. Bytes behind `headerBytes` are not looked at. */
export function parseProxyHeader(bytes: Buffer): ProxyHeader {
  if (bytes.length === 0) return MORE
  const isText = bytes[0] === V1_PREFIX[0]
  const prefix = isText ? V1_PREFIX : V2_SIGNATURE
  const length = Math.min(bytes.length, prefix.length)
  for (let i = 0; i < length; i++) {
    if (bytes[i] !== prefix[i]) return invalid('the connection does not begin with a PROXY header')
  }
  if (length < prefix.length) return MORE
  return isText ? parseText(bytes) : parseBinary(bytes)
}

function parseText(bytes: Buffer): ProxyHeader {
  const lineFeed = bytes.subarray(0, V1_BYTES_MAX).indexOf(LF)
  if (lineFeed < 0) {
    if (bytes.length < V1_BYTES_MAX) return MORE
    return invalid(`the PROXY header is longer than ${V1_BYTES_MAX} bytes`)
  }
  if (bytes[lineFeed - 1] !== CR) return invalid('the PROXY header does not end in CR LF')
  const headerBytes = lineFeed + 1
  const fields = bytes.toString('latin1', V1_PREFIX.length, lineFeed - 1).split(' ')
  const [family, source = '', destination = '', sourcePort = '', destinationPort = ''] = fields
  if (family === 'UNKNOWN') return { state: 'done', address: undefined, port: 0, headerBytes }
  if (family !== 'TCP4' && family !== 'TCP6') {
    return invalid('the PROXY header names a protocol other than TCP4, TCP6 and UNKNOWN')
  }
  const isAddress = family === 'TCP4' ? isIPv4 : isIPv6
  const isWhole =
    fields.length === 5 &&
    isAddress(source) &&
    isAddress(destination) &&
    isPort(sourcePort) &&
    isPort(destinationPort)
  if (!isWhole) return invalid('the PROXY header has an address or a port that is none')
  return { state: 'done', address: plainAddress(source), port: Number(sourcePort), headerBytes }
}

function parseBinary(bytes: Buffer): ProxyHeader {
  if (bytes.length < V2_FIXED_BYTES) return MORE
  const version = bytes.readUInt8(12) >> 4
  const command = bytes.readUInt8(12) & 0x0f
  const restBytes = bytes.readUInt16BE(14)
  if (version !== 2) return invalid(`the PROXY header has the unknown version ${version}`)
  if (command > 1) return invalid(`the PROXY header has the unknown command ${command}`)
  if (restBytes > V2_REST_BYTES_MAX) {
    return invalid(`the PROXY header is longer than ${V2_FIXED_BYTES + V2_REST_BYTES_MAX} bytes`)
  }
  const headerBytes = V2_FIXED_BYTES + restBytes
  if (bytes.length < headerBytes) return MORE
  if (command === 0) return { state: 'done', address: undefined, port: 0, headerBytes }
  return parseBinaryAddresses(bytes, restBytes, headerBytes)
}

/** Source address, destination address, source port, destination port; then TLVs, which we skip. */
function parseBinaryAddresses(bytes: Buffer, restBytes: number, headerBytes: number): ProxyHeader {
  const family = bytes.readUInt8(13) >> 4
  const kind = bytes.readUInt8(13) & 0x0f
  if (family > 3 || kind > 1) return invalid('the PROXY header is not about a TCP connection')
  // Unspecified, or Unix sockets at the proxy: neither has an address that means anything here.
  if (family === 0 || family === 3) {
    return { state: 'done', address: undefined, port: 0, headerBytes }
  }
  const size = family === 1 ? 4 : 16
  if (restBytes < 2 * size + 4) return invalid('the PROXY header is too short for its addresses')
  const source = bytes.subarray(V2_FIXED_BYTES, V2_FIXED_BYTES + size)
  const address = family === 1 ? source.join('.') : plainAddress(groups(source))
  const port = bytes.readUInt16BE(V2_FIXED_BYTES + 2 * size)
  return { state: 'done', address, port, headerBytes }
}

function groups(address: Buffer): string {
  return Array.from({ length: 8 }, (_, i) => address.readUInt16BE(i * 2).toString(16)).join(':')
}

function isPort(text: string): boolean {
  return /^(?:0|[1-9]\d{0,4})$/.test(text) && Number(text) <= 65_535
}

function invalid(sentence: string): ProxyHeader {
  return { state: 'invalid', sentence }
}
