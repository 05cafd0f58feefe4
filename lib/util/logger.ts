/**
 * The log: one line per event, JSON for machines or coloured for people, on the standard output.
 *
 * Much of what is logged was chosen by strangers. No character of theirs may end a line, move a cursor or
 * turn the direction of the text: both formats escape them.
 */

import { isatty } from 'node:tty'
import { type DestinationStream, pino, stdSerializers, stdTimeFunctions } from 'pino'
import { prettyFactory } from 'pino-pretty'
import { standardOutput } from './line-writer.ts'

export interface Logger {
  trace(fields: object, message: string): void
  debug(fields: object, message: string): void
  info(fields: object, message: string): void
  warn(fields: object, message: string): void
  error(fields: object, message: string): void
  /** Whether lines of this level go anywhere; without it all do. */
  isLevelEnabled?(level: string): boolean
}

/** A logger whose level can be changed while it is in use. */
export interface LeveledLogger extends Logger {
  level: string
}

export type LogLevel = 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'silent'

export interface LoggerOptions {
  readonly level: LogLevel
  /** `auto`: pretty when the lines go to a terminal, JSON otherwise. */
  readonly format: 'auto' | 'pretty' | 'json'
  /** Takes the lines instead of the standard output. */
  readonly stream?: LogStream | undefined
}

export interface LogStream {
  write(line: string): unknown
  readonly isTTY?: boolean
}

/** Says nothing. */
export const silentLogger: Logger = {
  trace() {},
  debug() {},
  info() {},
  warn() {},
  error() {},
  isLevelEnabled: () => false,
}

/** Creates a logger that never waits for the reader of its lines. */
export function createLogger(options: LoggerOptions): LeveledLogger {
  const { stream } = options
  const isTerminal = stream === undefined ? isatty(1) : stream.isTTY === true
  const isPretty = options.format === 'pretty' || (options.format === 'auto' && isTerminal)
  const output = stream ?? standardOutput()
  const logger = pino(
    {
      level: options.level,
      base: null,
      timestamp: stdTimeFunctions.isoTime,
      formatters: { level: (level) => ({ level }) },
      serializers: { error: stdSerializers.err },
    },
    isPretty ? prettyLines(output, isTerminal) : jsonLines(output),
  )
  if (stream === undefined) {
    standardOutput().onLost = (lines) =>
      logger.warn({ lines }, 'log lines were lost: their reader is too slow')
  }
  return logger
}

function jsonLines(output: LogStream): DestinationStream {
  return { write: (line) => void output.write(escapeHidden(line)) }
}

function prettyLines(output: LogStream, isTerminal: boolean): DestinationStream {
  const format = prettyFactory({
    singleLine: true,
    colorize: isTerminal && process.env['NO_COLOR'] === undefined,
    translateTime: 'SYS:HH:MM:ss.l',
  })
  return { write: (line) => void output.write(escapeHidden(format(JSON.parse(line, escapeRaw)))) }
}

// pino-pretty writes fields as JSON, but these two as they are.
const RAW_KEYS = ['msg', 'stack']

function escapeRaw(key: string, value: unknown): unknown {
  if (typeof value !== 'string' || !RAW_KEYS.includes(key)) return value
  // A stack has several lines, which pino-pretty indents.
  const escaped = value.replaceAll(/\p{Cc}/gu, escapeCharacter)
  return key === 'stack' ? escaped.replaceAll('\\u000a', '\n') : escaped
}

/**
 * Escapes what JSON leaves alone: C1 controls, which some terminals obey, line separators, and marks that
 * turn the direction of text. None of them occurs outside of strings, so JSON stays JSON.
 */
export function escapeHidden(line: string): string {
  return line.replaceAll(/[\u007f-\u009f\u2028\u2029\p{Bidi_Control}]/gu, escapeCharacter)
}

function escapeCharacter(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`
}
