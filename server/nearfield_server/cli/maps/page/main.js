// The page's story: read, draw, then read the texts; and what each key and button does.

const asked = new URLSearchParams(location.hash.slice(1));
const page = document.documentElement;
const media = matchMedia('(prefers-color-scheme: dark)');

const refuse = (text) => {
  element('fallback-text').textContent = text;
  element('fallback').hidden = false;
  page.dataset.state = 'refused';
};

// Trying is the test: asking a context of its own first would take a second where graphics are slow.
const drawnWith = (canvas, data) => {
  try {
    return createView(canvas, data);
  } catch (error) {
    refuse(`It draws with WebGL, which this browser lacks or has switched off (${error.message.trim()}). Look for “hardware acceleration” in its settings, or open the file in another browser.`);
    return null;
  }
};

const start = async () => {
  if (typeof DecompressionStream === 'undefined') return refuse('It needs a browser of 2023 or later.');
  const data = await readData();
  const view = drawnWith(element('points'), data);
  if (!view) return;
  const labels = createLabels(element('labels'), view, data);
  const app = createApp(data, view, labels);
  element('map').setAttribute('aria-label', `Map of ${counted(data.count, 'text')} in ${counted(data.noise, 'cluster')}`);
  await app.begin();
  performance.mark('nearfield-drawn');
  Object.assign(page.dataset, { state: 'drawn', points: data.count, drawn: Math.round(performance.now()) });
  await readItems(data);
  app.ready();
  page.dataset.state = 'ready';
};

const createApp = (data, view, labels) => {
  const focus = { clusters: new Set(), query: '', picked: null, noise: true };
  let theme = 'light', lower = null, lassoing = false, namesShown = true, searching = 0, chosen = null;

  const say = (text, button) => {
    const before = button.textContent;
    element('said').textContent = text;
    button.textContent = text;
    setTimeout(() => { button.textContent = before; }, 1600);
  };
  const items = createItems(data, say);
  const panel = createPanel(data, {
    clusters: (places) => {
      update({ clusters: places });
      if (places.size === 1) view.reveal(data.centres[[...places][0]].centre);
    },
    noise: (on) => update({ noise: on }),
  });

  const chosenNow = ({ clusters, query, picked, noise }) => {
    if (!clusters.size && !query && !picked) return null;
    const wants = Uint8Array.from({ length: data.noise + 1 }, (_, place) => (clusters.size ? clusters.has(place) : noise || place < data.noise));
    lower ??= data.texts.map((text) => text.toLowerCase());
    return Uint8Array.from({ length: data.count }, (_, i) =>
      wants[data.clusters[i]] && (!picked || picked[i]) && (!query || lower[i].includes(query)));
  };

  const placesOf = (rows) => {
    const places = new Uint8Array(data.noise + 1);
    rows.forEach((one, i) => { places[data.clusters[i]] |= one; });
    return places;
  };

  const colourOf = (place) => data.raw[theme][data.colourOf(place)];

  const chips = () => [
    ...Array.from(focus.clusters, (place) => ({ label: shown(data.names[place]), colour: colourOf(place), clear: () => update({ clusters: new Set([...focus.clusters].filter((other) => other !== place)) }) })),
    ...(focus.query ? [{ label: `“${focus.query}”`, clear: () => search('') }] : []),
    ...(focus.picked ? [{ label: 'Selection', clear: () => update({ picked: null }) }] : []),
  ];

  const update = (changes) => {
    Object.assign(focus, changes);
    chosen = chosenNow(focus);
    const count = chosen ? chosen.reduce((sum, one) => sum + one, 0) : data.count;
    page.dataset.focus = count;
    element('matches').textContent = focus.query ? `${number(count)} of ${counted(data.count, 'text')}` : '';
    panel.setWanted(focus.clusters);
    labels.setRelevant(chosen && placesOf(chosen));
    if (chosen) items.show(chosen, { query: focus.query, chips: chips(), colourOf });
    else items.hide();
    hover(-1);
    remember();
    return view.style(chosen, focus.noise);
  };

  const remember = () => {
    const kept = new URLSearchParams();
    if (focus.query) kept.set('q', focus.query);
    if (focus.clusters.size) kept.set('cluster', [...focus.clusters].join(' '));
    history.replaceState(null, '', `#${kept}`);
  };

  const search = (text) => {
    if (element('query').value.toLowerCase() !== text.toLowerCase()) element('query').value = text;
    return update({ query: text.toLowerCase() });
  };

  const setTheme = (name) => {
    theme = name;
    page.dataset.theme = name;
    view.setTheme(name);
    labels.setTheme(name);
    panel.setTheme(name);
    if (chosen) items.show(chosen, { query: focus.query, chips: chips(), colourOf });
  };

  const setLasso = (on) => {
    lassoing = on;
    element('map').classList.toggle('lassoing', on);
    element('lasso').setAttribute('aria-pressed', String(on));
    view.plot.set({ mouseMode: on ? 'lasso' : 'panZoom' });
  };

  const setNames = (on) => {
    namesShown = on;
    element('names').setAttribute('aria-pressed', String(on));
    labels.setVisible(on);
  };

  const pick = (points) => {
    view.plot.deselect({ preventEvent: true });
    setLasso(false);
    // Points that clusters and search leave in the background can't be picked.
    const inFocus = chosenNow({ ...focus, picked: null });
    const picked = new Uint8Array(data.count);
    for (const i of points) picked[i] = inFocus ? inFocus[i] : 1;
    if (!picked.includes(1)) return;
    update({ picked });
  };

  const clear = () => {
    setLasso(false);
    element('query').value = '';
    update({ clusters: new Set(), query: '', picked: null });
  };

  const tip = element('tip');
  const hover = (i) => {
    tip.hidden = i < 0 || !data.texts.length;
    if (tip.hidden) return;
    const [name, text, id] = [tip.querySelector('bdi'), tip.querySelector('.tip-text'), tip.querySelector('.tip-id')];
    name.textContent = shown(data.names[data.clusters[i]]);
    tip.querySelector('.dot').style.background = colourOf(data.clusters[i]);
    text.textContent = shown(data.texts[i]);
    id.textContent = `id ${shown(String(data.ids[i]))}`;
    const [x, y] = view.project([data.x[i], data.y[i]]);
    const [width, height] = view.size();
    const left = x + 14 + tip.offsetWidth > width ? x - 14 - tip.offsetWidth : x + 14;
    const top = y + 14 + tip.offsetHeight > height ? y - 14 - tip.offsetHeight : y + 14;
    tip.style.transform = `translate(${Math.max(4, Math.round(left))}px, ${Math.max(4, Math.round(top))}px)`;
  };

  const actions = {
    ArrowLeft: () => view.pan(0.25, 0), ArrowRight: () => view.pan(-0.25, 0),
    ArrowUp: () => view.pan(0, -0.25), ArrowDown: () => view.pan(0, 0.25),
    '+': () => view.zoom(1.5), '=': () => view.zoom(1.5), '-': () => view.zoom(1 / 1.5), 0: () => view.fit(),
    '/': () => element('query').focus(), '?': () => element('help-box').showModal(),
    l: () => setLasso(!lassoing), n: () => setNames(!namesShown),
    d: () => setTheme(theme === 'dark' ? 'light' : 'dark'), Escape: clear,
  };

  const onKey = (event) => {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || element('help-box').open) return;
    const typing = event.target === element('query');
    if (typing && event.key === 'Enter' && chosen?.includes(1)) view.showPoints(chosen);
    if (typing && event.key === 'Escape') event.target.blur();
    // Arrows belong to what has the focus, unless that's the map.
    const elsewhere = event.key.startsWith('Arrow') && ![element('map'), document.body].includes(event.target);
    const action = actions[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    if (!action || elsewhere || (typing && event.key !== 'Escape')) return;
    event.preventDefault();
    action();
  };

  const buttons = { 'zoom-in': '+', 'zoom-out': '-', fit: '0', lasso: 'l', names: 'n', theme: 'd', help: '?', clear: 'Escape' };

  const listen = () => {
    addEventListener('keydown', onKey);
    for (const [id, key] of Object.entries(buttons)) element(id).addEventListener('click', actions[key]);
    media.addEventListener('change', (event) => setTheme(event.matches ? 'dark' : 'light'));
    element('query').addEventListener('input', (event) => {
      clearTimeout(searching);
      searching = setTimeout(() => search(event.target.value), 90);
    });
    view.plot.subscribe('drawing', labels.draw);
    view.plot.subscribe('view', () => hover(-1));
    view.plot.subscribe('select', ({ points }) => pick(points));
    view.plot.subscribe('pointover', hover);
    view.plot.subscribe('pointout', () => hover(-1));
  };

  return {
    begin: async () => {
      setTheme(THEMES[asked.get('theme')] ? asked.get('theme') : media.matches ? 'dark' : 'light');
      view.fit(0);
      listen();
      await view.style(null, true);
    },
    ready: () => {
      element('query').disabled = false;
      const places = (asked.get('cluster') ?? '').split(' ').filter(Boolean).map(Number).filter((place) => place < data.noise);
      focus.clusters = new Set(places);
      if (asked.get('q') || places.length) search(asked.get('q') ?? '');
      else page.dataset.focus = data.count;
    },
  };
};

start().catch((error) => refuse(`Something went wrong: ${error.message}`));
