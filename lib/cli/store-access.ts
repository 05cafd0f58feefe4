/**
 * How the `store` commands come to their store: the configuration of `noctule start`, and what becomes of
 * a store that fails, in sentences.
 */

import type { Argv } from 'yargs'
import { configurationFlags, flagsFrom } from '../config/flags.ts'
import { loadConfiguration } from '../config/load.ts'
import type { StoreConfiguration } from '../config/options.ts'
import { ConfigurationError } from '../config/problems.ts'
import { withoutPassword } from '../config/store-urls.ts'
import { assertStoreThere, loadStore } from '../storage/load.ts'
import { type OpenedReader, openForReading } from '../storage/reading.ts'
import { type Store, StoreError, type StoreEvents } from '../storage/storage.ts'
import type { StoreParts } from '../storage/store-parts.ts'
import { systemClock } from '../util/clock.ts'
import { escapeHidden, type Logger } from '../util/logger.ts'
import { MemoryBudget } from '../util/memory-budget.ts'
import { onStopSignal } from './ending.ts'
import { ExitCode } from './exit-codes.ts'
import { CommandFailure } from './failures.ts'

export interface StoreFlags {
  readonly config?: string | undefined
}

/** The store that a command is about. */
export interface NamedStore {
  readonly configuration: StoreConfiguration
  /** Its URL, as it may be shown. */
  readonly name: string
}

/** A store cannot be used, or was lost. */
export class StoreFailure extends CommandFailure {
  readonly code: StoreError['code']

  constructor({ code, message }: StoreError) {
    const hint = code === 'in use' ? ' This command needs the store for itself.' : ''
    super(`${message}${hint}`, ExitCode.CannotStore)
    this.code = code
  }
}

/** Adds the flags that name the store. */
export function withStoreFlags<T>(yargs: Argv<T>): Argv<T & StoreFlags> {
  for (const [name, flag] of Object.entries(configurationFlags())) {
    if (name.startsWith('store.')) yargs.option(name, { ...flag, hidden: true })
  }
  return yargs
    .option('config', {
      type: 'string',
      requiresArg: true,
      describe: 'Configuration, a YAML file; by default NOCTULE_CONFIG of the environment',
    })
    .option('store', {
      type: 'string',
      requiresArg: true,
      describe: 'The store [that of the configuration]: disk:DIRECTORY, redis://HOST',
    })
}

/** Throws a sentence, or several, if the configuration has mistakes. */
export function nameStore(flags: StoreFlags): NamedStore {
  try {
    const { options } = loadConfiguration({
      file: flags.config ?? process.env['NOCTULE_CONFIG'],
      environment: process.env,
      flags: flagsFrom(flags as Readonly<Record<string, unknown>>),
    })
    return { configuration: options.store, name: withoutPassword(options.store.url) }
  } catch (error) {
    if (!(error instanceof ConfigurationError)) throw error
    throw new CommandFailure(error.message, ExitCode.Usage)
  }
}

/** Rejects where there is no store: to open one as its user would make it, and find that it is sound. */
export async function assertThere({ configuration }: NamedStore): Promise<void> {
  try {
    await assertStoreThere(configuration.url)
  } catch (error) {
    throw error instanceof StoreError ? new StoreFailure(error) : error
  }
}

/** Opens a store to look into it, beside a running broker where that can be, and closes it after `use`. */
export function withReader<T>(
  { configuration }: NamedStore,
  use: (opened: OpenedReader) => Promise<T>,
): Promise<T> {
  return whileOpen(configuration, async (parts, { events }) => {
    const opened = await openForReading(parts, events)
    try {
      return await use(opened)
    } finally {
      await opened.reader.close()
    }
  })
}

/**
 * Opens a store as its only user, and closes it after `use`. The signal is aborted when the store is lost,
 * has taken nothing for as long as a client would wait, or somebody stops the command.
 */
export function withStore<T>(
  { configuration }: NamedStore,
  use: (store: Store, signal: AbortSignal) => Promise<T>,
): Promise<T> {
  return whileOpen(configuration, async (parts, { events, signal }) => {
    const makeStore = await loadStore(configuration.url)
    const store = makeStore(parts)
    await store.open(events)
    const off = onStopSignal(events.stop)
    try {
      return await use(store, signal)
    } finally {
      off()
      await store.close()
    }
  })
}

/** Says that what was told is not all, and what to do. */
export function warnOfDamage(damagedRecords: number): void {
  if (damagedRecords === 0) return
  const records = damagedRecords === 1 ? '1 record is' : `${damagedRecords} records are`
  say(`${records} damaged and left out. See: noctule store check`)
}

/** For what is told beside the output of a command. */
export function say(sentence: string): void {
  console.error(escapeHidden(sentence))
}

/** A name that a stranger chose, so that it can neither end a line nor hide one. */
export function quoted(name: string): string {
  return escapeHidden(JSON.stringify(name))
}

interface Watch {
  readonly events: StoreEvents & { readonly stop: () => void }
  readonly signal: AbortSignal
}

async function whileOpen<T>(
  configuration: StoreConfiguration,
  use: (parts: StoreParts, watch: Watch) => Promise<T>,
): Promise<T> {
  // The timers of a store do not keep a process alive, and there may be nothing else that does.
  const beat = setInterval(() => {}, 2 ** 30)
  const budget = new MemoryBudget(Number.POSITIVE_INFINITY)
  const parts = { configuration, clock: systemClock, budget, log: sayingLog }
  try {
    return await use(parts, watchStore(configuration.timeoutMs))
  } catch (error) {
    if (!(error instanceof StoreError)) throw error
    throw new StoreFailure(error)
  } finally {
    clearInterval(beat)
  }
}

function watchStore(timeoutMs: number): Watch {
  const controller = new AbortController()
  const { signal } = controller
  let timer: NodeJS.Timeout | undefined
  return {
    signal,
    events: {
      healthChanged(isHealthy, reason) {
        say(reason)
        clearTimeout(timer)
        if (isHealthy) return
        const giveUp = () => controller.abort(new StoreError('unavailable', reason))
        timer = setTimeout(giveUp, timeoutMs).unref()
      },
      lost: (error) => controller.abort(error),
      emptied: async () => {
        const error = new StoreError('unavailable', 'The store has come back without what it had.')
        controller.abort(error)
      },
      stop: () => controller.abort(new CommandFailure('It was stopped by a signal.')),
    },
  }
}

/** What a store logs in a broker is told to whoever sits in front of the command. */
const sayingLog: Logger = {
  trace() {},
  debug() {},
  info: (_, message) => say(message),
  warn: (_, message) => say(message),
  error: (_, message) => say(message),
}
