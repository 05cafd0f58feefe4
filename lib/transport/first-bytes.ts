/**
 * Looks at the first bytes of a connection: who came to the wrong port, and headers that precede the
 * protocol. MQTT itself begins with 0x10 (CONNECT) and passes after one comparison.
 */

import { Buffer } from 'node:buffer'
import { STATUS_CODES } from 'node:http'
import type { Socket } from 'node:net'

/** A protocol that is recognised by its first bytes. */
export type FirstProtocol = 'mqtt' | 'tls' | 'http' | 'proxy' | 'unknown'

const CONNECT = 0x10
const TLS_HANDSHAKE = 0x16
const TLS_MAJOR_VERSION = 0x03
const HTTP = /^(?:GET|POST|HEAD|PUT|OPTIONS|DELETE|PATCH|CONNECT|TRACE|PRI) /
const PROXY = /^(?:PROXY |\r\n\r\n\0\r\nQUIT\n)/
const LONGEST_PREFIX = 12

/** Says what `bytes`, the first of a connection, belong to. Never waits for more. */
export function recognise(bytes: Buffer): FirstProtocol {
  const first = bytes[0]
  if (first === CONNECT) return 'mqtt' // No other packet may be the first (section 3.1).
  if (first === TLS_HANDSHAKE && bytes[1] === TLS_MAJOR_VERSION) return 'tls'
  const text = bytes.toString('latin1', 0, Math.min(bytes.length, LONGEST_PREFIX))
  if (HTTP.test(text)) return 'http'
  return PROXY.test(text) ? 'proxy' : 'unknown'
}

export const PROXY_UNEXPECTED =
  'a PROXY header on a listener that expects none; set proxyProtocol and trustedProxies'

/** Why a stranger cannot stay on a listener that speaks plain MQTT. */
export const STRANGER_SENTENCES: Readonly<Partial<Record<FirstProtocol, string>>> = {
  tls: 'a TLS client on a plain MQTT port; use mqtts:// on a TLS listener',
  http: 'an HTTP client on an MQTT port; WebSocket listens elsewhere',
  proxy: PROXY_UNEXPECTED,
}

/** Returns a whole HTTP response that carries `sentence` and ends the connection. */
export function httpAnswer(status: number, sentence: string, headers = ''): string {
  return (
    `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}\r\n` +
    'Connection: close\r\n' +
    'Content-Type: text/plain; charset=utf-8\r\n' +
    `Content-Length: ${Buffer.byteLength(sentence) + 1}\r\n${headers}\r\n${sentence}\n`
  )
}

/** `more`: ask again with more bytes; `stop`: the connection is refused; a number: header bytes to drop. */
export type Look = number | 'more' | 'stop'

/**
 * Reads until `look`, which sees all bytes so far, is satisfied. Then puts back what follows the header
 * and calls `done`: the socket is paused, and whoever reads it next resumes it. Bounded by `look`.
 */
export function readAhead(socket: Socket, look: (bytes: Buffer) => Look, done: () => void): void {
  let seen: Buffer | undefined
  function onData(chunk: Buffer): void {
    seen = seen === undefined ? chunk : Buffer.concat([seen, chunk])
    const verdict = look(seen)
    if (verdict === 'more') return
    socket.off('data', onData)
    if (verdict === 'stop') return
    socket.pause()
    if (verdict < seen.length) socket.unshift(seen.subarray(verdict))
    done()
  }
  socket.on('data', onData)
}
