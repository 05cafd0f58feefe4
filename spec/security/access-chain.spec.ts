import { Buffer } from 'node:buffer'
import test from 'ava'
import { type ClientInfo, toDecision } from '../../lib/security/access.ts'
import { chainAccess } from '../../lib/security/access-chain.ts'
import { AccessList, TOPICS_KNOWN_MAX } from '../../lib/security/access-list.ts'

const client: ClientInfo = {
  clientIdentifier: 'c1',
  userName: 'alice',
  protocolVersion: 5,
  listener: 'tcp-0',
  address: '127.0.0.1',
  port: 4711,
  certificateCommonName: undefined,
}
const message = (topic: string) =>
  ({ topic, qos: 0, retain: false, payload: Buffer.alloc(0) }) as const

test('where nobody is to be asked, there is no hook, and nothing costs anything', (t) => {
  t.deepEqual(chainAccess([{}]), {})
})

test('rules answer at once, also behind a hook that leaves it to them', (t) => {
  const rules = new AccessList('acl')
  rules.use('allow write a')
  for (const hooks of [{}, { authorizePublish: () => undefined }]) {
    const chain = chainAccess([hooks, rules])

    t.deepEqual(chain.authorizePublish?.(client, message('a')), {
      isAllowed: true,
      rule: 'acl line 1',
    })
    t.like(chain.authorizePublish?.(client, message('b')), { isAllowed: false })
  }
})

test('what a hook leaves open and nobody else knows is refused', async (t) => {
  const chain = chainAccess([{ authorizePublish: async () => undefined }])

  t.false(toDecision(await chain.authorizePublish?.(client, message('a'))).isAllowed)
})

test('a hook that decides is the last one that is asked', async (t) => {
  const rules = {
    authorizePublish: () => t.fail(),
    authorizeSubscribe: () => t.fail(),
  }
  const chain = chainAccess([{ authorizePublish: async () => false }, rules])

  t.false(await chain.authorizePublish?.(client, message('a')))
})

test('what is known of topics is forgotten with the rules, and bounded', (t) => {
  const rules = new AccessList('acl')
  rules.use('allow write a/#')
  for (let i = 0; i < 2 * TOPICS_KNOWN_MAX; i++) {
    t.true(rules.authorizePublish(client, message(`a/${i}`)).isAllowed)
  }
  t.true(rules.authorizePublish(client, message(`a/${'x'.repeat(1000)}`)).isAllowed)

  rules.use('deny write #')

  for (const topic of ['a/0', `a/${2 * TOPICS_KNOWN_MAX - 1}`]) {
    t.false(rules.authorizePublish(client, message(topic)).isAllowed)
  }
})
