import { address, go } from './address.js'
import { ask, isOperator, mayChange, queryOf } from './api.js'
import { html, useEffect, useState } from './library.js'
import { Answer, Choice, Confirm, Curl, EndingLink, Field, State, Table, When } from './parts.js'
import { usePolled } from './polled.js'

const RETRY = '/v1/notifications/retry'

/** What callers were told of their endings, and what nobody has heard. */
export function Notifications({ status }) {
  const { filters } = address.value
  const path = `/v1/notifications${queryOf({ limit: '50', state: 'failed', ...filters })}`
  const page = usePolled(path, 5000)
  const [dialog, setDialog] = useState(null)
  const close = () => {
    setDialog(null)
    page.again()
  }
  const submit = (event) => {
    event.preventDefault()
    go('notifications', '', Object.fromEntries(new FormData(event.target)))
  }
  const { failing = [] } = status.data?.notifications ?? {}
  const { cursor: _, ...filter } = { state: 'failed', ...filters }
  return html`
    ${failing.map(({ caller, since, why }) => html`<p class="notice bad">Nothing has reached <b>${caller}</b> since <${When} at=${since} />: ${why}.</p>`)}
    <form class="filters" onSubmit=${submit} key=${path} aria-label="Filters">
      <${Choice} label="State" name="state" value=${filter.state} options=${['failed', 'pending', 'told']} />
      <${Field} label="Caller" name="caller" value=${filters.caller} />
      <${Field} label="Ending" name="ending" value=${filters.ending} />
      <p class="actions"><button class="good">Find</button></p>
    </form>
    <${Answer} polled=${page} what="What callers were told">${({ data, nextCursor }) => html`
      ${filter.state !== 'told' && data.length > 0 && (isOperator() || data.some(({ caller }) => mayChange(caller))) ? html`<p class="actions"><button onClick=${() => setDialog({ filter })}>Tell all that match again…</button></p>` : ''}
      ${
        data.length === 0
          ? html`<p>None is ${filter.state}.</p>`
          : html`<${Table} name="Notifications" head=${['State', 'What', 'Caller', 'When', 'Tries', 'Last', 'Ending', 'What can be done']}>
        ${data.map(
          (one) => html`<tr key=${one.id}>
            <td><${State} is=${one.state} /></td>
            <td>${one.type.replace('curfew.ending.', '')}</td>
            <td>${one.caller}</td>
            <td><${When} at=${one.createdAt} /></td>
            <td>${one.attempt}</td>
            <td class="text">${one.lastError ?? one.lastStatus ?? ''}${one.nextAttemptAt ? html` <small>again <${When} at=${one.nextAttemptAt} isBare /></small>` : ''}</td>
            <td><${EndingLink} id=${one.ending} text=${`…${one.ending.slice(-12)}`} /></td>
            <td>${one.state !== 'told' && mayChange(one.caller) ? html`<button onClick=${() => setDialog({ one })}>Tell it again…</button>` : ''}</td>
          </tr>`,
        )}
      <//>`
      }
      <p class="actions">${nextCursor ? html`<button onClick=${() => go('notifications', '', { ...filter, cursor: nextCursor })}>More</button>` : ''}</p>
    `}<//>
    <${Curl} requests=${[['GET', path]]} />
    ${dialog?.one ? html`<${Confirm} title="Tell it again?" verb="Tell it" tone="good" onClose=${close} request=${['POST', `/v1/notifications/${dialog.one.id}/retry`, {}]} act=${async () => void (await ask('POST', `/v1/notifications/${dialog.one.id}/retry`, {}))}><p>${dialog.one.type} to ${dialog.one.caller}.</p><//>` : ''}
    ${dialog?.filter ? html`<${All} filter=${dialog.filter} onClose=${close} />` : ''}
  `
}

function All({ filter, onClose }) {
  const [found, setFound] = useState(null)
  useEffect(() => {
    ask('POST', RETRY, { filter, dryRun: true }).then(setFound, ({ message }) => setFound({ error: message }))
  }, [])
  const act = async () => {
    const { changed, more } = await ask('POST', RETRY, { filter })
    return `${changed} are told again${more ? '; there are more: do it again' : ''}.`
  }
  return html`<${Confirm} title="Tell all of them again?" verb="Tell them" tone="good" act=${act} onClose=${onClose} request=${['POST', RETRY, { filter }]}>
    ${found === null ? html`<p class="loading">Counting…</p>` : found.error ? html`<p class="notice bad" role="alert">${found.error}</p>` : html`<p><b>${found.changed}</b> would be told again.</p>`}
  <//>`
}
