// A table of items: sorted, in pages, and brought up to date cell by cell. Rows that stay are kept as elements, so that focus,
// selection and a reader's place stay where they are; only those of the page shown exist.

import { el, setAttribute, setText, show } from './dom.js';
import { count } from './words.js';

export class Grid {
  #rows = new Map();
  #order = new Map();
  #page = 0;
  #items = [];
  #last = '';

  /**
   * `columns`: {id, title, kind, label, value(item), fill(cell, item)}. `open(item)` is called for a click on a row. `sort` is
   * {id, isDown}, `page` the number of rows of one.
   */
  constructor(section, { columns, sort, page, open, onSort }) {
    Object.assign(this, { columns, sort, page, open, onSort });
    this.table = section.querySelector('table');
    this.pager = section.querySelector('.pager');
    this.heads = columns.map((column) => this.#head(column));
    this.body = el('tbody', { role: 'rowgroup' });
    this.table.append(el('thead', { role: 'rowgroup' }, el('tr', { role: 'row' }, ...this.heads)), this.body);
    this.previous = el('button', { type: 'button', class: 'small', onclick: () => this.#turn(-1) }, 'Previous');
    this.next = el('button', { type: 'button', class: 'small', onclick: () => this.#turn(1) }, 'Next');
    this.range = el('span', { 'aria-live': 'polite' });
    this.pager.append(this.range, this.previous, this.next);
  }

  #head(column) {
    const head = el('th', { role: 'columnheader', scope: 'col', class: column.kind });
    if (column.value) head.append(el('button', { type: 'button', onclick: () => this.sortBy(column.id) }, column.title));
    else head.append(el('span', { class: column.isBare ? 'hidden' : undefined }, column.title));
    return head;
  }

  /** Sorts by a column; by the one that is sorted by, the other way round. */
  sortBy(id, isDown = this.sort.id === id ? !this.sort.isDown : (this.columns.find((column) => column.id === id)?.isDown ?? false)) {
    this.sort = { id, isDown };
    this.#page = 0;
    this.onSort?.(this.sort);
    this.show(this.#items, this.#last);
  }

  #turn(by) {
    this.#page += by;
    this.#draw();
    if (document.activeElement === document.body || document.activeElement?.disabled) {
      (this.next.disabled ? this.previous : this.next).focus();
    }
    this.table.scrollIntoView({ block: 'nearest' });
  }

  /** Shows items. `filter` names what they were chosen by: another one begins at the first page. */
  show(items, filter) {
    const rule = `${this.sort.id} ${this.sort.isDown}`;
    const isSame = filter === this.#last && rule === this.rule;
    if (filter !== this.#last) this.#page = 0;
    [this.#last, this.rule] = [filter, rule];
    this.#items = this.#sorted(items, isSame && this.#isHeld());
    this.#order = new Map(this.#items.map((item, index) => [item.key, index]));
    this.#draw();
  }

  /** Rows do not move away under a pointer, or from somebody who goes through them by keys. */
  #isHeld() {
    return this.body.matches(':hover') || this.body.contains(document.activeElement);
  }

  #sorted(items, isHeld) {
    if (isHeld) {
      const place = (item) => this.#order.get(item.key) ?? Infinity;
      return [...items].sort((one, other) => Math.sign(place(one) - place(other)) || 0);
    }
    const column = this.columns.find((one) => one.id === this.sort.id);
    const factor = this.sort.isDown ? -1 : 1;
    return items.map((item) => ({ item, value: column.value(item) })).sort((one, other) =>
      compared(one.value, other.value, factor) || compareText(one.item.name, other.item.name)
        || compareText(one.item.connector ?? '', other.item.connector ?? '')).map(({ item }) => item);
  }

  #draw() {
    const pages = Math.max(1, Math.ceil(this.#items.length / this.page));
    this.#page = Math.min(Math.max(0, this.#page), pages - 1);
    const first = this.#page * this.page;
    const shown = this.#items.slice(first, first + this.page);
    this.#drawRows(shown);
    this.columns.forEach((column, index) => {
      const isSorted = column.id === this.sort.id;
      setAttribute(this.heads[index], 'aria-sort', isSorted ? (this.sort.isDown ? 'descending' : 'ascending') : undefined);
    });
    show(this.table, shown.length > 0);
    show(this.pager, pages > 1);
    setText(this.range, `${count(first + 1)}–${count(first + shown.length)} of ${count(this.#items.length)}`);
    this.previous.disabled = this.#page === 0;
    this.next.disabled = this.#page === pages - 1;
  }

  #drawRows(items) {
    const focused = this.body.contains(document.activeElement) ? document.activeElement : undefined;
    const wanted = new Set(items.map((item) => item.key));
    for (const [key, row] of this.#rows) {
      if (wanted.has(key)) continue;
      row.remove();
      this.#rows.delete(key);
    }
    let place = this.body.firstChild;
    for (const item of items) {
      const row = this.#rows.get(item.key) ?? this.#row(item);
      row.item = item;
      this.columns.forEach((column, index) => column.fill(row.children[index], item));
      if (row === place) place = place.nextSibling;
      else this.body.insertBefore(row, place);
    }
    // Moving an element takes the focus from it.
    if (focused && focused !== document.activeElement && this.body.contains(focused)) focused.focus({ preventScroll: true });
  }

  #row(item) {
    const row = el('tr', { role: 'row' });
    for (const column of this.columns) row.append(el('td', { role: 'cell', class: column.kind, 'data-label': column.label }));
    row.addEventListener('click', (event) => {
      if (!event.target.closest('button, a') && !String(getSelection())) this.open(row.item);
    });
    this.#rows.set(item.key, row);
    return row;
  }
}

const compareText = (one, other) => (one < other ? -1 : one > other ? 1 : 0);

/** What is not known stands at the end, whichever way. */
function compared(one, other, factor) {
  const isKnown = (value) => value !== undefined && value !== null;
  if (!isKnown(one) || !isKnown(other)) return Number(isKnown(other)) - Number(isKnown(one));
  return factor * (typeof one === 'string' ? compareText(one, other) : one - other);
}
