import { address, go } from './address.js'
import { ask, isOperator, mayChange, queryOf } from './api.js'
import { html, useEffect, useState } from './library.js'
import { Answer, Choice, Confirm, Curl, EndingLink, Field, State, Table, targetText, When } from './parts.js'
import { usePolled } from './polled.js'

const STATES = ['', 'pending', 'ended', 'failed', 'cancelled']
const FAILURES = ['', 'session_not_found', 'room_not_found', 'rejected', 'gave_up']
const TEXTS = {
  reason: 'Reason',
  requestedBy: 'Of whom',
  session: 'Session',
  room: 'Room',
  key: 'Key',
  subject: 'Subject',
}
const NOT_A_FILTER = ['sort', 'cursor']
const EVERY_MS = 3000

/** The ledger with its filters, which stand in the page's address, and what can be done to many at once. */
export function Ledger() {
  const { filters } = address.value
  const path = `/v1/endings${queryOf({ limit: '50', ...filters })}`
  const page = usePolled(path, EVERY_MS)
  const [chosen, setChosen] = useState(new Set())
  const [dialog, setDialog] = useState(null)
  useEffect(() => setChosen(new Set()), [path])
  const filter = Object.fromEntries(Object.entries(filters).filter(([name]) => !NOT_A_FILTER.includes(name)))
  const close = () => {
    setDialog(null)
    setChosen(new Set())
    page.again()
  }
  return html`
    <${Filters} filters=${filters} />
    <${Answer} polled=${page} what="The ledger">${({ data, nextCursor }) => html`
      <${Bulk} rows=${data} chosen=${chosen} filter=${filter} open=${setDialog} />
      ${data.length === 0 ? html`<p>Nothing here${nextCursor ? ', on this page' : ''}.</p>` : html`<${Rows} rows=${data} chosen=${chosen} choose=${setChosen} />`}
      <p class="actions">
        ${filters.cursor ? html`<button onClick=${() => history.back()}>Newer</button>` : ''}
        ${nextCursor ? html`<button onClick=${() => go('ledger', '', { ...filters, cursor: nextCursor })}>More</button>` : ''}
      </p>
    `}<//>
    <${Curl} requests=${[['GET', path]]} />
    ${dialog ? html`<${Many} ...${dialog} onClose=${close} />` : ''}
  `
}

function Filters({ filters }) {
  const submit = (event) => {
    event.preventDefault()
    const given = Object.fromEntries(
      [...new FormData(event.target)].map(([name, value]) => [name, value.trim()]),
    )
    for (const name of ['dueAfter', 'dueBefore'])
      if (given[name]) given[name] = new Date(given[name]).toISOString()
    go('ledger', '', given)
  }
  const local = (at) =>
    at ? new Date(Date.parse(at) - new Date(at).getTimezoneOffset() * 60_000).toISOString().slice(0, 16) : ''
  return html`<form class="filters" onSubmit=${submit} key=${JSON.stringify(filters)} aria-label="Filters">
    <${Choice} label="State" name="state" value=${filters.state} options=${STATES} />
    <${Choice} label="Failure" name="failure" value=${filters.failure} options=${FAILURES} />
    ${Object.entries(TEXTS).map(([name, label]) => html`<${Field} label=${label} name=${name} value=${filters[name]} />`)}
    <${Field} label="Due after" name="dueAfter" type="datetime-local" value=${local(filters.dueAfter)} />
    <${Field} label="Due before" name="dueBefore" type="datetime-local" value=${local(filters.dueBefore)} />
    <${Choice} label="Order" name="sort" value=${filters.sort} options=${['', 'dueAt']} />
    <p class="actions"><button class="good">Find</button> <button type="button" onClick=${() => go('ledger')}>All</button></p>
  </form>`
}

const changeable = ({ state, requestedBy }) =>
  (state === 'pending' || state === 'failed') && mayChange(requestedBy)

function Rows({ rows, chosen, choose }) {
  const flip = (id) => {
    const next = new Set(chosen)
    if (!next.delete(id)) next.add(id)
    choose(next)
  }
  const isSelecting = rows.some(changeable)
  const head = [
    ...(isSelecting ? ['Select'] : []),
    'State',
    'Due',
    'Target',
    'Reason',
    'Of whom',
    'Key',
    'Over',
    'Ending',
  ]
  return html`<${Table} name="Endings" head=${head}>
    ${rows.map(
      (row) => html`<tr key=${row.id}>
        ${isSelecting ? html`<td>${changeable(row) ? html`<input type="checkbox" aria-label=${`select ${row.id}`} checked=${chosen.has(row.id)} onChange=${() => flip(row.id)} />` : ''}</td>` : ''}
        <td><${State} is=${row.state} more=${row.outcome === 'ended' ? null : (row.outcome ?? row.failure)} /></td>
        <td><${When} at=${row.dueAt} /></td>
        <td class="text">${targetText(row.target)}</td>
        <td class="text">${row.reason}</td>
        <td>${row.requestedBy}</td>
        <td class="text">${row.key ?? ''}</td>
        <td><${When} at=${row.finishedAt} isBare /></td>
        <td><${EndingLink} id=${row.id} text=${`…${row.id.slice(-12)}`} /></td>
      </tr>`,
    )}
  <//>`
}

/** Buttons for what is selected, and for all that the filters find. */
function Bulk({ rows, chosen, filter, open }) {
  const some = rows.filter(({ id }) => chosen.has(id))
  const of = (state) => some.filter((row) => row.state === state)
  const mayAll = Object.keys(filter).length > 0 && (isOperator() || rows.some(changeable))
  const all = (change, state) =>
    mayAll && (filter.state ?? state) === state
      ? html`<button onClick=${() => open({ change, filter: { ...filter, state } })}>${change === 'cancel' ? 'Take back' : 'Retry'} all that match…</button>`
      : ''
  return html`<p class="actions" aria-live="polite">
    ${of('pending').length > 0 ? html`<button onClick=${() => open({ change: 'cancel', some: of('pending') })}>Take ${of('pending').length} back…</button>` : ''}
    ${of('failed').length > 0 ? html`<button onClick=${() => open({ change: 'retry', some: of('failed') })}>Retry ${of('failed').length}…</button>` : ''}
    ${all('cancel', 'pending')} ${all('retry', 'failed')}
  </p>`
}

/** First how many and which, then, if somebody still wants it, the change itself. */
function Many({ change, some, filter, onClose }) {
  const path = `/v1/endings/${change}`
  const [found, setFound] = useState(
    some ? { changed: some.length, skipped: 0, endings: some.map(({ id }) => id) } : null,
  )
  const [error, setError] = useState(null)
  useEffect(() => {
    if (!some)
      ask('POST', path, { filter, dryRun: true }).then(setFound, (trouble) => setError(trouble.message))
  }, [])
  const act = async () => {
    if (some) {
      const done = await Promise.allSettled(
        some.map(({ id }) => ask('POST', `/v1/endings/${id}/${change}`, {})),
      )
      const failed = done.filter(({ status }) => status === 'rejected')
      return `${done.length - failed.length} done${failed.length > 0 ? `, ${failed.length} not: ${failed[0].reason.message}` : ''}.`
    }
    const said = await ask('POST', path, { filter })
    return `${said.changed} done, ${said.skipped} left as they are${said.more ? '; there are more: do it again' : ''}.`
  }
  const verb = change === 'cancel' ? 'Take them back' : 'Retry them'
  return html`<${Confirm} title=${change === 'cancel' ? 'Take endings back?' : 'Try endings again?'} verb=${verb} tone=${change === 'cancel' ? 'bad' : 'good'} act=${act} onClose=${onClose} request=${some ? ['POST', `/v1/endings/${some[0].id}/${change}`, {}] : ['POST', path, { filter }]}>
    ${error ? html`<p class="notice bad" role="alert">${error}</p>` : ''}
    ${found === null && !error ? html`<p class="loading">Counting…</p>` : ''}
    ${
      found
        ? html`<p><b>${found.changed}</b> would be ${change === 'cancel' ? 'taken back' : 'tried again'}${found.skipped > 0 ? `, ${found.skipped} left as they are` : ''}.</p>
      <ul class="ids" tabindex="0" aria-label="which">${found.endings.slice(0, 100).map((id) => html`<li><code>${id}</code></li>`)}</ul>`
        : ''
    }
  <//>`
}
