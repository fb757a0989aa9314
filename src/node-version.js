// Plain JavaScript, so that an old Node gets as far as saying what is wrong: it cannot load the TypeScript after this.
const [major] = process.versions.node.split('.').map(Number)
if (major < 24) {
  process.stderr.write(
    `curfew: Node 24 or newer is needed, and this is ${process.versions.node}: run "npm ci", which brings one for every npm script, or install it\n`,
  )
  process.exit(1)
}
