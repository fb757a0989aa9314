import { address, link } from './address.js'
import { ask, caller, forgetKey, key, refusal, silence, useKey } from './api.js'
import { Ending } from './ending.js'
import { Lateness } from './lateness.js'
import { Ledger } from './ledger.js'
import { html, render, useEffect, useRef, useState } from './library.js'
import { Notifications } from './notifications.js'
import { Now } from './now.js'
import { State } from './parts.js'
import { usePolled } from './polled.js'
import { Rules } from './rules.js'
import { Session, Sessions } from './sessions.js'

const VIEWS = {
  now: ['Now', Now],
  ledger: ['Ledger', Ledger],
  sessions: ['Sessions', Sessions],
  rules: ['Rules and holds', Rules],
  notifications: ['Notifications', Notifications],
  lateness: ['Lateness', Lateness],
}
const OTHERS = { ending: ['Ending', Ending, 'ledger'], session: ['Session', Session, 'sessions'] }
const STATUS_MS = 2000

function Page() {
  return key.value === null ? html`<${Gate} />` : html`<${Console} />`
}

/** The key is asked for once, and again where it is not right any more. */
function Gate() {
  const [error, setError] = useState(null)
  const field = useRef()
  useEffect(() => field.current.focus(), [])
  const submit = async (event) => {
    event.preventDefault()
    const value = new FormData(event.target).get('key').trim()
    useKey(value)
    try {
      caller.value = (await ask('GET', '/status')).caller
    } catch (trouble) {
      if (key.value === null) setError('This key is not known.')
      else {
        forgetKey()
        setError(trouble.message)
      }
    }
  }
  return html`<main class="gate">
    <h1>Curfew</h1>
    <form onSubmit=${submit}>
      <label class="field"
        ><span>Your key</span
        ><input ref=${field} name="key" type="password" autocomplete="off" spellcheck="false" required
      /></label>
      ${error || refusal.value ? html`<p class="notice bad" role="alert">${error ?? refusal.value}</p>` : ''}
      <p class="actions"><button class="good">Look</button></p>
      <p><small>It is kept for this tab only, and goes when the tab is closed.</small></p>
    </form>
  </main>`
}

function Console() {
  const { view, id } = address.value
  const [title, View, under = view] = VIEWS[view] ?? OTHERS[view] ?? ['Nothing here', Nothing]
  const status = usePolled('/status', STATUS_MS)
  const heading = useRef()
  const isFirst = useRef(true)
  useEffect(() => {
    if (status.data) caller.value = status.data.caller
  }, [status.data])
  useEffect(() => {
    document.title = `${title} · Curfew`
    // Whoever cannot see that the view has changed hears it.
    if (!isFirst.current) heading.current?.focus()
    isFirst.current = false
  }, [view, id])
  const calls = status.data?.calls
  return html`
    <header>
      <p class="brand"><a href=${link('now')}>Curfew</a></p>
      <nav aria-label="Views">
        ${Object.entries(VIEWS).map(
          ([name, [text]]) =>
            html`<a href=${link(name)} aria-current=${name === under ? 'page' : undefined}>${text}</a>`,
        )}
      </nav>
      <p class="who">
        ${calls ? html`<${State} is=${calls.state} />` : ''}
        ${caller.value ? html`<span>${caller.value.name}${caller.value.readOnly ? ' (may only read)' : caller.value.operator ? ' (operator)' : ''}</span>` : ''}
        <button onClick=${() => forgetKey()}>Forget the key</button>
      </p>
    </header>
    ${silence.value ? html`<p class="notice bad" role="alert">${silence.value}. What you see is as it was; it goes on by itself.</p>` : ''}
    ${status.data && !status.data.accepting ? html`<p class="notice bad" role="alert">Curfew accepts nothing now: ${status.data.acceptingWhy}.</p>` : ''}
    <main>
      <h1 tabindex="-1" ref=${heading}>${title}</h1>
      ${caller.value || status.error ? html`<${View} key=${`${view}/${id}`} status=${status} id=${id} />` : html`<p class="loading">Asking…</p>`}
    </main>
  `
}

const Nothing = () => html`<p>There is no such view. <a href=${link('now')}>What is now</a></p>`

const place = document.getElementById('page')
place.replaceChildren()
render(html`<${Page} />`, place)
