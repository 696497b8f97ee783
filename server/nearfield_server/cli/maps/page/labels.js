// Names of clusters on the map. Larger clusters get their place first; a name that would touch another waits until
// zooming in makes room for it, and then fades in. A name stands on a wide cluster, and above or below a narrow one, which
// it would hide. Places depend on the scale alone: panning never makes names flicker.

const LABELS = { most: 400, characters: 22, lines: 2, pad: 6, wide: 44, fadeMilliseconds: 160, stepsPerDoubling: 6 };

const linesOf = (name) => {
  const lines = [''];
  for (const word of name.split(' ')) {
    const longer = `${lines[lines.length - 1]} ${word}`.trim();
    if (longer.length <= LABELS.characters) lines[lines.length - 1] = longer;
    else if (lines[lines.length - 1] && lines.length < LABELS.lines) lines.push(word);
    else return [...lines.slice(0, -1), cut(longer)];
  }
  return lines.map(cut);
};

const cut = (line) => ([...line].length <= LABELS.characters ? line : `${[...line].slice(0, LABELS.characters - 1).join('').trimEnd()}…`);

const createLabels = (canvas, view, data) => {
  const context = canvas.getContext('2d');
  const family = getComputedStyle(document.body).fontFamily;
  const largest = Math.max(1, data.sizes[0]);
  const labels = data.centres.slice(0, LABELS.most).map(({ centre, spread }, place) => {
    const height = (narrow.matches ? 10 : 11.5) + 3.5 * Math.sqrt(data.sizes[place] / largest);
    const font = `600 ${height.toFixed(1)}px ${family}`;
    context.font = font;
    const lines = linesOf(shown(data.names[place]));
    const width = Math.max(...lines.map((line) => context.measureText(line).width));
    const half = [width / 2, (lines.length * height * 1.2) / 2];
    return { place, centre, spread, lines, font, half, height: height * 1.2, alpha: 0, placed: false, shift: 0 };
  });
  let theme = THEMES.light, relevant = null, visible = true, placedFor = '', last = 0, waiting = 0;

  const place = (scale) => {
    const height = view.size()[1];
    const taken = [];
    for (const label of labels) {
      label.placed = visible && (!relevant || relevant[label.place]);
      if (!label.placed) continue;
      const [x, y] = label.centre.map((value) => (value * scale * height) / 2);
      const [w, h] = label.half.map((value) => value + LABELS.pad / 2);
      const free = (shift) => taken.every((box) => Math.abs(box.x - x) >= box.w + w || Math.abs(box.y - y - shift) >= box.h + h);
      const spread = (label.spread * scale * height) / 2;
      const aside = Math.min(spread, LABELS.wide / 2) + h + 3;
      const shift = (spread * 2 > LABELS.wide ? [0, aside, -aside] : [aside, -aside]).find(free);
      label.placed = shift !== undefined;
      if (label.placed) taken.push({ x, y: y + shift, w, h });
      if (label.placed) label.shift = shift;
    }
  };

  const draw = () => {
    const ratio = devicePixelRatio || 1;
    const [width, height] = view.size();
    if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
      canvas.width = Math.round(width * ratio);
      canvas.height = Math.round(height * ratio);
    }
    const now = view.camera();
    const step = Math.round(Math.log2(now.scale) * LABELS.stepsPerDoubling);
    const key = `${step} ${height}`;
    if (key !== placedFor) {
      place(2 ** (step / LABELS.stepsPerDoubling));
      placedFor = key;
    }
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, width, height);
    context.textAlign = 'center';
    context.textBaseline = 'middle';
    context.lineJoin = 'round';
    context.lineWidth = 4;
    context.strokeStyle = theme.paper;
    context.fillStyle = theme.ink;
    if (fade()) later();
    for (const label of labels) if (label.alpha > 0.01) paint(label, view.project(label.centre, now), [width, height]);
  };

  const paint = (label, [x, centre], [width, height]) => {
    const y = centre - label.shift;
    if (x < -label.half[0] || x > width + label.half[0] || y < -label.half[1] || y > height + label.half[1]) return;
    context.font = label.font;
    label.lines.forEach((line, i) => {
      const top = y + (i - (label.lines.length - 1) / 2) * label.height;
      context.globalAlpha = label.alpha * 0.85;
      context.strokeText(line, x, top);
      context.globalAlpha = label.alpha;
      context.fillText(line, x, top);
    });
    context.globalAlpha = 1;
  };

  // Moves every name towards being there or not; true while some are on their way.
  const fade = () => {
    const now = performance.now();
    const part = calm.matches ? 1 : Math.min(1, (now - last) / LABELS.fadeMilliseconds);
    last = now;
    let changing = false;
    for (const label of labels) {
      const target = label.placed ? 1 : 0;
      label.alpha += Math.max(-part, Math.min(part, target - label.alpha));
      changing ||= label.alpha !== target;
    }
    return changing;
  };

  const later = () => {
    cancelAnimationFrame(waiting);
    waiting = requestAnimationFrame(draw);
  };

  const change = (set) => {
    set();
    placedFor = '';
    last = performance.now();
    draw();
  };

  return {
    draw,
    placed: () => labels.filter((label) => label.placed).length,
    setTheme: (name) => change(() => { theme = THEMES[name]; }),
    setRelevant: (places) => change(() => { relevant = places; }),
    setVisible: (on) => change(() => { visible = on; }),
  };
};
