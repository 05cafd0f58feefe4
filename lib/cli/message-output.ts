/** How `sub` shows a message: raw bytes for programs, safe and coloured text on a terminal. */

import { styleText } from 'node:util'
import { UsageError } from './failures.ts'
import { compileFormat, type MessageFormat } from './message-format.ts'
import { toJsonLine } from './message-json.ts'
import type { ReceivedMessage } from './received-message.ts'

export interface OutputFlags {
  readonly verbose?: boolean
  readonly format?: string
  readonly json?: boolean
  readonly hex?: boolean
  readonly omitNewline?: boolean
}

export interface Screen {
  readonly isTerminal: boolean
  readonly hasColours: boolean
}

/** What stands behind `stream`. NO_COLOR is the convention of no-color.org. */
export function screenOf(
  stream: { readonly isTTY?: boolean },
  environment: NodeJS.ProcessEnv,
): Screen {
  const isTerminal = stream.isTTY === true
  const wantsNone = (environment.NO_COLOR ?? '') !== '' || environment.TERM === 'dumb'
  return { isTerminal, hasColours: isTerminal && !wantsNone }
}

/** Returns the function that turns a message into what is written, its end of line included. */
export function chooseFormat(flags: OutputFlags, screen: Screen): MessageFormat {
  const chosen = [flags.format !== undefined, flags.json, flags.hex].filter(Boolean).length
  if (chosen > 1) throw new UsageError('Give one of -F, --json and --hex, not several')
  const format = chooseBody(flags, screen)
  const end = Buffer.from(flags.omitNewline ? '' : '\n')
  return (message) => {
    const body = format(message)
    return body === undefined ? undefined : Buffer.concat([body, end])
  }
}

function chooseBody({ format, json, hex, verbose }: OutputFlags, screen: Screen): MessageFormat {
  // Who writes a format knows what it does to the terminal: it may hold escape sequences of its own.
  if (format !== undefined) return compileFormat(format)
  if (json) return (message) => Buffer.from(toJsonLine(message))
  const payloadOf = (message: ReceivedMessage) => showPayload(message, hex === true, screen)
  if (!verbose) return payloadOf
  return (message) => {
    const isEmpty = message.payload.length === 0
    const payload = isEmpty ? Buffer.from('(null)') : payloadOf(message)
    return Buffer.concat([Buffer.from(`${showTopic(message.topicName, screen)} `), payload])
  }
}

function showTopic(topicName: string, screen: Screen): string {
  const shown = screen.isTerminal ? withoutControls(topicName) : topicName
  return screen.hasColours ? styleText('cyan', shown, { validateStream: false }) : shown
}

function showPayload({ payload }: ReceivedMessage, isHex: boolean, screen: Screen): Buffer {
  if (isHex) return Buffer.from(payload.toString('hex'))
  return screen.isTerminal ? Buffer.from(withoutControls(payload.toString())) : payload
}

/** A stranger's message must not move the cursor or rename the window: controls become visible. */
function withoutControls(text: string): string {
  // oxlint-disable-next-line no-control-regex -- They are what we look for.
  return text.replaceAll(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g, (control) => {
    return `\\x${control.charCodeAt(0).toString(16).padStart(2, '0')}`
  })
}
