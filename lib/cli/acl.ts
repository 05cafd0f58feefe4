/** `noctule acl check`: what the rules of a file say, before they are in force. */

import { Buffer } from 'node:buffer'
import { readFileSync } from 'node:fs'
import { basename } from 'node:path'
import type { Argv, CommandModule } from 'yargs'
import type { Qos } from '../protocol/packets.ts'
import { isTopicFilter, isTopicName, parseSharedFilter } from '../protocol/topics.ts'
import type { ClientInfo, Decision } from '../security/access.ts'
import { AccessList } from '../security/access-list.ts'
import { FileProblem } from '../security/file-problem.ts'
import { ExitCode } from './exit-codes.ts'
import { CommandFailure, UsageError } from './failures.ts'
import { optionOfConfiguration } from './security-option.ts'

const actions = ['publish', 'subscribe', 'receive'] as const

interface CheckFlags {
  readonly user?: string | undefined
  readonly client: string
  readonly topic: string
  readonly action: (typeof actions)[number]
  readonly qos: Qos
  readonly retain: boolean
  readonly address: string
  readonly listener: string
  readonly cn?: string | undefined
  readonly dns?: string | undefined
  readonly email?: string | undefined
  readonly uri?: string | undefined
  readonly acl?: string | undefined
  readonly config?: string | undefined
}

export const aclCommand: CommandModule = {
  command: 'acl',
  describe: 'Ask the rules of an ACL file',
  builder: (yargs) =>
    yargs
      .command(checkCommand)
      .demandCommand(1, 'Say what to do: acl check.')
      .example('noctule acl check -u meter-7 -t meter/7/power -a publish --acl acl.conf', '')
      .epilogue(
        'Exit codes: 0 yes, also in part, 1 no, 2 mistakes in the file, the configuration or the command line.',
      ),
  handler: () => {}, // yargs calls those of the commands.
}

const checkCommand: CommandModule<object, CheckFlags> = {
  command: 'check',
  describe: 'Say whether a client may do something, and which rule decides',
  builder: (yargs: Argv<object>): Argv<CheckFlags> =>
    yargs
      .option('user', { alias: 'u', ...text, describe: 'User name [none: anonymous]' })
      .option('client', { alias: 'i', ...text, default: '', describe: 'Client Identifier' })
      .option('topic', {
        alias: 't',
        ...text,
        demandOption: true,
        describe: 'Topic Name, for subscribe the Topic Filter',
      })
      .option('action', {
        alias: 'a',
        choices: actions,
        demandOption: true,
        describe: 'publish, subscribe, or receive what others publish',
      })
      .option('qos', {
        alias: 'q',
        choices: [0, 1, 2] as const,
        default: 0 as const,
        describe: 'QoS',
      })
      .option('retain', { alias: 'r', type: 'boolean', default: false, describe: 'Retained' })
      .option('address', { ...text, default: '127.0.0.1', describe: 'Address it comes from' })
      .option('listener', { ...text, default: 'tcp-0', describe: 'Listener it comes to' })
      .option('cn', { ...text, describe: 'Common Name of its certificate' })
      .option('dns', { ...text, describe: 'DNS name in its certificate' })
      .option('email', { ...text, describe: 'E-mail address in its certificate' })
      .option('uri', { ...text, describe: 'URI in its certificate' })
      .option('acl', { ...text, describe: 'ACL file [security.aclFile of the configuration]' })
      .option('config', {
        ...text,
        describe: 'Configuration, a YAML file; by default NOCTULE_CONFIG of the environment',
      }),
  handler: (flags) => {
    const { isAllowed, isFiltered = false, rule = '' } = judge(flags)
    console.log(`${isFiltered ? 'in part' : isAllowed ? 'yes' : 'no'}: ${rule}`)
    process.exitCode = isAllowed ? ExitCode.Success : ExitCode.Failure
  },
}

const text = { type: 'string', requiresArg: true } as const

function judge(flags: CheckFlags): Decision {
  const { action, topic, qos, retain } = flags
  const rules = rulesOf(flags)
  const client: ClientInfo = {
    clientIdentifier: flags.client,
    userName: flags.user,
    protocolVersion: 5,
    address: flags.address,
    port: 0,
    listener: flags.listener,
    certificateCommonName: flags.cn,
    certificate: certificateFrom(flags),
  }
  if (action === 'subscribe') {
    const filter = parseSharedFilter(topic)?.topicFilter ?? topic
    if (!isTopicFilter(filter)) throw new UsageError(`"${topic}" is not a Topic Filter`)
    return rules.authorizeSubscribe(client, { topicFilter: topic, qos })
  }
  if (!isTopicName(topic)) {
    throw new UsageError(`"${topic}" is not a Topic Name: + and # go with --action subscribe`)
  }
  const payload = Buffer.alloc(0)
  return action === 'publish'
    ? rules.authorizePublish(client, { topic, qos, retain, payload })
    : rules.authorizeReceive(client, { topic, qos })
}

function certificateFrom({ cn, dns, email, uri }: CheckFlags): ClientInfo['certificate'] {
  const given = (name: string | undefined) => (name === undefined ? [] : [name])
  return {
    commonName: cn ?? '',
    fingerprint256: '',
    serialNumber: '',
    dnsNames: given(dns),
    emailAddresses: given(email),
    uris: given(uri),
  }
}

function rulesOf({ acl, config }: CheckFlags): AccessList {
  const path = acl ?? optionOfConfiguration(config, 'aclFile')
  if (path === undefined) {
    throw new UsageError('Name the ACL file: --acl FILE, or security.aclFile in the configuration')
  }
  const rules = new AccessList(basename(path), optionOfConfiguration(config, 'aclPartlyReadable'))
  try {
    rules.use(readFileSync(path, 'utf8'))
  } catch (error) {
    const sentence =
      error instanceof FileProblem
        ? error.at(path)
        : `Cannot read ${path}: ${(error as Error).message}.`
    throw new CommandFailure(sentence, ExitCode.Usage)
  }
  return rules
}
