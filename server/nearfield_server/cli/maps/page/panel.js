// The list of clusters: each a button that shows it alone; with Shift, Ctrl or Cmd beside those already shown.

const dot = (colour) => {
  const one = document.createElement('span');
  one.className = 'dot';
  one.style.background = colour;
  return one;
};

const span = (name, text) => {
  const one = document.createElement('span');
  one.className = name;
  one.textContent = text;
  return one;
};

const CLOSE = 'm5.5 5.5 9 9m0-9-9 9';

const icon = (path) => {
  const svg = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
  svg.setAttribute('viewBox', '0 0 20 20');
  svg.setAttribute('aria-hidden', 'true');
  svg.append(document.createElementNS('http://www.w3.org/2000/svg', 'path'));
  svg.firstChild.setAttribute('d', path);
  return svg;
};

const LISTED_CLUSTERS = 1000;

// `on.clusters(Set)` hears which clusters are wanted, `on.noise(bool)` whether the others are shown.
const createPanel = (data, on) => {
  const list = element('clusters');
  element('title').textContent = shown(data.raw.title);
  element('subtitle').textContent = shown(data.raw.subtitle);
  element('cluster-count').textContent = number(data.noise);
  element('noise-row').hidden = !data.sizes[data.noise];
  element('noise-count').textContent = number(data.sizes[data.noise]);
  let wanted = new Set();

  const buttons = Array.from({ length: Math.min(data.noise, LISTED_CLUSTERS) }, (_, place) => {
    const button = document.createElement('button');
    button.type = 'button';
    button.title = shown(data.names[place]);
    button.append(dot(''), span('name', shown(data.names[place])), span('count', number(data.sizes[place])));
    button.setAttribute('aria-pressed', 'false');
    button.addEventListener('click', (event) => choose(place, event.shiftKey || event.ctrlKey || event.metaKey));
    const row = document.createElement('li');
    row.append(button);
    return row;
  });
  list.append(...buttons);
  if (data.noise > LISTED_CLUSTERS) {
    const more = document.createElement('li');
    more.className = 'note';
    more.textContent = `and ${number(data.noise - LISTED_CLUSTERS)} smaller ones`;
    list.append(more);
  }

  const choose = (place, more) => {
    const next = new Set(more ? wanted : []);
    const alone = wanted.has(place) && (more || wanted.size === 1);
    if (alone) next.delete(place);
    else next.add(place);
    on.clusters(next);
  };

  element('all').addEventListener('click', () => on.clusters(new Set()));
  element('noise').addEventListener('change', (event) => on.noise(event.target.checked));
  list.addEventListener('keydown', (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    const row = event.target.closest('li');
    const next = step > 0 ? row?.nextElementSibling : row?.previousElementSibling;
    if (!step || !next) return;
    event.preventDefault();
    next.querySelector('button')?.focus();
  });

  return {
    setWanted: (places) => {
      wanted = places;
      list.classList.toggle('some', places.size > 0);
      element('all').hidden = !places.size;
      buttons.forEach((row, place) => row.firstChild.setAttribute('aria-pressed', String(places.has(place))));
    },
    setTheme: (theme) =>
      buttons.forEach((row, place) => { row.firstChild.firstChild.style.background = data.raw[theme][data.colourOf(place)]; }),
  };
};
