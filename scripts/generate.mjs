// Writes the files that are made from sources, so that nothing is said twice: `npm run generate`.
// Each generator returns its files as { path, text }; tests assert that what is committed is fresh.

import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { generatedFiles as configurationFiles } from '../dist/lib/config/generate.js'
import { conformanceDocument } from '../dist/spec/support/conformance.js'

const root = fileURLToPath(new URL('..', import.meta.url))
const generators = [
  configurationFiles,
  () => [{ path: 'docs/conformance.md', text: conformanceDocument() }],
]

for (const { path, text } of generators.flatMap((generate) => generate())) {
  const target = join(root, path)
  mkdirSync(dirname(target), { recursive: true })
  writeFileSync(target, text)
  console.log(path)
}
