// Asks the registry whether a dependency of the broker has a known advisory: exit code 1 if one has. A registry that
// does not answer that question is said, and is no failure.

import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const args = ['audit', '--omit=dev', '--audit-level=low', '--json']
const { stdout, error } = spawnSync('npm', args, {
  cwd: root,
  encoding: 'utf8',
  stdio: ['ignore', 'pipe', 'ignore'],
  timeout: 120_000,
})
const report = read(stdout)

if (report.auditReportVersion === undefined) {
  const why = error?.message ?? report.message ?? 'no report'
  console.error(`npm audit: not checked, the registry does not tell of advisories (${why})`)
} else {
  const found = Object.values(report.vulnerabilities)
  for (const { name, severity, range, via } of found) {
    const titles = via.map((one) => (typeof one === 'string' ? one : `${one.title} ${one.url}`))
    console.error(`npm audit: ${name} ${range}: ${severity}: ${titles.join('; ')}`)
  }
  if (found.length > 0) process.exitCode = 1
  else console.error('npm audit: no dependency has a known advisory')
}

function read(text) {
  try {
    return JSON.parse(text)
  } catch {
    return {}
  }
}
