import { link } from './address.js'
import { asCurl, silence } from './api.js'
import { html, useEffect, useRef, useState } from './library.js'
import { away, clock } from './time.js'

/** A time as people read it, and how far it is away; the exact one when one points at it. */
export const When = ({ at, isBare }) =>
  at
    ? html`<time datetime=${at} title=${at}>${clock(at)}${isBare ? '' : html` <small>${away(at)}</small>`}</time>`
    : '–'

const TONES = {
  ended: 'good',
  told: 'good',
  ok: 'good',
  failed: 'bad',
  refused: 'bad',
  failing: 'bad',
  paused: 'warn',
  rate_limited: 'warn',
  pending: 'calm',
}

/** A state in a word; its colour only repeats it. */
export const State = ({ is, more }) =>
  html`<span class=${`state ${TONES[is] ?? 'calm'}`}>${is}${more ? ` · ${more}` : ''}</span>`

export function targetText({ session, room, roomExternalId }) {
  if (session) return `session ${session}`
  return room ? `room ${room}` : `room ${roomExternalId} (external)`
}

export const EndingLink = ({ id, text }) => html`<a href=${link('ending', id)}><code>${text ?? id}</code></a>`

/** What was asked, for somebody with a terminal. */
export const Curl = ({ requests }) => html`<details class="curl">
  <summary>as curl</summary>
  <pre tabindex="0">${requests.map(([method, path, body]) => asCurl(method, path, body)).join('\n')}</pre>
</details>`

/** What is known, and plainly what is in the way of knowing more. */
export function Answer({ polled, what, children }) {
  const { data, error, at } = polled
  const since = at === null ? '' : ` What you see is from ${clock(at)}.`
  const isSilent = silence.value !== null
  return html`
    ${error && !isSilent ? html`<p class="notice bad" role="alert">${what} cannot be shown: ${error.message}.${since}</p>` : ''}
    ${data === null && !error ? html`<p class="loading">Asking…</p>` : ''}
    ${data === null ? '' : children(data)}
  `
}

/** Asks once more before something is done; what it came to is said in it. `act` may throw. */
export function Confirm({ title, children, verb, tone = 'bad', onClose, act, request }) {
  const dialog = useRef()
  const [state, setState] = useState({ isBusy: false, error: null, done: null })
  const isOver = useRef(false)
  useEffect(() => dialog.current.showModal(), [])
  // Not left to the event of the same name alone: it comes later, when the next dialog may be open already.
  const close = () => {
    if (isOver.current) return
    isOver.current = true
    dialog.current?.close()
    onClose()
  }
  const submit = async (event) => {
    event.preventDefault()
    setState({ isBusy: true, error: null, done: null })
    try {
      const said = await act(new FormData(event.target))
      if (typeof said === 'string') setState({ isBusy: false, error: null, done: said })
      else close()
    } catch (error) {
      setState({ isBusy: false, error: error.message, done: null })
    }
  }
  return html`<dialog ref=${dialog} onClose=${close} aria-labelledby="dialog-title">
    <form onSubmit=${submit}>
      <h2 id="dialog-title">${title}</h2>
      ${state.done === null ? children : html`<p role="status">${state.done}</p>`}
      ${state.error ? html`<p class="notice bad" role="alert">${state.error}</p>` : ''}
      ${request && state.done === null ? html`<${Curl} requests=${[request]} />` : ''}
      <p class="actions">
        <button type="button" onClick=${close}>${state.done === null ? 'Leave it' : 'Close'}</button>
        ${state.done === null ? html`<button class=${tone} disabled=${state.isBusy}>${verb}</button>` : ''}
      </p>
    </form>
  </dialog>`
}

/** A table that scrolls by itself where it is too wide. */
export const Table = ({
  name,
  head,
  children,
}) => html`<div class="wide" role="region" aria-label=${name} tabindex="0">
  <table>
    <thead>
      <tr>
        ${head.map((text) => html`<th scope="col">${text}</th>`)}
      </tr>
    </thead>
    <tbody>
      ${children}
    </tbody>
  </table>
</div>`

export const Field = ({ label, name, value, ...more }) => html`<label class="field"
  ><span>${label}</span><input name=${name} defaultValue=${value ?? ''} autocomplete="off" spellcheck="false" ...${more}
/></label>`

export const Choice = ({ label, name, value, options, ...more }) => html`<label class="field"
  ><span>${label}</span
  ><select name=${name} ...${more}>
    ${options.map((one) => html`<option value=${one} selected=${one === (value ?? '')}>${one || 'any'}</option>`)}
  </select></label
>`
