// What a person can have done: to a connector by Kafka Connect's REST, to a table by /rowtide/v1. Each says what came of it.

import { call, connectorPath, tablePath } from './api.js';
import { announce, at, el, setText } from './dom.js';

/** Closes a dialog by its button; Escape does it by itself. */
export function closable(dialog) {
  for (const button of dialog.querySelectorAll('[data-close]')) button.addEventListener('click', () => dialog.close());
}

/** Shows an outcome, in the dialog that is open, if one is. */
export function tell(text, isRefusal = false) {
  document.querySelector('.toast')?.remove();
  const toast = el('div', { class: isRefusal ? 'toast bad' : 'toast', role: isRefusal ? 'alert' : undefined }, el('p', {}, text),
    el('button', { type: 'button', class: 'small', onclick: () => toast.remove() }, 'Close'));
  ([...document.querySelectorAll('dialog[open]')].at(-1) ?? document.body).append(toast);
  if (!isRefusal) {
    announce(text);
    setTimeout(() => toast.remove(), 6000);
  }
}

/** Carries out one thing at a time by a button, which is busy meanwhile. */
export async function carryOut(button, work, done) {
  if (button.getAttribute('aria-busy') === 'true') return;
  button.setAttribute('aria-busy', 'true');
  try {
    await work();
    tell(done);
  } catch (error) {
    tell(error.message, true);
  } finally {
    button.removeAttribute('aria-busy');
  }
}

let pending;

/** Asks for a typed name before something is done that is not undone by a click. */
export function confirm({ title, lines, name, verb, work, done }) {
  const dialog = at('confirm'), typed = at('confirm-name');
  setText(at('confirm-title'), title);
  at('confirm-text').replaceChildren(...lines.map((line) => el('p', {}, line)));
  setText(at('confirm-expected'), name);
  setText(at('confirm-go'), verb);
  setText(at('confirm-error'), '');
  typed.value = '';
  at('confirm-go').disabled = true;
  pending = { name, work, done };
  dialog.showModal();
  typed.focus();
}

async function confirmed(event) {
  event.preventDefault();
  const dialog = at('confirm'), button = at('confirm-go'), { name, work, done } = pending;
  if (at('confirm-name').value !== name || button.disabled) return;
  button.disabled = true;
  try {
    await work();
    dialog.close();
    tell(done);
  } catch (error) {
    setText(at('confirm-error'), error.message);
    button.disabled = false;
  }
}

export function startConfirm() {
  const dialog = at('confirm');
  closable(dialog);
  at('confirm-name').addEventListener('input', () => {
    at('confirm-go').disabled = at('confirm-name').value !== pending.name;
  });
  dialog.querySelector('form').addEventListener('submit', confirmed);
}

/** Longer than a request may take by itself: a pause is answered when everything open is committed. */
const PATIENCE = 100_000;

const does = (method, path) => call(method, path, { patience: PATIENCE });

/** The actions of a connector that its state allows. */
export function connectorActions(item, refresh) {
  if (!item.isOurs) return [];
  const { name } = item, path = connectorPath(name);
  const isAtRest = item.state === 'paused' || item.state === 'stopped';
  const act = (method, what) => async () => { await does(method, `${path}/${what}`); await refresh(); };
  const plain = (verb, work, done) => ({ verb, run: (button) => carryOut(button, work, done) });
  const actions = [];
  if (isAtRest) actions.push(plain('Resume', act('PUT', 'resume'), `${name} goes on`));
  else if (item.state !== 'failed') actions.push(plain('Pause', act('PUT', 'pause'), `${name} is paused`));
  if (!isAtRest) actions.push(plain('Restart', act('POST', 'restart'), `${name} was started anew`));
  if (item.state !== 'stopped') actions.push({ ...plain('Stop', act('PUT', 'stop'), `${name} is stopped`), isRare: true });
  const erase = async () => { await does('DELETE', path); await refresh(); };
  const question = {
    title: `Delete ${name}?`, name, verb: 'Delete', work: erase, done: `${name} is deleted`,
    lines: ['Its tables are no longer polled, and its settings are forgotten, passwords in them too.',
      'Its topics stay, and so do its stored offsets: a connector made again under this name goes on where this one was.'],
  };
  actions.push({ verb: 'Delete', isRare: true, isDanger: true, run: () => confirm(question) });
  return actions;
}

/** The actions of a table that its state and the server allow. */
export function tableActions(item, abilities, refresh, topic) {
  if (item.raw.backfill) return backfillActions(item, refresh);
  const path = tablePath(item.connector, item.name);
  const act = (method, what) => async () => { await does(method, `${path}/${what}`); await refresh(); };
  const plain = (verb, work, done) => ({ verb, run: (button) => carryOut(button, work, done) });
  const actions = [];
  if (item.state === 'paused') {
    if (abilities.hasOfTable('put', '/resume')) actions.push(plain('Resume', act('PUT', 'resume'), `${item.name} goes on`));
  } else if (abilities.hasOfTable('put', '/pause')) {
    actions.push(plain('Pause', act('PUT', 'pause'), `${item.name} is paused`));
  }
  if (abilities.hasOfTable('post', '/restart')) {
    actions.push(plain('Restart', act('POST', 'restart'), `${item.name} is bound anew and tried again`));
  }
  if (!abilities.hasOfTable('delete', '/offset')) return actions;
  const question = {
    title: `Reset ${item.name}?`, name: item.name, verb: 'Reset', done: `${item.name} is loaded again`,
    work: async () => { await does('DELETE', `${path}/offset`); await refresh(); },
    lines: [`The stored offset of ${item.name} is removed, and the table is loaded again from its beginning.`,
      `Every row that is in the table now goes to ${topic ? `the topic ${topic}` : 'its topic'} once more: readers see it a second time. Other tables go on meanwhile.`,
      'The present position is forgotten. To set another one instead, use "rowtide offsets set".'],
  };
  actions.push({ verb: 'Reset', isDanger: true, run: () => confirm(question) });
  return actions;
}

/** The one action of a backfill. */
function backfillActions(item, refresh) {
  const { of } = item.raw.backfill, path = `${tablePath(item.connector, of)}/backfill`;
  const work = async () => { await does('DELETE', path); await refresh(); };
  return [{ verb: 'Cancel', isDanger: true, run: (button) => carryOut(button, work, `${item.name} is cancelled; what it delivered stays`) }];
}

/** The buttons of actions, made anew only if they are other ones. */
export function drawActions(place, actions, subject) {
  const key = actions.map((action) => action.verb).join(' ');
  place.actions = actions;
  if (place.drawn === key) return;
  const hadFocus = place.contains(document.activeElement);
  place.drawn = key;
  place.replaceChildren(...actions.map((action, index) => el('button', {
    type: 'button', class: action.isDanger ? 'small danger' : 'small', 'aria-label': `${action.verb} ${subject}`,
    onclick: (event) => place.actions[index].run(event.currentTarget),
  }, action.verb)));
  if (hadFocus) place.firstChild?.focus();
}
