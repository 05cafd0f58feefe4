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
}

export function recordingLogger(): RecordingLogger {
  const lines: LogLine[] = []
  const at = (level: string) => (fields: object, message: string) =>
    void lines.push({ level, message, fields: fields as Record<string, unknown> })
  return {
    lines,
    find: (message) => lines.filter((line) => line.message === message),
    trace: at('trace'),
    debug: at('debug'),
    info: at('info'),
    warn: at('warn'),
    error: at('error'),
  }
}
