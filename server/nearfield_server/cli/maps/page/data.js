// The page's data, as encoding.py packed it.

const bytesOf = (base64) => {
  const letters = atob(base64);
  const bytes = new Uint8Array(letters.length);
  for (let i = 0; i < letters.length; i++) bytes[i] = letters.charCodeAt(i);
  return bytes;
};

const unpacked = (base64) =>
  new Response(new Blob([bytesOf(base64)]).stream().pipeThrough(new DecompressionStream('gzip')));

const littleEndian = (bytes, width) => {
  const view = new DataView(bytes.buffer);
  const read = width === 4 ? (i) => view.getUint32(i, true) : (i) => view.getUint16(i, true);
  return Uint32Array.from({ length: bytes.length / width }, (_, i) => read(i * width));
};

// Points and clusters are enough to draw; the texts follow.
const readData = async () => {
  const raw = JSON.parse(document.getElementById('data').textContent);
  const steps = littleEndian(bytesOf(raw.coordinates), 2);
  const packed = new Uint8Array(await unpacked(raw.clusters).arrayBuffer());
  const places = littleEndian(packed, raw.clusterBytes);
  const noise = raw.names.length;
  const sizes = new Uint32Array(noise + 1);
  const clusters = places.map((place) => Math.min(place, noise));
  for (const place of clusters) sizes[place]++;
  const data = {
    raw,
    count: raw.count,
    x: Float32Array.from({ length: raw.count }, (_, i) => (steps[i] / 65535) * 2 - 1),
    y: Float32Array.from({ length: raw.count }, (_, i) => (steps[raw.count + i] / 65535) * 2 - 1),
    clusters, // noise: the number of clusters
    noise,
    sizes,
    names: [...raw.names, 'Without a cluster'],
    colourOf: (place) => (place === noise ? raw.light.length - 1 : raw.colours[place]),
    texts: [],
    ids: [],
  };
  data.centres = centresOf(data);
  return data;
};

// They stand behind the scripts, so that a long page draws before all of it is read.
const readItems = async (data) => {
  if (document.readyState === 'loading') await new Promise((done) => document.addEventListener('DOMContentLoaded', done));
  const items = await unpacked(element('texts').textContent).json();
  data.texts = items.texts;
  data.ids = items.ids;
};

// Control characters are shown as their pictures, line ends as spaces: a text can't change how the page looks.
const shown = (text) =>
  text.replace(/\s+/g, ' ').replace(/[\u0000-\u001f\u007f]/g, (c) => String.fromCharCode(c === '\u007f' ? 0x2421 : 0x2400 + c.charCodeAt(0)));

const middleOf = (values) => {
  values.sort();
  return values[values.length >> 1];
};

// The medians of each cluster, which outliers don't move, and half the height that most of it has.
const centresOf = (data) => {
  const starts = new Uint32Array(data.noise + 2);
  for (let place = 0; place <= data.noise; place++) starts[place + 1] = starts[place] + data.sizes[place];
  const next = starts.slice();
  const rows = new Uint32Array(data.count);
  for (let i = 0; i < data.count; i++) rows[next[data.clusters[i]]++] = i;
  return Array.from({ length: data.noise }, (_, place) => {
    const own = rows.subarray(starts[place], starts[place + 1]);
    const [x, y] = [middleOf(Float32Array.from(own, (i) => data.x[i])), middleOf(Float32Array.from(own, (i) => data.y[i]))];
    return { centre: [x, y], spread: 1.5 * middleOf(Float32Array.from(own, (i) => Math.abs(data.y[i] - y))) };
  });
};

const number = (value) => value.toLocaleString('en');
const counted = (value, noun) => `${number(value)} ${noun}${value === 1 ? '' : 's'}`;
const element = (id) => document.getElementById(id);
const narrow = matchMedia('(max-width: 760px)');
const calm = matchMedia('(prefers-reduced-motion: reduce)');
