// Writes the files that are made from sources, so that nothing is said twice: `npm run generate`.
// Each generator returns its files as { path, text }; tests assert that what is committed is fresh.

import { spawnSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))

// What uses a new option has no type for it before this has run: the code is made, errors or not.
spawnSync('npx', ['--no-install', 'tsc'], { cwd: root, stdio: 'ignore', shell: true })
const { generatedFiles: configurationFiles } = await import('../dist/lib/config/generate.js')
const { conformanceDocument } = await import('../dist/spec/support/conformance.js')
const { metricsDocument } = await import('../dist/spec/support/metrics-document.js')

const generators = [
  configurationFiles,
  () => [{ path: 'docs/conformance.md', text: conformanceDocument() }],
  () => [{ path: 'docs/metrics.md', text: metricsDocument() }],
]

for (const { path, text } of generators.flatMap((generate) => generate())) {
  const target = join(root, path)
  mkdirSync(dirname(target), { recursive: true })
  writeFileSync(target, text)
  console.log(path)
}
