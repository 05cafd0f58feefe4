/** `noctule start`: the broker as a program, from its flags to its exit code. */

import { once } from 'node:events'
import type { Argv, CommandModule } from 'yargs'
import { Broker } from '../broker/broker.ts'
import { type ConfigurationFlag, configurationFlags, flagsFrom } from '../config/flags.ts'
import { loadConfiguration } from '../config/load.ts'
import type {
  BrokerConfiguration,
  ListenerConfiguration,
  SecurityConfiguration,
} from '../config/options.ts'
import { ConfigurationError } from '../config/problems.ts'
import { compareForReload } from '../config/reload.ts'
import { loadStore } from '../storage/load.ts'
import { StoreError } from '../storage/storage.ts'
import { ListenError } from '../transport/listen.ts'
import { createLogger, type LeveledLogger } from '../util/logger.ts'
import { youngCollector } from '../util/outside-memory.ts'
import { ExitCode } from './exit-codes.ts'
import { UsageError } from './failures.ts'
import { makeFirstAdministrator } from './first-administrator.ts'

interface StartArguments {
  readonly config?: string | undefined
  readonly host?: string | undefined
  readonly port?: number | undefined
  readonly wsPort?: number | undefined
  readonly allowAnonymous?: boolean | undefined
  readonly logLevel?: string | undefined
  readonly logFormat?: string | undefined
}

export const startCommand: CommandModule<object, StartArguments> = {
  command: ['start', '$0'],
  describe: 'Start the broker',
  builder: (yargs: Argv<object>): Argv<StartArguments> =>
    yargs
      .option('config', {
        type: 'string',
        requiresArg: true,
        describe: 'Configuration, a YAML file',
      })
      .option('host', {
        type: 'string',
        requiresArg: true,
        describe: 'Address to listen on [127.0.0.1]; 0.0.0.0 or :: for all',
      })
      .option('port', {
        type: 'number',
        coerce: checkPort('--port'),
        requiresArg: true,
        describe: 'Port for MQTT over TCP [1883]; 0: any free one',
      })
      .option('ws-port', {
        type: 'number',
        coerce: checkPort('--ws-port'),
        requiresArg: true,
        describe: 'Port for MQTT over WebSocket [8083]; 0: any free one',
      })
      .option('allow-anonymous', {
        type: 'boolean',
        describe: 'Let clients in without user name, also from other machines',
      })
      .option('log-level', {
        choices: ['trace', 'debug', 'info', 'warn', 'error', 'silent'],
        describe: 'Least important lines to log [info]',
      })
      .option('log-format', {
        choices: ['auto', 'pretty', 'json'],
        describe: 'How log lines look [auto: pretty on a terminal]',
      })
      .options(optionFlags())
      .example('noctule start --port 0 --ws-port 0', 'on any free ports')
      .example('noctule start --host 0.0.0.0 --allow-anonymous', 'open to the network')
      .example(
        'noctule start --host 0.0.0.0 --security.passwordFile passwords',
        'for the users of a file',
      )
      .epilogue(
        'Every option of the configuration file is a flag too (--session.queueMessagesMax 500) and an environment variable:\n' +
          'see `noctule config show`, or --show-hidden.\n' +
          'SIGTERM and SIGINT stop the broker, SIGHUP reads the configuration and certificates again.\n' +
          'Exit codes: 0 stopped as asked, 1 failed, 2 mistakes in the configuration or command line, 3 cannot listen, 4 cannot use the store.',
      ),
  handler: async (flags) => {
    process.exitCode = await run(flags)
  },
}

/** The options of the configuration as flags: there are many, so --help shows them only when asked. */
function optionFlags(): Record<string, ConfigurationFlag> {
  const { store, ...others } = configurationFlags()
  const hidden = Object.entries(others).map(([name, flag]) => [name, { ...flag, hidden: true }])
  return {
    store: {
      ...store,
      describe: 'Where sessions live [disk:./data]: disk:DIRECTORY, redis://HOST, memory',
    },
    ...Object.fromEntries(hidden),
  }
}

/** Throws unless `port` is one: the configuration would name it by its place among the listeners. */
function checkPort(flag: string): (port: number) => number {
  return (port) => {
    if (Number.isInteger(port) && port >= 0 && port <= 65_535) return port
    throw new UsageError(`${flag} must be a whole number from 0 to 65535.`)
  }
}

/** Runs the broker until a signal stops it; returns the exit code. */
async function run(flags: StartArguments): Promise<number> {
  let configuration: BrokerConfiguration
  try {
    configuration = load(flags)
  } catch (error) {
    if (!(error instanceof ConfigurationError)) throw error
    console.error(error.message)
    return ExitCode.Usage
  }
  const logger = createLogger(configuration.log)
  let broker: Broker
  try {
    await makeFirstAdministrator(configuration.security)
    const parts = { logger, collectYoung: youngCollector() }
    broker = new Broker(configuration, parts, await loadStore(configuration.store.url))
    await broker.start()
  } catch (error) {
    if (error instanceof ConfigurationError) {
      console.error(error.message)
      return ExitCode.Usage
    }
    if (error instanceof ListenError || error instanceof StoreError) {
      console.error(error.message)
      return error instanceof ListenError ? ExitCode.CannotListen : ExitCode.CannotStore
    }
    throw error
  }
  const reload = () => void reloadRunning(flags, broker, logger)
  process.on('SIGHUP', reload)
  const failed = once(broker, 'failed').then(() => undefined)
  const stopped = Promise.race([untilStopped(), failed])
  greet(broker)
  const signal = await stopped
  process.off('SIGHUP', reload)
  if (signal === undefined) return ExitCode.CannotStore
  logger.info({ signal }, 'stopping')
  await broker.close()
  return ExitCode.Success
}

function load(flags: StartArguments): BrokerConfiguration {
  const file = flags.config ?? process.env.NOCTULE_CONFIG
  const request = { file, environment: process.env }
  const settings: Record<string, unknown> = {
    ...flagsFrom(flags as Readonly<Record<string, unknown>>),
    'security.allowAnonymous': flags.allowAnonymous,
    'log.level': flags.logLevel,
    'log.format': flags.logFormat,
  }
  if (flags.host !== undefined || flags.port !== undefined || flags.wsPort !== undefined) {
    // Which listener `--port` means depends on the list that file and environment make.
    const { listeners } = loadConfiguration(request).options
    Object.assign(settings, listenerSettings(listeners, flags))
  }
  return loadConfiguration({ ...request, flags: settings }).options
}

/** `--host` moves all network listeners, `--port` and `--ws-port` the first of their type. */
function listenerSettings(
  listeners: readonly ListenerConfiguration[],
  { host, port, wsPort }: StartArguments,
): Record<string, unknown> {
  const settings: Record<string, unknown> = {}
  const set = (index: number, field: string, value: unknown) => {
    if (index >= 0 && value !== undefined) settings[`listeners.${index}.${field}`] = value
  }
  for (const [index, { type }] of listeners.entries()) if (type !== 'unix') set(index, 'host', host)
  set(
    listeners.findIndex(({ type }) => type === 'tcp'),
    'port',
    port,
  )
  set(
    listeners.findIndex(({ type }) => type === 'ws'),
    'port',
    wsPort,
  )
  return settings
}

/** Says where the broker listens and how to try it. Keeps out of the way of a log in JSON. */
function greet(broker: Broker): void {
  const { log, listeners, security, monitor } = broker.configuration
  const isQuiet = ['warn', 'error', 'silent'].includes(log.level)
  // A port that the system chose is known from here alone.
  const isPortChosen =
    monitor.metrics.port === 0 ||
    listeners.some((listener) => listener.type !== 'unix' && listener.port === 0)
  if (isQuiet && !isPortChosen) return
  const isPretty = log.format === 'pretty' || (log.format === 'auto' && process.stdout.isTTY)
  const say = isPretty ? console.log : console.error
  for (const url of broker.urls) say(`Noctule listens on ${url}`)
  if (broker.metricsUrl !== undefined) say(`Metrics are at ${broker.metricsUrl}`)
  const port = broker.urls.map((url) => /^mqtt:\/\/.*:(\d+)$/.exec(url)?.[1]).find(Boolean)
  if (port === undefined || isQuiet) return
  const account = wantsUsers(security) ? ' -u USER -P PASSWORD' : ''
  const where = `${port === '1883' ? '' : ` -p ${port}`}${account}`
  say('Try it:')
  say(`  npx noctule sub${where} -t 'hello/#' -v`)
  say(`  npx noctule pub${where} -t hello/world -m 'Hi there'`)
}

/** Whether somebody is asked who a client is, so that one without a user is refused. */
function wantsUsers(security: SecurityConfiguration): boolean {
  const { allowAnonymous, passwordFile, redisUrl, jwt, http } = security
  const users = passwordFile ?? redisUrl ?? http.authenticateUrl ?? jwt.algorithms[0]
  return users !== undefined && allowAnonymous !== true
}

/** Resolves with the first signal that asks us to stop; a second one ends the process at once. */
function untilStopped(): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    const stop = (signal: NodeJS.Signals) => {
      const quit = () => process.exit(ExitCode.Failure)
      for (const name of ['SIGTERM', 'SIGINT'] as const) {
        process.off(name, stop)
        process.on(name, quit)
      }
      resolve(signal)
    }
    process.on('SIGTERM', stop)
    process.on('SIGINT', stop)
  })
}

/** SIGHUP: what may change while running changes; what may not is named. */
async function reloadRunning(
  flags: StartArguments,
  broker: Broker,
  logger: LeveledLogger,
): Promise<void> {
  try {
    const changed = load(flags)
    const { apply, needsRestart } = compareForReload(broker.configuration, changed)
    await broker.reload(changed)
    if (apply.includes('log.level')) logger.level = changed.log.level
    logger.info({ applied: apply, needsRestart }, 'configuration and certificates read again')
  } catch (error) {
    const { message } = error as Error
    logger.error({ rule: message }, 'nothing was changed: the configuration cannot be used')
  }
}
