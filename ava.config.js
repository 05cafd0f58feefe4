export default {
  files: ['dist/spec/**/*.spec.js'],
  nodeArguments: ['--enable-source-maps'],
  timeout: '60s',
}
