/** A logger that keeps its lines for a test to look at. */

import type { Logger } from '../../lib/index.ts'

export interface LogLine {
  readonly level: string
  readonly message: string
  readonly fields: Readonly<Record<string, unknown>>
}

export interface RecordingLogger extends Logger {
  readonly lines: LogLine[]
  /** The lines with this message. */
  find(message: string): LogLine[]
  /** The fields of the next line with this message that was not waited for yet. */
  next(message: string): Promise<LogLine['fields']>
}

export function recordingLogger(): RecordingLogger {
  const lines: LogLine[] = []
  const taken = new Set<LogLine>()
  let wake = () => {}
  let woken = new Promise<void>((resolve) => (wake = resolve))
  const at = (level: string) => (fields: object, message: string) => {
    lines.push({ level, message, fields: fields as Record<string, unknown> })
    wake()
    woken = new Promise((resolve) => (wake = resolve))
  }
  return {
    lines,
    async next(message) {
      for (;;) {
        const line = lines.find((each) => each.message === message && !taken.has(each))
        if (line !== undefined) {
          taken.add(line)
          return line.fields
        }
        // oxlint-disable-next-line no-await-in-loop -- Each line may be the one.
        await woken
      }
    },
    find: (message) => lines.filter((line) => line.message === message),
    trace: at('trace'),
    debug: at('debug'),
    info: at('info'),
    warn: at('warn'),
    error: at('error'),
  }
}
