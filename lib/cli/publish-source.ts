/** Where the payloads of `pub` come from: the command line, a file, standard input whole or by lines. */

import type { Readable } from 'node:stream'
import { setTimeout as delay } from 'node:timers/promises'
import { VARIABLE_BYTE_INTEGER_MAX } from '../protocol/limits.ts'
import { byteLines } from '../util/byte-lines.ts'
import { readFlagFile } from './connect-request.ts'
import { CommandFailure, UsageError } from './failures.ts'

export interface SourceFlags {
  readonly message?: string
  readonly file?: string
  readonly stdinFile?: boolean
  readonly stdinLine?: boolean
  readonly nullMessage?: boolean
  readonly repeat?: number
  readonly repeatDelay?: number
}

/** Yields payloads, one at a time as they are asked for; ends early when the signal is aborted. */
export type PayloadSource = (signal: AbortSignal) => AsyncGenerator<Buffer, void>

/** No packet, and so no payload, is longer. */
const PAYLOAD_BYTES_MAX = VARIABLE_BYTE_INTEGER_MAX

/** Throws a sentence unless exactly one source is named. */
export function chooseSource(flags: SourceFlags, input: Readable): PayloadSource {
  const { message, file, stdinFile, stdinLine, nullMessage } = flags
  const named = [message !== undefined, file !== undefined, stdinFile, stdinLine, nullMessage]
  const count = named.filter(Boolean).length
  if (count === 0) throw new UsageError('There is nothing to send: give -m, -f, -s, -l or -n')
  if (count > 1) throw new UsageError('Give one of -m, -f, -s, -l and -n, not several')
  if (stdinLine) {
    if (flags.repeat !== undefined) throw new UsageError('--repeat cannot repeat a stream (-l)')
    return (signal) => readLines(input, signal)
  }
  if (stdinFile) {
    return async function* (signal) {
      const payload = await readWhole(input, signal)
      if (payload !== undefined) yield* repeat(payload, flags, signal)
    }
  }
  const payload =
    file === undefined ? Buffer.from(nullMessage ? '' : (message ?? '')) : readFlagFile('-f', file)
  return (signal) => repeat(payload, flags, signal)
}

async function* repeat(
  payload: Buffer,
  { repeat: times = 1, repeatDelay = 0 }: SourceFlags,
  signal: AbortSignal,
): AsyncGenerator<Buffer, void> {
  for (let i = 0; i < times && !signal.aborted; i++) {
    yield payload
    if (repeatDelay > 0 && i < times - 1) await pause(repeatDelay * 1000, signal)
  }
}

async function pause(durationMs: number, signal: AbortSignal): Promise<void> {
  try {
    await delay(durationMs, undefined, { signal })
  } catch (error) {
    if (!signal.aborted) throw error
  }
}

/** Returns undefined when it was aborted: half a payload is none. */
async function readWhole(input: Readable, signal: AbortSignal): Promise<Buffer | undefined> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of chunksOf(input, signal)) {
    bytes += chunk.length
    if (bytes > PAYLOAD_BYTES_MAX) throw tooLong('Standard input')
    chunks.push(chunk)
  }
  return signal.aborted ? undefined : Buffer.concat(chunks)
}

/** Lines as bytes, without their end; the last one needs none. */
async function* readLines(input: Readable, signal: AbortSignal): AsyncGenerator<Buffer, void> {
  const error = () => tooLong('A line of standard input')
  for await (const line of byteLines(chunksOf(input, signal), PAYLOAD_BYTES_MAX, error)) {
    // What had begun when it was aborted is no line.
    if (signal.aborted) return
    yield line
  }
}

async function* chunksOf(input: Readable, signal: AbortSignal): AsyncGenerator<Buffer, void> {
  const stop = () => void input.destroy()
  signal.addEventListener('abort', stop)
  try {
    for await (const chunk of input) yield chunk as Buffer
  } catch (error) {
    // Destroying the stream is how we leave a read that waits for the next key of a keyboard.
    if (!signal.aborted) throw error
  } finally {
    signal.removeEventListener('abort', stop)
  }
}

function tooLong(what: string): CommandFailure {
  return new CommandFailure(
    `${what} is longer than an MQTT message can be, ${PAYLOAD_BYTES_MAX} bytes`,
  )
}
