/** `noctule acl`: what rules say, before they are in force; and in Redis, the rules for everybody. */

import { readFileSync } from 'node:fs'
import { basename } from 'node:path'
import type { Argv, CommandModule } from 'yargs'
import type { SecurityConfiguration } from '../config/options.ts'
import type { Qos } from '../protocol/packets.ts'
import { isTopicFilter, isTopicName, parseSharedFilter } from '../protocol/topics.ts'
import type { Decision } from '../security/access.ts'
import { partlyReadableOf } from '../security/access-list.ts'
import { parseAclFile } from '../security/acl/parse.ts'
import { ClientRules, type RuleClient } from '../security/acl/rules.ts'
import { FileProblem } from '../security/file-problem.ts'
import { EVERYBODY } from '../security/redis/keys.ts'
import { parseRoles, rulesFor } from '../security/redis/role-rules.ts'
import { fileSentence } from '../util/file-sentence.ts'
import { type RedisFlags, redisUrlOf, withAccounts, withRedisFlags } from './accounts-access.ts'
import { ExitCode } from './exit-codes.ts'
import { CommandFailure, UsageError } from './failures.ts'
import { setRules } from './role.ts'
import { readRulesFile } from './rules-file.ts'
import { optionOfConfiguration } from './security-option.ts'

const actions = ['publish', 'subscribe', 'receive'] as const

interface CheckFlags extends RedisFlags {
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
}

interface SetFlags extends RedisFlags {
  readonly rules: string
}

export const aclCommand: CommandModule = {
  command: 'acl',
  describe: 'Ask the rules of an ACL file or of Redis; the rules for everybody in Redis',
  builder: (yargs) =>
    yargs
      .command(checkCommand)
      .command(showCommand)
      .command(setCommand)
      .demandCommand(1, 'Say what to do: acl check; in Redis also acl show or acl set.')
      .example('noctule acl check -u meter-7 -t meter/7/power -a publish --acl acl.conf', '')
      .example('noctule acl set acl.conf --redis redis://db', 'for everybody, behind the roles')
      .epilogue(
        'Rules of roles: noctule role.\n' +
          'Exit codes: 0 yes, also in part, or done, 1 no, 2 mistakes in the rules, the configuration or the command line, 4 cannot use the Redis.',
      ),
  handler: () => {}, // yargs calls those of the commands.
}

const checkCommand: CommandModule<object, CheckFlags> = {
  command: 'check',
  describe: 'Say whether a client may do something, and which rule decides',
  builder: (yargs: Argv<object>): Argv<CheckFlags> =>
    withRedisFlags(yargs)
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
      .option('acl', { ...text, describe: 'ACL file [security.aclFile of the configuration]' }),
  handler: async (flags) => {
    assertTopic(flags)
    const { isAllowed, isFiltered = false, rule = '' } = await judge(flags)
    console.log(`${isFiltered ? 'in part' : isAllowed ? 'yes' : 'no'}: ${rule}`)
    process.exitCode = isAllowed ? ExitCode.Success : ExitCode.Failure
  },
}

const showCommand: CommandModule<object, RedisFlags> = {
  command: 'show',
  describe: 'Print the rules for everybody in Redis',
  builder: withRedisFlags,
  handler: (flags) =>
    withAccounts(flags, async (administration) => {
      const roles = await administration.roles()
      process.stdout.write(roles.get(EVERYBODY) ?? '')
    }),
}

const setCommand: CommandModule<object, SetFlags> = {
  command: 'set <rules>',
  describe: 'Put the rules of a file in force for everybody, in place of those in Redis',
  builder: (yargs: Argv<object>): Argv<SetFlags> =>
    withRedisFlags(yargs).positional('rules', {
      type: 'string',
      demandOption: true,
      describe: 'File of rules; -: standard input',
    }),
  handler: async (flags) => {
    const rules = await readRulesFile(flags.rules)
    await withAccounts(flags, (administration) => setRules(administration, EVERYBODY, rules))
    console.log('These rules are in force for everybody, behind those of roles.')
  },
}

const text = { type: 'string', requiresArg: true } as const

function assertTopic({ action, topic }: CheckFlags): void {
  if (action === 'subscribe') {
    const filter = parseSharedFilter(topic)?.topicFilter ?? topic
    if (!isTopicFilter(filter)) throw new UsageError(`"${topic}" is not a Topic Filter`)
  } else if (!isTopicName(topic)) {
    throw new UsageError(`"${topic}" is not a Topic Name: + and # go with --action subscribe`)
  }
}

/** Asks as a broker does: Redis, and the ACL file if Redis has no rule about that client. */
async function judge(flags: CheckFlags): Promise<Decision> {
  const isNamed = flags.acl !== undefined || flags.redis !== undefined
  const path = isNamed ? flags.acl : optionOfConfiguration(flags.config, 'aclFile')
  const url = isNamed ? flags.redis : redisUrlOf(flags)
  if (path === undefined && url === undefined) {
    throw new UsageError(
      'Name the ACL file: --acl FILE, or security.aclFile in the configuration; or a Redis: --redis URL',
    )
  }
  const shared = url === undefined ? undefined : await rulesInRedis(flags)
  if (shared !== undefined) return decide(shared, flags)
  if (path === undefined) {
    return { isAllowed: false, rule: 'there is no rule in Redis about that client' }
  }
  return decide(rulesInFile(path, flags), flags)
}

function decide(rules: ClientRules, { action, topic, qos, retain }: CheckFlags): Decision {
  if (action === 'subscribe') return rules.maySubscribe(topic, qos)
  return action === 'publish' ? rules.mayPublish(topic, qos, retain) : rules.mayReceive(topic, qos)
}

function rulesInRedis(flags: CheckFlags): Promise<ClientRules | undefined> {
  return withAccounts(flags, async (administration) => {
    const { user } = flags
    const account = user === undefined ? undefined : await administration.account(user)
    const roles = parseRoles(await administration.roles())
    const partlyReadable = partlyReadableOf('', partlyReadableIn(flags))
    return rulesFor(roles, account?.roles ?? [], clientOf(flags), partlyReadable)
  })
}

function clientOf(flags: CheckFlags): RuleClient {
  return {
    clientIdentifier: flags.client,
    userName: flags.user,
    address: flags.address,
    listener: flags.listener,
    certificateCommonName: flags.cn,
    certificate: certificateFrom(flags),
  }
}

function certificateFrom({ cn, dns, email, uri }: CheckFlags): RuleClient['certificate'] {
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

function partlyReadableIn({ config }: CheckFlags): SecurityConfiguration['aclPartlyReadable'] {
  return optionOfConfiguration(config, 'aclPartlyReadable')
}

function rulesInFile(path: string, flags: CheckFlags): ClientRules {
  try {
    const content = readFileSync(path, 'utf8')
    const partlyReadable = partlyReadableOf(content, partlyReadableIn(flags))
    return new ClientRules(basename(path), parseAclFile(content), clientOf(flags), partlyReadable)
  } catch (error) {
    const sentence =
      error instanceof FileProblem
        ? error.at(path)
        : `Cannot read ${path}: ${fileSentence(error as NodeJS.ErrnoException)}.`
    throw new CommandFailure(sentence, ExitCode.Usage)
  }
}
