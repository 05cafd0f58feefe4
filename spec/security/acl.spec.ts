import test from 'ava'
import fc from 'fast-check'
import { isTopicFilter } from '../../lib/protocol/topics.ts'
import { parseAclFile, RULES_MAX } from '../../lib/security/acl/parse.ts'
import { ClientRules, type RuleClient } from '../../lib/security/acl/rules.ts'
import { FileProblem } from '../../lib/security/file-problem.ts'

const nobody: RuleClient = {
  clientIdentifier: 'c1',
  userName: undefined,
  address: '192.0.2.7',
  listener: 'tcp-0',
  certificateCommonName: undefined,
}

function rulesFor(text: string, client: Partial<RuleClient> = {}): ClientRules {
  return new ClientRules('acl', parseAclFile(text), { ...nobody, ...client })
}

const alice = { userName: 'alice' }

const certificate = {
  commonName: 'meter-7',
  fingerprint256: '',
  serialNumber: '',
  dnsNames: ['a.example', 'b.example'],
  emailAddresses: ['a@example.org'],
  uris: ['urn:a'],
}

/** Who is allowed to publish to `topic` by a single rule. */
function allows(rule: string, client: Partial<RuleClient>, topic = 't'): boolean {
  return rulesFor(rule, client).mayPublish(topic, 0, false).isAllowed
}

test('the first rule that matches decides, and is named', (t) => {
  const rules = rulesFor('# mine\n\nallow write a/b\ndeny write a/#\nallow write #\n')

  t.deepEqual(rules.mayPublish('a/b', 0, false), { isAllowed: true, rule: 'acl line 3' })
  t.like(rules.mayPublish('a/c', 0, false), { isAllowed: false, rule: 'acl line 4' })
  t.true(rules.mayPublish('b', 0, false).isAllowed)
  t.like(rules.mayPublish('$x/y', 0, false), { isAllowed: false, rule: 'acl no rule allows it' })
})

test('a file without rules allows nothing', (t) => {
  for (const text of ['', '# nothing\n']) {
    t.false(rulesFor(text).mayPublish('a', 0, false).isAllowed)
    t.false(rulesFor(text).maySubscribe('a', 0).isAllowed)
  }
})

for (const [condition, who, others] of [
  ['user=alice,"bob smith"', [alice, { userName: 'bob smith' }], [{}, { userName: 'bob' }]],
  ['user=*', [alice], [{}]],
  ['user=al*', [alice], [{ userName: 'bob' }]],
  ['anonymous', [{}], [alice]],
  ['role=crew', [alice, { userName: 'carol' }], [{ userName: 'bob' }, {}]],
  ['client=gw-*,c2', [{ clientIdentifier: 'gw-7' }, { clientIdentifier: 'c2' }], [{}]],
  [
    'address=192.0.2.0/24,::1',
    [{}, { address: '::1' }],
    [{ address: '192.0.3.7' }, { address: 'local' }],
  ],
  ['listener=tcp-0', [{}], [{ listener: 'tls-1' }]],
  ['cn=meter-*', [{ certificateCommonName: 'meter-7' }], [{}]],
  ['dns=*', [{ certificate }], [{}]],
  ['dns=b.example,x', [{ certificate }], [{ certificate: { ...certificate, dnsNames: ['b'] } }]],
  ['email=a@*', [{ certificate }], [{}]],
  ['uri=urn:a', [{ certificate }], [{}]],
  ['user=alice client=c1', [alice], [{}, { ...alice, clientIdentifier: 'c2' }]],
] as const) {
  test(`${condition} applies to whom it says`, (t) => {
    const text = `role crew = alice, carol\nallow write t ${condition}\n`

    for (const client of who) t.true(allows(text, client), JSON.stringify(client))
    for (const client of others) t.false(allows(text, client), JSON.stringify(client))
  })
}

test('%u, %c and the fields of a certificate are what the client is called', (t) => {
  const client = { ...alice, certificateCommonName: 'meter-7', certificate }

  t.true(allows('allow write a/%u/x', client, 'a/alice/x'))
  t.false(allows('allow write a/%u/x', client, 'a/bob/x'))
  t.true(allows('allow write dev-%c/#', client, 'dev-c1/x'))
  t.true(allows('allow write %cn', client, 'meter-7'))
  t.true(allows('allow write %dns/%email', client, 'a.example/a@example.org'))
  t.false(allows('allow write %dns', alice, ''))
})

test('a name that is no level of a topic allows nothing, and evades no denial', (t) => {
  for (const userName of [undefined, '', '+', '#', 'x/y', 'a+']) {
    const rules = rulesFor('deny write d/%u/#\nallow write d/#\nallow write a/%u/#', { userName })

    for (const topic of ['a/b/c', 'a/x/y', 'a/+', 'a', 'd/x/y', 'd/b']) {
      t.false(rules.mayPublish(topic, 0, false).isAllowed, `${userName} ${topic}`)
    }
    t.true(rules.mayPublish('d', 0, false).isAllowed)
  }
})

test('nobody comes to $SYS by calling itself so', (t) => {
  const rules = rulesFor('allow all %c/#\nallow all %u', {
    clientIdentifier: '$SYS',
    userName: '$x',
  })

  t.false(rules.maySubscribe('$SYS/#', 0).isAllowed)
  t.false(rules.mayPublish('$x', 0, false).isAllowed)
  t.true(
    rulesFor('allow all $SYS/%c', { clientIdentifier: '$a' }).mayReceive('$SYS/$a', 0).isAllowed,
  )
})

test('QoS and RETAIN can be conditions', (t) => {
  const rules = rulesFor(
    'allow write t qos<=1 retain=no\nallow write r retain=yes\nallow write q qos=2',
  )
  const may = (topic: string, qos: 0 | 1 | 2, retain: boolean) =>
    rules.mayPublish(topic, qos, retain).isAllowed

  t.true(may('t', 1, false))
  t.false(may('t', 2, false))
  t.false(may('t', 0, true))
  t.true(may('r', 2, true))
  t.false(may('r', 0, false))
  t.true(may('q', 2, false))
  t.false(may('q', 1, false))
  t.true(rulesFor('allow read s qos<=1').maySubscribe('s', 1).isAllowed)
  t.false(rulesFor('allow read s qos<=1').maySubscribe('s', 2).isAllowed)
})

for (const [text, filter, rule] of [
  ['allow read a/#', 'a/+', 'acl line 1'],
  ['allow read a/b\nallow read a/+/#\nallow read a', 'a/#', 'acl line 3'],
  ['allow read a/b\ndeny read a/b\nallow read a/#', 'a/#', 'acl line 3'],
  ['allow subscribe a/#\nallow read a/#', '$share/g/a/b', 'acl line 2'],
] as const) {
  test(`${JSON.stringify(text)} allows a subscription to ${filter}`, (t) => {
    t.deepEqual(rulesFor(text).maySubscribe(filter, 0), { isAllowed: true, rule })
  })
}

for (const [text, filter, rule] of [
  [
    'allow read a/+',
    'a/#',
    'line 1 allows a part of what it could receive, and nothing allows the rest',
  ],
  ['deny read a/b\nallow read a/#', 'a/+', 'line 1 denies a part of what it could receive'],
  ['deny read a/#\nallow read #', 'a/b', 'line 1'],
  ['allow read #', '$SYS/#', 'no rule allows it'],
  ['allow subscribe #', 'a', 'no rule allows it'],
  ['deny subscribe #\nallow read #', 'a/b', 'line 1'],
] as const) {
  test(`${JSON.stringify(text)} does not allow a subscription to ${filter}`, (t) => {
    t.like(rulesFor(text).maySubscribe(filter, 0), { isAllowed: false, rule: `acl ${rule}` })
  })
}

const levels = ['a', 'b', '$s']
const filters = fc
  .tuple(
    fc.array(fc.constantFrom(...levels, '+'), { maxLength: 2 }),
    fc.constantFrom(...levels, '+', '#', '#'),
  )
  .map(([start, last]) => [...start, last].join('/'))
  .filter(isTopicFilter)
const lines = fc
  .tuple(fc.constantFrom('allow', 'allow', 'deny'), filters)
  .map(([verb, filter]) => `${verb} read ${filter}`)
const topics = ['a', 'b', '$s', 'x'].flatMap((one) => [
  one,
  ...['a', 'b', '$s', 'x'].flatMap((two) => [
    `${one}/${two}`,
    ...['a', 'b', '$s', 'x'].flatMap((three) => [
      `${one}/${two}/${three}`,
      `${one}/${two}/${three}/x`,
    ]),
  ]),
])

test('a subscription is allowed exactly if each topic that it matches may be received', (t) => {
  const matchesAll = (filter: string) => rulesFor(`allow read ${filter}`)
  t.notThrows(() =>
    fc.assert(
      fc.property(fc.array(lines, { maxLength: 6 }), filters, (text, filter) => {
        const rules = rulesFor(text.join('\n'))
        const asked = matchesAll(filter)
        const received = topics.filter((topic) => asked.mayReceive(topic, 0).isAllowed)
        const expected = received.every((topic) => rules.mayReceive(topic, 0).isAllowed)
        return rules.maySubscribe(filter, 0).isAllowed === expected
      }),
      { numRuns: 3000 },
    ),
  )
})

test('with filter a subscription is allowed exactly if a topic that it matches may be received', (t) => {
  t.notThrows(() =>
    fc.assert(
      fc.property(fc.array(lines, { maxLength: 6 }), filters, (text, filter) => {
        const rules = new ClientRules('acl', parseAclFile(text.join('\n')), nobody, 'filter')
        const asked = rulesFor(`allow read ${filter}`)
        const matched = topics.filter((topic) => asked.mayReceive(topic, 0).isAllowed)
        const received = matched.filter((topic) => rules.mayReceive(topic, 0).isAllowed)
        const { isAllowed, isFiltered = false } = rules.maySubscribe(filter, 0)
        return (
          isAllowed === received.length > 0 &&
          isFiltered === (isAllowed && received.length < matched.length)
        )
      }),
      { numRuns: 3000 },
    ),
  )
})

const mosquitto = `# for clients without user name
topic read public/#
topic deny public/secret

user alice
topic readwrite home/#
topic deny home/safe
topic readwrite home/my desk

user bob smith
topic write home/bob

pattern write dev/%c/state
pattern read users/%u/#
pattern deny users/%u/private
`

test('the acl_file of Mosquitto means what it means there', (t) => {
  const anonymous = rulesFor(mosquitto)
  const hers = rulesFor(mosquitto, alice)
  const his = rulesFor(mosquitto, { userName: 'bob smith' })

  t.true(anonymous.mayReceive('public/news', 0).isAllowed)
  t.like(anonymous.mayReceive('public/secret', 0), { isAllowed: false, rule: 'acl line 3' })
  t.false(anonymous.mayPublish('public/news', 0, false).isAllowed)
  t.true(anonymous.mayPublish('dev/c1/state', 0, false).isAllowed)
  t.false(anonymous.mayReceive('users//x', 0).isAllowed)
  t.true(hers.mayPublish('home/my desk', 2, true).isAllowed)
  t.like(hers.mayPublish('home/safe', 0, false), { isAllowed: false, rule: 'acl line 7' })
  t.false(hers.mayReceive('public/news', 0).isAllowed)
  t.true(hers.mayReceive('users/alice/mail', 0).isAllowed)
  t.false(hers.mayReceive('users/alice/private', 0).isAllowed)
  t.false(hers.mayReceive('users/bob/mail', 0).isAllowed)
  t.true(his.mayPublish('home/bob', 0, false).isAllowed)
  t.false(his.mayPublish('home/alice', 0, false).isAllowed)
})

test('in files of Mosquitto a wildcard as a name gets nothing from patterns, and # has no $SYS', (t) => {
  const text = 'user +\ntopic read mine\nuser alice\ntopic read #\npattern read users/%u/#\n'

  t.true(rulesFor(text, { userName: '+' }).mayReceive('mine', 0).isAllowed)
  t.false(rulesFor(text, { userName: '+' }).mayReceive('users/bob/x', 0).isAllowed)
  t.false(rulesFor(text, { ...alice, clientIdentifier: '#' }).mayReceive('$SYS/x', 0).isAllowed)
  t.false(rulesFor(text, alice).maySubscribe('$SYS/#', 0).isAllowed)
  t.true(rulesFor(`${text}pattern read $SYS/#`, alice).maySubscribe('$SYS/#', 0).isAllowed)
})

for (const [text, line, words] of [
  ['# x\nalow read a', 2, /alow begins no rule/],
  ['allow read a\ntopic read b', 2, /a rule begins with allow or deny/],
  ['allow raed a', 1, /raed is none of read, write, subscribe and all; did you mean read\?/],
  ['allow read', 1, /not allow ACTIONS FILTER, such as allow read sensors\/#/],
  ['allow read a/#/b', 1, /a\/#\/b is not a Topic Filter/],
  ['allow read a usr=b', 1, /usr=b is no condition; did you mean user\?/],
  ['allow read a user=b user=c', 1, /user stands there twice/],
  ['allow read a user=b,', 1, /values with commas/],
  ['allow read "a', 1, /a quote is not closed/],
  ['allow read a role=crew', 1, /there is no role crew/],
  ['role crew = alice\nrole crew = bob', 2, /role crew stands there twice/],
  ['role = alice\nallow read a', 1, /not role NAME = USER, USER/],
  ['allow read a retain=yes', 1, /goes with write alone/],
  ['allow write a qos<=3', 1, /qos wants 0, 1 or 2/],
  ['allow write a address=10.0.0.0/40', 1, /neither an IP address nor a range/],
  ['user alice\ntopic raed a b', 2, /raed is none of read, write, readwrite and deny/],
  ['topic read a#', 1, /"a#" is not a Topic Filter/],
  ['topic a\nallow read b', 2, /allow is none of user, topic and pattern/],
  ['user\n', 1, /user without a name/],
] as const) {
  test(`the first wrong line is named, and what is wrong: ${JSON.stringify(text)}`, (t) => {
    const error = t.throws(() => parseAclFile(text), { instanceOf: FileProblem })

    t.is(error.line, line)
    t.regex(error.message, words)
  })
}

test('quotes keep spaces, commas and quotes in a word', (t) => {
  const text = 'allow write "my desk/#" user="a, \\"b\\""'

  t.true(allows(text, { userName: 'a, "b"' }, 'my desk/x'))
})

test('a subscription that takes too many comparisons is refused', (t) => {
  const many = (verb: string) => Array.from({ length: 5000 }, (_, i) => `${verb} read a/${i}\n`)
  const rules = rulesFor([...many('allow'), ...many('deny')].join(''))

  t.like(rules.maySubscribe('a/#', 0), { isAllowed: false, rule: 'acl too many rules overlap' })
  t.true(rules.maySubscribe('a/7', 0).isAllowed)
})

test('a file has a bounded number of rules', (t) => {
  const text = 'allow read a\n'.repeat(RULES_MAX + 1)

  t.throws(() => parseAclFile(text), { message: /at most 10000 are possible/ })
})
