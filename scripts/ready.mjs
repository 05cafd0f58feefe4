// Makes a checkout ready to run: installs what the lock file wants and is missing, builds what is stale.
// Plain JavaScript without dependencies, since it runs before there are any.
//
//   node scripts/ready.mjs                  install and build
//   node scripts/ready.mjs --test-programs  besides, the programs that the tests talk to
//   node scripts/ready.mjs --stamp          only note that the build is fresh

import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, readdirSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const stamp = join(root, 'dist/.built')
const installed = join(root, 'node_modules/.package-lock.json')
const flags = new Set(process.argv.slice(2))

const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
if (major < 20 || (major === 20 && minor < 19)) {
  console.error(
    `Noctule needs Node 20.19 or newer; this is ${process.version}. See https://nodejs.org.`,
  )
  process.exit(1)
}

if (flags.has('--stamp')) {
  writeFileSync(stamp, '')
} else {
  install()
  build()
  if (flags.has('--test-programs')) installTestPrograms()
}

function install() {
  if (changedAt(installed) >= changedAt(join(root, 'package-lock.json'))) return
  console.error('Installing packages…')
  const quiet = ['--no-audit', '--no-fund', '--loglevel=error']
  // Newer npms refuse a lock file that does not name the optional packages of every platform, which a
  // registry need not have. `npm install` takes the locked versions as well and looks for the others.
  const result = spawnSync('npm', ['ci', ...quiet], { cwd: root, stdio: 'ignore' })
  if (result.status !== 0) run('npm', ['install', '--no-save', ...quiet])
}

function build() {
  const sources = ['lib', 'spec', 'bench', 'tsconfig.json', 'package-lock.json']
  if (changedAt(stamp) >= Math.max(...sources.map((path) => newestIn(join(root, path))))) return
  console.error('Building…')
  run('npm', ['run', '--silent', 'build'])
}

/** Real peers: Debian's Mosquitto clients, Chromium, openssl, Redis and Prometheus. Tests that miss one say so; with CI set they fail. */
function installTestPrograms() {
  const programs = [
    { command: 'mosquitto_pub', debianPackage: 'mosquitto-clients' },
    { command: 'chromium', debianPackage: 'chromium' },
    { command: 'openssl', debianPackage: 'openssl' },
    { command: 'redis-server', debianPackage: 'redis-server' },
    { command: 'redis-sentinel', debianPackage: 'redis-sentinel' },
    { command: 'promtool', debianPackage: 'prometheus' },
  ]
  const missing = programs.filter(({ command }) => !isOnPath(command))
  if (missing.length === 0) return
  const packages = missing.map(({ debianPackage }) => debianPackage)
  if (process.getuid?.() !== 0 || !isOnPath('apt-get')) {
    console.error(`Not installed, their tests will say so: ${packages.join(', ')}`)
    return
  }
  console.error(`Installing ${packages.join(', ')} for the tests…`)
  const environment = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
  const options = { env: environment, stdio: ['ignore', 'ignore', 'inherit'] }
  spawnSync('apt-get', ['update', '-qq'], options)
  spawnSync('apt-get', ['install', '-y', '-qq', '--no-install-recommends', ...packages], options)
}

function isOnPath(command) {
  const folders = (process.env.PATH ?? '').split(':')
  return folders.some((folder) => existsSync(join(folder, command)))
}

function run(command, args) {
  try {
    execFileSync(command, args, { cwd: root, stdio: ['ignore', 'inherit', 'inherit'] })
  } catch {
    console.error(`\`${command} ${args.join(' ')}\` failed, see above.`)
    process.exit(1)
  }
}

/** When the newest file at or below `path` was changed, in ms; 0 when there is none. */
function newestIn(path) {
  if (!existsSync(path) || !statSync(path).isDirectory()) return changedAt(path)
  const entries = readdirSync(path, { withFileTypes: true })
  const times = entries.map((entry) =>
    entry.isDirectory() ? newestIn(join(path, entry.name)) : changedAt(join(path, entry.name)),
  )
  return Math.max(changedAt(path), ...times)
}

function changedAt(path) {
  return existsSync(path) ? statSync(path).mtimeMs : 0
}
