#!/usr/bin/env node
// The command line of openapi-typescript, found from here.
// It exports its modules, and not the file of its command.
const library = import.meta.resolve('openapi-typescript')
await import(new URL('../bin/cli.js', library).href)
