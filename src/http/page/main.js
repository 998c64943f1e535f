// The page: asks the server every two seconds, and shows what it says.

import { closable, connectorActions, drawActions, startConfirm } from './actions.js';
import { Abilities, call, token } from './api.js';
import { Board, ERROR, FINE, search } from './board.js';
import { connectorColumns, tableColumns } from './columns.js';
import { Create } from './create.js';
import { Detail } from './detail.js';
import { announce, at, el, setText, show } from './dom.js';
import { Events } from './events.js';
import { Grid } from './grid.js';
import { age, clock, count, plural, rate, state } from './words.js';

const EVERY = 2000, HIDDEN = 15_000;
/** The most changes that are read aloud one by one. */
const SPOKEN = 3;

const board = new Board();
const abilities = new Abilities();
const refresh = () => ask();
const detail = new Detail(board, abilities, refresh);
const create = new Create(board, refresh);
const events = new Events(abilities);
const open = (item) => detail.open(item);
const buttons = (cell, item) => drawActions(cell.firstChild ?? cell.appendChild(el('div', { class: 'do' })),
  connectorActions(item, refresh).filter((action) => !action.isRare), item.name);
const connectors = new Grid(at('connectors'), {
  columns: connectorColumns(board, open, buttons), sort: { id: 'state', isDown: true }, page: 10, open,
});
const tables = new Grid(at('tables'), {
  columns: tableColumns(board, open), sort: { id: 'state', isDown: true }, page: 50, open,
  onSort: ({ id, isDown }) => { at('sort').value = `${id} ${isDown ? 'down' : 'up'}`; },
});

let timer, asking, version, lastAnswer, goneSince;

/** Asks, shows, and asks again after a while. Who calls while it is being asked gets the answer of a question after that. */
async function ask() {
  clearTimeout(timer);
  while (asking) await asking;
  asking = once();
  const isToGoOn = await asking;
  asking = undefined;
  clearTimeout(timer);
  if (isToGoOn) timer = setTimeout(ask, document.hidden ? HIDDEN : EVERY);
}

/** One round of questions; false if there is no sense in another one by itself. */
async function once() {
  try {
    if (!abilities.isKnown || goneSince !== undefined) await abilities.ask();
    const status = await call('GET', 'status');
    // While the worker starts, it answers its status and nothing else.
    const connect = await call('GET', 'connectors?expand=status').catch((error) => {
      if (error.status !== 503) throw error;
    });
    board.take(status.body, connect?.body, status.date, performance.now());
    answered(status.body, connect === undefined);
    await events.ask();
    return true;
  } catch (error) {
    return refused(error);
  } finally {
    document.body.toggleAttribute('data-asked', true);
  }
}

function answered(status, isStarting) {
  if (goneSince !== undefined) announce('The server answers again.');
  goneSince = undefined;
  lastAnswer = Date.now();
  document.body.classList.remove('stale');
  version ??= status.version;
  if (isStarting) banner('The worker is starting: it reads the connectors that are kept.', true);
  else if (status.version !== version) banner(`The server is now version ${status.version}: reload the page.`, true);
  else banner('');
  draw(status);
  speak();
  follow();
}

/** True if it is worth while to ask again. */
function refused(error) {
  if (error.status === 401) {
    show(at('open-token'), true);
    document.body.classList.add('stale');
    const text = token.get() ? 'The server does not take this token.' : 'The server asks who you are: give a token, or load the page again to sign in.';
    banner(text, false, el('button', { type: 'button', onclick: openToken }, 'Give a token'));
    return false;
  }
  if (error.status === undefined) {
    // No answer's fault: it is shown, and told in the console with its place.
    console.error(error);
    banner(`This page has failed: ${error.message}`);
    return true;
  }
  goneSince ??= Date.now();
  document.body.classList.add('stale');
  const shown = lastAnswer ? ` What is shown is from ${clock(lastAnswer)}.` : '';
  const reason = error.status ? ` (${error.message})` : '';
  banner(`No answer from the server since ${clock(goneSince)}${reason}.${shown} It is asked again every two seconds.`);
  return true;
}

/** A line above everything; the same one is not said twice. */
function banner(text, isCalm = false, ...more) {
  const node = at('banner');
  show(node, text !== '');
  node.classList.toggle('calm', isCalm);
  if (node.firstChild?.textContent !== text) node.replaceChildren(el('span', {}, text), ...more);
}

function draw(status) {
  const words = at('search').value, chosen = at('connector').value, isOnlyProblems = at('problems').checked;
  const filter = JSON.stringify([words, chosen, isOnlyProblems]);
  const textOf = (item) => `${item.name} ${item.connector ?? ''} ${state(item.state).word} ${item.reason ?? ''}`;
  const chosenOf = (items, nameOf) => search([...items].filter((item) => (!chosen || nameOf(item) === chosen)
    && (!isOnlyProblems || item.severity > FINE)), words, textOf);
  const shownTables = chosenOf(board.tables.values(), (item) => item.connector);
  const itsTables = new Set(words ? shownTables.map((item) => item.connector) : []);
  const found = chosenOf(board.connectors.values(), (item) => item.name);
  // A connector stays in sight with the tables that were searched for.
  const shownConnectors = [...found, ...[...itsTables].map((name) => board.connectors.get(name)).filter((item) => item && !found.includes(item))];
  connectors.show(shownConnectors, filter);
  tables.show(shownTables, filter);
  const isFiltered = Boolean(words || chosen || isOnlyProblems);
  fill('connectors', shownConnectors.length, board.connectors.size, isFiltered, 'There is no connector yet. Make one by the button above.');
  fill('tables', shownTables.length, board.tables.size, isFiltered, 'No table is polled.');
  chooseConnectors();
  if (status) summary(status);
  detail.update();
}

function fill(kind, shown, all, isFiltered, empty) {
  setText(at(`n-${kind}`), shown === all ? count(all) : `${count(shown)} of ${count(all)}`);
  show(at(`no-${kind}`), shown === 0);
  setText(at(`no-${kind}`), isFiltered && all > 0 ? `None of ${plural(all, kind.slice(0, -1))} matches.` : empty);
}

/** The choice of connectors follows those there are. */
function chooseConnectors() {
  const select = at('connector'), names = [...board.connectors.keys()].sort();
  const known = [...select.options].slice(1).map((option) => option.value);
  if (names.length === known.length && names.every((name, index) => name === known[index])) return;
  const chosen = select.value;
  select.replaceChildren(select.options[0], ...names.map((name) => el('option', { value: name }, name)));
  select.value = names.includes(chosen) ? chosen : '';
}

function summary(status) {
  const totals = board.totals(), parts = [];
  const add = (text, tone) => parts.push([text, tone]);
  if (totals.errors) add(plural(totals.errors, 'failure'), 'bad');
  if (totals.warnings) add(plural(totals.warnings, 'warning'), 'warn');
  if (!totals.errors && !totals.warnings && totals.connectors) add(status.ready ? 'all well' : 'not ready yet', status.ready ? 'good' : 'info');
  add(plural(totals.connectors, 'connector'));
  add(plural(totals.tables, 'table'));
  if (totals.loading) add(`${count(totals.loading)} in first load`);
  if (totals.rate !== undefined) add(rate(totals.rate));
  const node = at('summary');
  if (node.children.length !== parts.length) node.replaceChildren(...parts.map(() => el('span')));
  parts.forEach(([text, tone], index) => {
    setText(node.children[index], text);
    node.children[index].className = tone ?? '';
  });
  setText(at('updated'), `${status.version}, ${clock(Date.now())}`);
  const problems = totals.errors + totals.warnings;
  const title = problems ? `(${problems}) rowtide` : 'rowtide';
  if (document.title !== title) document.title = title;
}

/** Problems that came or went, for those who do not see the page. */
function speak() {
  const { changes } = board;
  if (changes.length === 0) return;
  if (changes.length > SPOKEN) {
    const bad = changes.filter((item) => item.severity > FINE).length;
    announce([bad ? `${plural(bad, 'table')} with a new problem.` : '', changes.length > bad ? `${plural(changes.length - bad, 'table')} well again.` : ''].join(' ').trim());
    return;
  }
  for (const item of changes) {
    if (item.severity === FINE) announce(`${item.name} is ${state(item.state).word} again.`);
    else announce(`${item.severity === ERROR ? 'Failure' : 'Warning'}: ${item.name}: ${item.reason}`);
  }
}

/** Opens what the address names when the page is loaded; a sheet that is opened later names itself there. */
function follow() {
  if (follow.isDone) return;
  follow.isDone = true;
  const found = /^#(connector|table)=(.*)$/.exec(location.hash);
  if (!found) return;
  const item = (found[1] === 'table' ? board.tables : board.connectors).get(decodeURIComponent(found[2]));
  if (item) detail.open(item);
}

function openToken() {
  at('token-text').value = '';
  at('token-forget').disabled = !token.get();
  at('token').showModal();
}

function startToken() {
  const dialog = at('token');
  closable(dialog);
  show(at('open-token'), Boolean(token.get()));
  at('open-token').addEventListener('click', openToken);
  const use = (change) => { change(); dialog.close(); ask(); };
  at('token-forget').addEventListener('click', () => use(token.forget));
  dialog.querySelector('form').addEventListener('submit', (event) => {
    event.preventDefault();
    const given = at('token-text').value.trim();
    if (given) use(() => token.set(given));
  });
}

function startFilters() {
  at('filters').addEventListener('submit', (event) => event.preventDefault());
  at('filters').addEventListener('input', () => draw());
  at('sort').append(...tables.columns.filter((column) => column.value).flatMap(({ id, title, isDown }) => {
    const ways = isDown ? [['down', 'most first'], ['up', 'least first']] : [['up', 'A to Z'], ['down', 'Z to A']];
    const named = id === 'state' ? [['down', 'problems first'], ['up', 'problems last']] : ways;
    return named.map(([way, words]) => el('option', { value: `${id} ${way}` }, `${title.toLowerCase()}, ${words}`));
  }));
  at('sort').value = 'state down';
  at('sort').addEventListener('change', (event) => {
    const [id, way] = event.target.value.split(' ');
    tables.sortBy(id, way === 'down');
  });
  document.addEventListener('keydown', (event) => {
    const isTyping = event.target.closest('input, select, textarea');
    if (event.key !== '/' || isTyping || event.ctrlKey || event.metaKey || event.altKey || document.querySelector('dialog[open]')) return;
    event.preventDefault();
    at('search').focus();
  });
}

startConfirm();
startToken();
startFilters();
at('open-create').addEventListener('click', () => create.open());
document.addEventListener('visibilitychange', () => { if (!document.hidden && goneSince === undefined && lastAnswer) ask(); });
setInterval(() => { if (goneSince !== undefined && lastAnswer) setText(at('updated'), `no answer for ${age((Date.now() - goneSince) / 1000)}`); }, 1000);
ask();
