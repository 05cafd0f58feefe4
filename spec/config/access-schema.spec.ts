import test from 'ava'
import { headerOf } from '../../lib/config/access-schema.ts'
import { parseConfiguration } from '../../lib/config/load.ts'
import { ConfigurationError } from '../../lib/config/problems.ts'

/** What is wrong with the options of `security`, a sentence each. */
function problemsWith(security: object): readonly string[] {
  try {
    parseConfiguration({ security })
    return []
  } catch (error) {
    if (!(error instanceof ConfigurationError)) throw error
    return error.problems.map(({ message }) => message)
  }
}

for (const [security, sentence] of [
  [
    { jwt: { secretFile: 'secret' } },
    'security.jwt.algorithms must be the signatures that are accepted, such as [ES256], since secretFile is set; found nothing',
  ],
  [
    { jwt: { algorithms: ['HS256'] } },
    'security.jwt.algorithms must be empty, or secretFile, publicKeyFile, jwksFile or jwksUrl must be set; found a list',
  ],
  [
    { jwt: { algorithms: ['ES256'], secretFile: 'secret' } },
    'security.jwt.algorithms must be a list with HS256, HS384 or HS512, since secretFile is set; found a list',
  ],
  [
    { jwt: { jwksCaFile: 'ca.pem' } },
    'security.jwt.jwksUrl must be a URL, since jwksCaFile is set; found nothing',
  ],
  [
    { http: { authorizeUrl: 'http://me:pass@localhost/' } },
    'security.http.authorizeUrl must be an http:// or https:// URL without user name and password in it; found "http://me:pass@localhost/"',
  ],
  [
    { http: { authorizeUrl: 'http://localhost/', headers: ['X-Api-Key hush'] } },
    'security.http.headers must be a list of NAME: VALUE; found a list',
  ],
  [
    { http: { headers: ['X-Api-Key: hush'] } },
    'security.http.authenticateUrl must be a URL, or authorizeUrl must be one, since headers or caFile is set; found nothing',
  ],
  [
    { http: { timeoutMS: 5 } },
    'there is no option security.http.timeoutMS; did you mean security.http.timeoutMs?',
  ],
] as const) {
  test(`${JSON.stringify(security)} is refused with a sentence`, (t) => {
    t.deepEqual(problemsWith(security), [`options: ${sentence}`])
  })
}

for (const algorithm of ['none', 'None', 'HS1', 'RSA1_5']) {
  test(`tokens signed with ${algorithm} cannot be allowed`, (t) => {
    const [sentence] = problemsWith({ jwt: { algorithms: [algorithm], publicKeyFile: 'key.pem' } })

    t.regex(sentence ?? '', /security.jwt.algorithms must be a list of HS256/)
  })
}

test('a header is taken apart at its first colon', (t) => {
  t.deepEqual(headerOf('Authorization:  Bearer a:b '), ['Authorization', 'Bearer a:b'])
  for (const line of ['', ':', 'a b: c', 'a: b\r\nc: d', 'a: \u0000']) {
    t.is(headerOf(line), undefined)
  }
})
