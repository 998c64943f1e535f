// The list of events, newest first, where the server keeps one.

import { call } from './api.js';
import { at, el, show } from './dom.js';
import { clock } from './words.js';

/** The events that are kept on the page. */
const MOST = 200;

export class Events {
  #last;

  constructor(abilities) {
    this.abilities = abilities;
    this.list = at('events').querySelector('ol');
  }

  /** Asks for those after the last one seen. */
  async ask() {
    if (!this.abilities.has('get', 'events')) return;
    const { body } = await call('GET', this.#last === undefined ? 'rowtide/v1/events' : `rowtide/v1/events?after=${this.#last}`);
    // A server that has begun anew counts from the beginning.
    if (this.#last !== undefined && body.last < this.#last) {
      this.#last = undefined;
      return;
    }
    this.#last = body.last;
    if (body.events.length) this.list.prepend(...body.events.slice(-MOST).reverse().map(line));
    while (this.list.children.length > MOST) this.list.lastChild.remove();
    show(at('events'), this.list.children.length > 0);
  }
}

function line(event) {
  const place = [event.connector, event.table].filter(Boolean).join(', ');
  return el('li', {}, el('time', { datetime: event.time }, clock(Date.parse(event.time))), el('span', { class: 'place' }, place),
    el('span', { class: 'sub' }, String(event.kind ?? '').replaceAll('_', ' ')), el('span', { class: 'text' }, event.text ?? ''));
}
