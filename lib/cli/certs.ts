/** `noctule certs`: an authority of one's own, with certificates for the broker and for devices. */

import { randomBytes } from 'node:crypto'
import { isIP } from 'node:net'
import { hostname } from 'node:os'
import type { Argv, CommandModule } from 'yargs'
import { clientCommands, dayOf, listenerLines } from './certs/advice.ts'
import { Authority, type Validity } from './certs/authority.ts'
import { AUTHORITY, CertificateFolder, SERVER } from './certs/folder.ts'
import { CommandFailure, UsageError } from './failures.ts'

const DAY_MS = 86_400_000
/** Clocks of devices that are a little late find a new certificate valid. */
const BACKDATED_MS = 3_600_000
const DAYS_MAX = 36_500
const AUTHORITY_DAYS = 3650
/** The longest that Apple's systems accept. */
const SERVER_DAYS = 825
const HOST = /^(?=.{1,253}$)(\*\.)?[\w-]{1,63}(\.[\w-]{1,63})*$/
const DEVICE = /^[A-Za-z0-9_][A-Za-z0-9_.@-]{0,63}$/
const SERIAL_NUMBER = /^[0-9a-f]{1,40}$/i
const EXAMPLE_DEVICE = 'meter-7'

interface FolderFlags {
  readonly dir: string
}

interface MakeFlags extends FolderFlags {
  readonly days: number
  readonly force: boolean
}

interface ServerFlags extends MakeFlags {
  readonly host?: readonly string[] | undefined
}

interface InitFlags extends ServerFlags {
  readonly caDays?: number | undefined
}

interface DeviceFlags extends MakeFlags {
  readonly name: string
}

interface RevokeFlags extends FolderFlags {
  readonly name?: string | undefined
  readonly serial?: string | undefined
}

export const certsCommand: CommandModule = {
  command: 'certs',
  describe: 'Make certificates for the broker and for devices',
  builder: (yargs) =>
    yargs
      .command(initCommand)
      .command(deviceCommand)
      .command(revokeCommand)
      .command(serverCommand)
      .demandCommand(1, 'Say what to do: certs init, certs device, certs revoke or certs server.')
      .example('noctule certs init --host broker.example.org', 'an authority, and the broker')
      .example('noctule certs device meter-7', 'a client whose user name is meter-7')
      .epilogue(
        'A broker that runs takes changed files over at once.\nExit codes: 0 done, 1 could not be done, 2 mistakes in the command line.',
      ),
  handler: () => {}, // yargs calls those of the commands.
}

const initCommand: CommandModule<object, InitFlags> = {
  command: 'init',
  describe: 'Make an authority, and a certificate for the broker',
  builder: (yargs: Argv<object>): Argv<InitFlags> =>
    withServerFlags(yargs).option('ca-days', {
      ...days,
      describe: `How long the authority is valid, and with it all that it signs [${AUTHORITY_DAYS}]`,
    }),
  handler: async (flags) => {
    const folder = new CertificateFolder(flags.dir)
    const hosts = hostsOf(flags)
    folder.assertFree([AUTHORITY, SERVER], flags.force)
    const name = `Noctule CA ${randomBytes(4).toString('hex')}`
    const made = await Authority.make(name, validityOf(flags.caDays ?? AUTHORITY_DAYS))
    const authority = await Authority.from(made)
    const server = await authority.signServer(hosts, validityOf(flags.days))
    const revocations = await authority.signRevocations([], listValidity(authority))
    folder.write(AUTHORITY, made)
    folder.write(SERVER, server)
    folder.writeRevocations(revocations)
    console.log(`Made in ${folder.path}:
  ca.crt      the authority "${name}", until ${dayOf(authority.until)}: clients need it
  ca.key      its key: who has it can make certificates, so the broker need not
  ca.crl      the list of revoked certificates: none yet
  server.crt  the broker as ${hosts.join(', ')}, until ${endOf(authority, flags.days)}
  server.key  its key

For the configuration of the broker:

${listenerLines(folder)}

Next, a certificate for each device, and what it connects with:

  noctule certs device ${EXAMPLE_DEVICE} --dir ${folder.path}
${clientCommands(folder, EXAMPLE_DEVICE)}`)
  },
}

const serverCommand: CommandModule<object, ServerFlags> = {
  command: 'server',
  describe: 'Make another certificate for the broker, of the same authority',
  builder: withServerFlags,
  handler: async (flags) => {
    const folder = new CertificateFolder(flags.dir)
    const hosts = hostsOf(flags)
    folder.assertFree([SERVER], flags.force)
    const authority = await folder.authority()
    folder.write(SERVER, await authority.signServer(hosts, validityOf(flags.days)))
    console.log(
      `The broker is ${hosts.join(', ')} until ${endOf(authority, flags.days)}: ${folder.certificateFile(SERVER)}`,
    )
  },
}

const deviceCommand: CommandModule<object, DeviceFlags> = {
  command: 'device <name>',
  describe: 'Make a certificate for a client; its name is the user name',
  builder: (yargs: Argv<object>): Argv<DeviceFlags> =>
    withMakeFlags(yargs, AUTHORITY_DAYS).positional('name', {
      type: 'string',
      demandOption: true,
      describe: 'Common Name',
    }),
  handler: async (flags) => {
    const { name } = flags
    assertDevice(name)
    const folder = new CertificateFolder(flags.dir)
    folder.assertFree([name], flags.force)
    const authority = await folder.authority()
    folder.write(name, await authority.signDevice(name, validityOf(flags.days)))
    console.log(`Made in ${folder.path}, valid until ${endOf(authority, flags.days)}:
  ${name}.crt  the certificate
  ${name}.key  its key

It connects with:

${clientCommands(folder, name)}

The listener of the broker:

${listenerLines(folder)}`)
  },
}

const revokeCommand: CommandModule<object, RevokeFlags> = {
  command: 'revoke [name]',
  describe: 'Take the certificate of a device back',
  builder: (yargs: Argv<object>): Argv<RevokeFlags> =>
    withFolder(yargs)
      .positional('name', { type: 'string', describe: 'Common Name' })
      .option('serial', {
        type: 'string',
        requiresArg: true,
        describe: 'Serial number, in place of the name, of one that was replaced',
      }),
  handler: async (flags) => {
    const folder = new CertificateFolder(flags.dir)
    const authority = await folder.authority()
    const serialNumber = await serialNumberOf(flags, folder, authority)
    const list = folder.readRevocations()
    const known = list === undefined ? [] : await readList(authority, list, folder)
    if (known.some((entry) => entry.serialNumber === serialNumber)) {
      throw new CommandFailure(`${flags.name ?? serialNumber} is revoked already.`)
    }
    const entries = [...known, { serialNumber, at: Date.now() }]
    folder.writeRevocations(await authority.signRevocations(entries, listValidity(authority)))
    console.log(
      `${flags.name ?? 'The certificate'}, serial ${serialNumber}, is revoked. A broker with crlFile: ${folder.revocationFile} refuses it from now on; who is connected stays until it connects again.`,
    )
  },
}

async function serialNumberOf(
  { name, serial }: RevokeFlags,
  folder: CertificateFolder,
  authority: Authority,
): Promise<string> {
  if ((name === undefined) === (serial === undefined)) {
    throw new UsageError('Name the device, or give --serial')
  }
  if (serial !== undefined) {
    if (!SERIAL_NUMBER.test(serial)) throw new UsageError('--serial wants hexadecimal digits')
    return serial.toLowerCase()
  }
  assertDevice(name ?? '')
  try {
    return await authority.serialNumberOf(folder.readCertificate(name ?? ''))
  } catch (error) {
    if (error instanceof CommandFailure) throw error
    throw unusable(folder.certificateFile(name ?? ''), error)
  }
}

async function readList(authority: Authority, list: string, folder: CertificateFolder) {
  try {
    return await authority.readRevocations(list)
  } catch (error) {
    throw unusable(folder.revocationFile, error)
  }
}

function unusable(path: string, error: unknown): CommandFailure {
  return new CommandFailure(`${path} cannot be used: ${(error as Error).message}.`)
}

const days = {
  type: 'number',
  requiresArg: true,
  coerce: (value: number): number => {
    if (Number.isInteger(value) && value >= 1 && value <= DAYS_MAX) return value
    throw new UsageError(`Days are a whole number from 1 to ${DAYS_MAX}`)
  },
} as const

function withFolder<T>(yargs: Argv<T>): Argv<T & FolderFlags> {
  return yargs.option('dir', {
    type: 'string',
    requiresArg: true,
    default: 'certs',
    describe: 'Folder of the certificates',
  })
}

function withMakeFlags<T>(yargs: Argv<T>, byDefault: number): Argv<T & MakeFlags> {
  return withFolder(yargs)
    .option('days', { ...days, default: byDefault, describe: 'How long it is valid' })
    .option('force', { type: 'boolean', default: false, describe: 'Replace what is there' })
}

function withServerFlags(yargs: Argv<object>): Argv<ServerFlags> {
  return withMakeFlags(yargs, SERVER_DAYS).option('host', {
    type: 'string',
    array: true,
    requiresArg: true,
    describe: 'Names and addresses of the broker [localhost, 127.0.0.1, ::1 and this machine]',
  })
}

function hostsOf({ host }: ServerFlags): string[] {
  const hosts = [...new Set(host ?? ['localhost', '127.0.0.1', '::1', hostname()])]
  const wrong = hosts.find((one) => isIP(one) === 0 && !HOST.test(one))
  if (wrong === undefined) return hosts
  throw new UsageError(`--host ${JSON.stringify(wrong)} is neither a host name nor an address`)
}

function assertDevice(name: string): void {
  if (!DEVICE.test(name)) {
    throw new UsageError(
      `A device cannot be called ${JSON.stringify(name)}: 1 to 64 letters, digits, dots, dashes, underscores and @, as its name is that of files too`,
    )
  }
  if (name === AUTHORITY || name === SERVER) {
    throw new UsageError(`A device cannot be called ${name}: the files of that name are others`)
  }
}

function validityOf(daysValid: number): Validity {
  const now = Date.now()
  return { from: now - BACKDATED_MS, until: now + daysValid * DAY_MS }
}

/** As long as the authority: a list that ends would one day refuse everybody. */
function listValidity({ until }: Authority): Validity {
  return { from: Date.now(), until }
}

function endOf({ until }: Authority, daysValid: number): string {
  return dayOf(Math.min(validityOf(daysValid).until, until))
}
