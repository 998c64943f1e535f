// Elements and text. Data of servers reaches the page here, as text and never as HTML.

const SVG = 'http://www.w3.org/2000/svg';

/** The element with this id. */
export const at = (id) => document.getElementById(id);

/** An element with attributes, listeners (`onclick`) and children. */
export function el(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (key.startsWith('on')) element.addEventListener(key.slice(2), value);
    else element.setAttribute(key, value === true ? '' : String(value));
  }
  element.append(...children.filter((child) => child !== undefined && child !== null));
  return element;
}

/** Sets a text if it is another one, so that nothing is drawn or read aloud without need. */
export function setText(node, text) {
  const wanted = text ?? '';
  if (node.textContent !== wanted) node.textContent = wanted;
}

/** Sets an attribute, or takes it away. */
export function setAttribute(node, name, value) {
  if (value === undefined || value === null || value === false) node.removeAttribute(name);
  else if (node.getAttribute(name) !== String(value)) node.setAttribute(name, String(value));
}

/** Shows or hides. */
export function show(node, isShown) {
  if (node.hidden === isShown) node.hidden = !isShown;
}

function shape(name, attributes) {
  const node = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  return node;
}

/** One of the icons of the page's sprite. A word always stands beside it. */
export function icon(name) {
  const svg = shape('svg', { class: 'icon', 'aria-hidden': 'true', viewBox: '0 0 16 16' });
  svg.append(shape('use', { href: `#i-${name}` }));
  return svg;
}

/** Gives an icon another picture. */
export function setIcon(svg, name) {
  setAttribute(svg.firstChild, 'href', `#i-${name}`);
}

/** A line of figures over time, without axes; the last figure stands beside it as text. */
export function sparkline() {
  const svg = shape('svg', { class: 'spark', 'aria-hidden': 'true', viewBox: '0 0 60 16', preserveAspectRatio: 'none' });
  svg.append(shape('polygon', { class: 'area' }), shape('polyline', {}));
  return svg;
}

/** Draws the last `length` figures, the newest at the right; nothing if all are 0. */
export function drawSparkline(svg, figures, length) {
  const highest = Math.max(...figures, 0);
  const points = figures.map((figure, index) => {
    const x = 60 - ((figures.length - 1 - index) * 60) / (length - 1);
    const y = highest > 0 ? 15 - (figure / highest) * 13.5 : 15;
    return `${x.toFixed(1)},${y.toFixed(1)}`;
  });
  const line = highest > 0 && points.length > 1 ? points.join(' ') : '';
  const left = line.split(',')[0];
  setAttribute(svg.lastChild, 'points', line);
  setAttribute(svg.firstChild, 'points', line && `${left},16 ${line} 60,16`);
}

let speaking;

/** Says something to those who do not see the page. What is said in one moment is one sentence behind the other. */
export function announce(text) {
  const region = at('announce');
  if (speaking) {
    region.textContent += ` ${text}`;
    return;
  }
  region.textContent = text;
  speaking = setTimeout(() => { speaking = undefined; }, 1500);
}
