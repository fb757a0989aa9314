import { randomBytes } from 'node:crypto'
import { hashedForm, nameFlaw } from './config/keys.ts'

/*
 * `npm run keys -- NAME`: a new key for a caller, and how the configuration may hold it. Nothing is kept anywhere.
 */
const RANDOM_BYTES = 32

const [name, ...others] = process.argv.slice(2)
const flaw = name === undefined || others.length > 0 ? 'one name is needed' : nameFlaw(name)
if (flaw !== undefined) {
  process.stderr.write(`keys: ${flaw}; for example: npm run keys -- booking\n`)
  process.exit(1)
}
const key = randomBytes(RANDOM_BYTES).toString('base64url')
process.stdout.write(`A new key for ${name}. It is shown this once, and kept nowhere.

For the caller, who sends it as "Authorization: Bearer KEY":
  ${key}

For the configuration, in API_KEYS, OPERATOR_KEYS or READ_KEYS, beside what is there, with a comma between:
  ${name}:${hashedForm(key)}

Whoever reads the configuration cannot ask with that. The key itself does as well: ${name}:${key}
To replace a key, add the new one beside the old one, restart, hand it over, and take the old one out.
`)
