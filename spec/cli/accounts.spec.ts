/** `noctule user`, `role` and `acl` with a real Redis. */

import { randomUUID } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { ExecutionContext } from 'ava'
import { AccountKeys } from '../../lib/security/redis/keys.ts'
import { type CliResult, run, temporaryDirectory } from '../support/processes.ts'
import { RedisServer } from '../support/redis-server.ts'
import { redisTest, shared } from '../support/redis-test.ts'

const server = shared(() => RedisServer.start())

type Noctule = (line: string, input?: string) => Promise<CliResult>

/** The command line with a Redis of a test's own. Words are separated by spaces. */
async function noctule(t: ExecutionContext): Promise<{ run: Noctule; keys: AccountKeys }> {
  const { url } = await server()
  const prefix = `${randomUUID()}:`
  const place = ['--redis', url, '--key-prefix', prefix]
  return {
    run: (line, input = 'pencil\n') => run(t, [...line.split(' '), ...place], { input }),
    keys: new AccountKeys(prefix),
  }
}

redisTest(
  'users in Redis are added, shown, disabled, given another password, and removed',
  async (t) => {
    const { run: cli, keys } = await noctule(t)
    const redis = await server()

    t.regex((await cli('user add alice --cost=10')).stdout, /^User "alice" is in Redis at 127/)
    t.is((await cli('user add x:y --cost=12 --scram')).code, 0)
    t.deepEqual((await cli('user list')).stdout.split('\n').toSorted(), ['', 'alice', 'x:y'])
    const before = await redis.command('HGET', keys.users, 'alice')
    t.is((await cli('user disable alice')).stdout, 'User "alice" may connect no more.\n')
    t.is((await cli('user passwd alice --cost=10')).code, 0)
    const after = await redis.command('HGET', keys.users, 'alice')
    t.is(
      (await cli('user show alice')).stdout,
      'User      "alice"\nMay come  no: noctule user enable\nRoles     none\nPassword  scrypt\n',
    )
    t.is((await cli('user enable alice')).code, 0)
    t.is((await cli('user remove alice')).code, 0)

    t.regex(before, /"password":"\$scrypt\$ln=10,/)
    t.notRegex(before + after, /pencil/)
    t.not(before.split('"')[3], after.split('"')[3])
    t.is((await cli('user list')).stdout, 'x:y\n')
    t.regex(await redis.command('HGET', keys.decoys, 'SCRAM-SHA-256'), /\$scram-sha-256\$i=4096\$/)
  },
)

redisTest('roles get rules, are granted, revoked and removed', async (t) => {
  const { run: cli } = await noctule(t)
  await cli('user add alice --cost=10')

  t.is((await cli('role set operators -', 'allow all plant/#\n')).code, 0)
  t.is((await cli('acl set -', 'allow read news/#\n')).code, 0)
  t.is((await cli('role show operators')).stdout, 'allow all plant/#\n')
  t.is((await cli('acl show')).stdout, 'allow read news/#\n')
  t.is((await cli('role list')).stdout, 'operators\n')
  t.is((await cli('role grant operators alice')).stdout, 'User "alice" has role operators.\n')
  t.is(
    (await cli('acl check -u alice -t plant/x -a publish')).stdout,
    'yes: role operators line 1\n',
  )
  t.is(
    (await cli('acl check -u bob -t plant/x -a publish')).stdout,
    'no: Redis: no rule allows it\n',
  )
  t.is((await cli('acl check -t news/# -a subscribe')).stdout, 'yes: rules for everybody line 1\n')
  const held = await cli('role remove operators')
  t.is(held.code, 1)
  t.is(held.stderr, 'Role operators is had by "alice": noctule role revoke takes it from them.\n')
  t.is((await cli('role revoke operators alice')).code, 0)
  t.is((await cli('role remove operators')).code, 0)
  t.is((await cli('role list')).stdout, '')
})

for (const [line, code, sentence] of [
  ['user add alice', 1, /There is a user "alice" in Redis at .* already: noctule user passwd/],
  ['user passwd bob', 1, /There is no user "bob" in Redis at .*: noctule user list/],
  ['user add bob --role operatrs', 1, /There is no role operatrs; did you mean operators\?/],
  ['user add bob --role a/b', 2, /"a\/b" cannot be a role: a role has 1 to 64/],
  ['user add b\u0007b', 2, /No user can have that name: it has control characters/],
  ['user list --file passwords', 2, /Name one: --file FILE or --redis URL/],
  ['role grant operators bob', 1, /There is no user "bob"/],
  ['role set operators -', 2, /Nothing was changed: role operators line 1: a rule begins with/],
  ['role set * -', 2, /"\*" cannot be a role/],
  ['role show nobody', 1, /There is no role nobody: noctule role set makes it\./],
] as const) {
  redisTest(`noctule ${JSON.stringify(line)} is refused in one sentence`, async (t) => {
    const { run: cli } = await noctule(t)
    await cli('user add alice --cost=10')
    await cli('role set operators -', 'allow all plant/#\n')

    const result = await cli(line)

    t.is(result.code, code, result.stderr)
    t.regex(result.stderr, sentence)
    t.notRegex(result.stderr, /\n\s+at /)
  })
}

redisTest('the Redis may be named by the configuration; one that is away is told of', async (t) => {
  const configuration = join(temporaryDirectory(t), 'noctule.yaml')
  const prefix = `${randomUUID()}:`
  const { url } = await server()
  writeFileSync(configuration, `security: { redisUrl: "${url}", redisKeyPrefix: "${prefix}" }\n`)
  const words = ['--config', configuration]

  t.is((await run(t, ['user', 'add', 'alice', '--cost=10', ...words], { input: 'x' })).code, 0)
  t.is((await run(t, ['user', 'list', ...words])).stdout, 'alice\n')
  const away = await run(t, ['user', 'list', '--redis', 'redis://u:geheim@127.0.0.1:1'])
  t.is(away.code, 4)
  t.regex(away.stderr, /^Redis at 127\.0\.0\.1:1 cannot be reached: connect ECONNREFUSED/)
  t.notRegex(away.stderr, /geheim/)
  t.regex((await run(t, ['role', 'list'])).stderr, /--redis URL, or security\.redisUrl/)
})
