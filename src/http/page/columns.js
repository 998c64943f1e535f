// The columns of both tables: how an item fills a cell, and by what it is sorted. A cell keeps its parts and is changed only
// where something is new.

import { KEPT, progress } from './board.js';
import { drawSparkline, el, icon, setAttribute, setIcon, setText, show, sparkline } from './dom.js';
import { age, clock, compact, count, duration, plural, rate, state } from './words.js';

/** The parts of a cell, built the first time. */
function parts(cell, build) {
  if (!cell.parts) {
    cell.parts = build();
    cell.append(...Object.values(cell.parts).filter((part) => !part.parentNode));
  }
  return cell.parts;
}

/** Word, icon and colour of a state. */
export function chip(name) {
  const node = el('span', { class: 'chip' }, icon('other'), el('span'));
  fillChip(node, name);
  return node;
}

export function fillChip(node, name) {
  const { word, icon: picture, tone } = state(name);
  setAttribute(node, 'class', `chip ${tone}`.trim());
  setIcon(node.firstChild, picture);
  setText(node.lastChild, word);
}

function fillState(cell, item, now) {
  const { tag, since } = parts(cell, () => ({ tag: chip(item.state), since: el('time', { class: 'since' }) }));
  fillChip(tag, item.state);
  setText(since, item.since ? `for ${age((now - item.since) / 1000)}` : '');
  if (item.since) setAttribute(since, 'title', `since ${clock(item.since)}`);
}

function fillName(cell, item, open) {
  const { name, sub } = parts(cell, () => ({
    name: el('button', { type: 'button', class: 'name', onclick: () => open(cell.parentNode.item) }),
    sub: el('div', { class: 'sub' }),
  }));
  setText(name, item.name);
  setText(sub, item.connector);
}

/** First load, problem, advice, position and notes. */
function fillWhat(cell, item, now) {
  const { bar, load, reason, advice, position, note } = parts(cell, () => ({
    bar: el('progress', { max: 1 }), load: el('div', { class: 'sub' }), reason: el('div', { class: 'reason' }),
    advice: el('div', { class: 'advice' }), position: el('div', { class: 'position' }), note: el('div', { class: 'note' }),
  }));
  const done = item.load ? progress(item.load, item.rate.perSecond, now) : undefined;
  show(bar, done?.share !== undefined);
  show(load, Boolean(done));
  if (done) {
    setAttribute(bar, 'aria-label', item.raw?.backfill ? item.name : `first load of ${item.name}`);
    if (done.share !== undefined) setAttribute(bar, 'value', done.share.toFixed(4));
    setText(load, loadText(done, item.raw?.backfill ? 'backfill' : 'first load'));
  }
  setText(reason, item.reason);
  setAttribute(reason, 'class', item.severity === 2 ? 'reason bad' : 'reason');
  setText(advice, item.advice);
  setText(position, done || item.severity > 0 ? '' : (item.raw?.position ?? ''));
  show(position, position.textContent !== '');
  setText(note, (item.notes ?? []).join('; '));
}

export function loadText({ rows, all, share, left, speed }, word) {
  if (share === undefined) return `${word}: ${plural(rows, 'row')} so far, ${rate(speed)}`;
  const rest = left === undefined ? '' : left > 0 ? `, about ${duration(Math.round(left))} left` : ', almost done';
  return `${word}: ${Math.floor(share * 100)} %, ${count(rows)} of about ${count(all)} rows${rest}`;
}

function fillRate(cell, item) {
  const { line } = parts(cell, () => {
    const drawn = el('div', { class: 'rate' }, sparkline(), el('span', { class: 'figure' }));
    return { line: drawn };
  });
  drawSparkline(line.firstChild, item.rate.figures, KEPT);
  setText(line.lastChild, item.rate.perSecond === undefined ? '' : rate(item.rate.perSecond));
}

function fillGuard(cell, item) {
  const { tag } = parts(cell, () => ({
    tag: el('span', { class: 'chip plain' }, icon('shield'), el('span'), el('span', { class: 'hidden' })),
  }));
  const guard = item.raw.guard ?? {};
  const isAtRisk = Boolean(guard.at_risk);
  setAttribute(tag, 'class', isAtRisk ? 'chip bad' : 'chip plain');
  setIcon(tag.firstChild, isAtRisk ? 'note' : guard.raise ? 'up' : 'shield');
  setText(tag.children[1], isAtRisk ? 'at risk' : guard.level || '–');
  setText(tag.children[2], guard.raise ? ' can be raised' : '');
  setAttribute(tag, 'title', guard.raise ? `can be raised: ${guard.raise}` : undefined);
}

const fillText = (text) => (cell, item) => setText(cell, text(item));

/** The columns of the tables' grid. */
export function tableColumns(board, open) {
  const now = () => board.now();
  return [
    { id: 'state', title: 'State', kind: 'w-state', isDown: true, value: (item) => item.severity * 2 + (item.load ? 1 : 0),
      fill: (cell, item) => fillState(cell, item, now()) },
    { id: 'name', title: 'Table', kind: 'w-name', value: (item) => item.name, fill: (cell, item) => fillName(cell, item, open) },
    { id: 'what', title: 'Position, progress, problem', kind: 'w-what', fill: (cell, item) => fillWhat(cell, item, now()) },
    { id: 'lag', title: 'Lag', kind: 'w-lag number', label: 'lag', isDown: true, value: (item) => item.lag,
      fill: fillText((item) => duration(item.lag)) },
    { id: 'rate', title: 'Rows/s', kind: 'w-rate number', isDown: true, value: (item) => item.rate.perSecond, fill: fillRate },
    { id: 'rows', title: 'Rows', kind: 'w-rows number', label: 'rows', isDown: true, value: (item) => item.rows,
      fill: fillText((item) => compact(item.rows)) },
    { id: 'guard', title: 'Guard', kind: 'w-guard', value: (item) => item.raw.guard?.level ?? '', fill: fillGuard },
  ];
}

/** The columns of the connectors' grid. */
export function connectorColumns(board, open, buttons) {
  return [
    { id: 'state', title: 'State', kind: 'w-state', isDown: true, value: (item) => item.severity,
      fill: (cell, item) => fillState(cell, item, board.now()) },
    { id: 'name', title: 'Connector', kind: 'w-name', value: (item) => item.name, fill: (cell, item) => fillName(cell, item, open) },
    { id: 'what', title: 'Problem', kind: 'w-what', fill: (cell, item) => fillWhat(cell, item, board.now()) },
    { id: 'tables', title: 'Tables', kind: 'w-count number', label: 'tables', isDown: true, value: (item) => item.tables,
      fill: fillText((item) => (item.isOurs ? count(item.tables) : '–')) },
    { id: 'lag', title: 'Max lag', kind: 'w-lag number', label: 'lag', isDown: true, value: (item) => item.lag,
      fill: fillText((item) => duration(item.lag)) },
    { id: 'rate', title: 'Rows/s', kind: 'w-rate number', isDown: true, value: (item) => item.rate.perSecond, fill: fillRate },
    { id: 'do', title: 'Actions', kind: 'w-do', isBare: true, fill: (cell, item) => buttons(cell, item) },
  ];
}
