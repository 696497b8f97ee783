// The points and the camera. Everything is drawn by regl-scatterplot; what a point looks like is two numbers of it: its
// colour's place (z) and its state (w), which picks size and opacity.

const DIM = 0, NORMAL = 1, STRONG = 2, NOISE = 3;

const pointStyle = (count) => {
  const size = Math.max(2, Math.min(7, 13 - 2.1 * Math.log10(Math.max(count, 1))));
  const opacity = Math.max(0.5, Math.min(0.85, 1.32 - 0.15 * Math.log10(Math.max(count, 1))));
  return {
    pointSize: [size * 0.85, size, size * 1.3, size * 0.8],
    opacity: [0.5, opacity, 0.95, opacity * 0.7],
  };
};

const THEMES = {
  light: { paper: '#fbfbfa', dim: '#dddfe4', ink: '#1c2027' },
  dark: { paper: '#13161b', dim: '#2b3039', ink: '#e8ebf0' },
};

const createView = (canvas, data) => {
  const plot = scatterplot.create({
    canvas, width: 'auto', height: 'auto', colorBy: 'valueZ', sizeBy: 'valueW', opacityBy: 'valueW',
    deselectOnEscape: false, pointOutlineWidth: 1.5, pointSizeSelected: 2, lassoLineWidth: 2, lassoMinDist: 2,
    ...pointStyle(data.count),
  });
  const rows = Array.from({ length: data.count }, (_, i) => [data.x[i], data.y[i], 0, 0]);
  const extent = [Math.max(...bounds(data.x)), Math.max(...bounds(data.y))];
  let styled = 0;
  let moving = 0, aim = null;

  const setTheme = (theme) => {
    const { paper, dim, ink } = THEMES[theme];
    plot.set({
      backgroundColor: paper, pointColor: [...data.raw[theme], dim], pointColorHover: ink, pointColorActive: ink,
      lassoColor: theme === 'dark' ? '#86b7ff' : '#1a5fb4',
    });
  };

  // `chosen`: one byte for each point, or null: no point stands out.
  const style = async (chosen, noiseShown) => {
    const mine = ++styled;
    const dimColour = data.raw.light.length;
    const layers = [[], []];
    for (let i = 0; i < rows.length; i++) {
      const noise = data.clusters[i] === data.noise;
      const dim = chosen && !chosen[i];
      rows[i][2] = dim ? dimColour : data.colourOf(data.clusters[i]);
      rows[i][3] = dim ? DIM : chosen ? STRONG : noise ? NOISE : NORMAL;
      layers[dim || (noise && !chosen) ? 0 : 1].push(i);
    }
    const order = layers[0].concat(layers[1]);
    plot.set({ pointOrder: order });
    await plot.draw(rows, {
      spatialIndex: plot.get('spatialIndex'), zDataType: 'categorical', wDataType: 'categorical',
      preventFilterReset: true,
    });
    if (mine !== styled) return;
    const hides = !noiseShown && data.sizes[data.noise] > 0;
    if (hides) plot.filter(order.filter((i) => data.clusters[i] !== data.noise), { preventEvent: true });
    else if (plot.get('filteredPoints').length < rows.length) plot.unfilter({ preventEvent: true });
  };

  const camera = () => {
    const view = plot.get('cameraView');
    return { scale: view[0], x: view[12], y: view[13] };
  };

  const look = ({ scale, x, y }) =>
    plot.view(new Float32Array([scale, 0, 0, 0, 0, scale, 0, 0, 0, 0, 1, 0, x, y, 0, 1]));

  const move = (to, milliseconds = 260) => {
    const from = camera();
    const began = performance.now();
    cancelAnimationFrame(moving);
    aim = null;
    if (calm.matches || !milliseconds) return look(to);
    aim = to;
    const step = (now) => {
      const part = Math.min(1, Math.max(0, (now - began) / milliseconds));
      const eased = 1 - (1 - part) ** 3;
      const between = (a, b) => a + (b - a) * eased;
      look({ scale: from.scale * (to.scale / from.scale) ** eased, x: between(from.x, to.x), y: between(from.y, to.y) });
      if (part < 1) moving = requestAnimationFrame(step);
      else aim = null;
    };
    moving = requestAnimationFrame(step);
  };

  const size = () => [canvas.clientWidth, canvas.clientHeight];
  const clamped = (scale) => Math.min(4000, Math.max(0.2, scale));

  // The part of the canvas that nothing lies on: left, top, right, bottom.
  const insets = () => (narrow.matches ? [48, 56, 48, 72] : [76, 48, element('items').hidden ? 40 : 372, 44]);

  const show = (low, high, milliseconds) => {
    const [width, height] = size();
    const [left, top, right, bottom] = insets();
    const free = [Math.max(width - left - right, 40), Math.max(height - top - bottom, 40)];
    const wanted = [Math.max(high[0] - low[0], 1e-3), Math.max(high[1] - low[1], 1e-3)];
    const scale = clamped((2 / height) * Math.min(free[0] / wanted[0], free[1] / wanted[1], 30 * height));
    move({
      scale,
      x: (left - right) / height - (scale * (low[0] + high[0])) / 2,
      y: (bottom - top) / height - (scale * (low[1] + high[1])) / 2,
    }, milliseconds);
  };

  const view = {
    plot, setTheme, style, camera, look, size,
    fit: (milliseconds) => show(extent.map((e) => -e), extent, milliseconds),
    showPoints: (chosen) => {
      const xs = data.x.filter((_, i) => chosen[i]);
      const ys = data.y.filter((_, i) => chosen[i]);
      const [left, right] = bounds(xs), [bottom, top] = bounds(ys);
      show([left, bottom], [right, top]);
    },
    // Pans, if a place isn't in sight, so that it's in the middle.
    reveal: (place) => {
      const [width, height] = size();
      const [left, top, right, bottom] = insets();
      const [x, y] = view.project(place);
      if (x >= left && x <= width - right && y >= top && y <= height - bottom) return;
      view.pan((left + width - right - 2 * x) / height, (2 * y - top - height + bottom) / height);
    },
    // Keys pressed in a row add up: each starts from where the one before is heading.
    pan: (dx, dy) => {
      const now = aim ?? camera();
      move({ ...now, x: now.x + dx, y: now.y + dy }, 140);
    },
    zoom: (factor) => {
      const now = aim ?? camera();
      const scale = clamped(now.scale * factor);
      move({ scale, x: (now.x * scale) / now.scale, y: (now.y * scale) / now.scale }, 180);
    },
    // Where a place of the map is on the canvas, in CSS pixels.
    project: ([x, y], now = camera()) => {
      const [width, height] = size();
      return [width / 2 + ((now.scale * x + now.x) * height) / 2, height / 2 - ((now.scale * y + now.y) * height) / 2];
    },
  };
  return view;
};

// Spreading a long array into Math.max would overflow the stack.
const bounds = (values) => {
  let low = Infinity, high = -Infinity;
  for (const value of values) {
    if (value < low) low = value;
    if (value > high) high = value;
  }
  return [low, high];
};
