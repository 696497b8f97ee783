// The texts in focus: how many, why, the first of them, and their ids to take along.

const LISTED = 100;

const csvCell = (value) => `"${String(value).replaceAll('"', '""')}"`;

// A byte order mark, or spreadsheets misread all but ASCII; a quote before what they would run as a formula.
const csvOf = (data, rows) => {
  const safe = (value) => csvCell(/^[=+\-@\t\r]/.test(value) ? `'${value}` : value);
  const line = (i) => [data.ids[i], data.clusters[i] === data.noise ? '' : data.names[data.clusters[i]], data.texts[i]].map(safe).join(',');
  return `\ufeffid,cluster,text\r\n${rows.map(line).join('\r\n')}\r\n`;
};

const download = (name, type, content) => {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(new Blob([content], { type }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
};

// Where lower case keeps the length, as nearly always, the place in it is the place in the text.
const marked = (paragraph, text, query) => {
  const at = query && text.toLowerCase().length === text.length ? text.toLowerCase().indexOf(query) : -1;
  if (at < 0) {
    paragraph.textContent = shown(text);
    return;
  }
  const mark = document.createElement('mark');
  mark.textContent = shown(text.slice(at, at + query.length));
  // Long before the place: begin near it, so that it's seen.
  const before = at > 90 ? `…${text.slice(at - 60, at)}` : text.slice(0, at);
  paragraph.append(shown(before), mark, shown(text.slice(at + query.length)));
};

const createItems = (data, say) => {
  const box = element('items');
  let rows = [];

  const chip = ({ label, colour, clear }) => {
    const button = document.createElement('button');
    button.type = 'button';
    button.setAttribute('aria-label', `Clear ${label}`);
    if (colour) button.append(dot(colour));
    button.append(span('name', label), icon(CLOSE));
    button.addEventListener('click', clear);
    return button;
  };

  const row = (i, query, colourOf) => {
    const one = document.createElement('li');
    const text = document.createElement('p');
    text.dir = 'auto';
    marked(text, data.texts[i] || `id ${data.ids[i]}`, query);
    one.title = `${shown(data.names[data.clusters[i]])}\nid ${shown(String(data.ids[i]))}`;
    one.append(dot(colourOf(data.clusters[i])), text);
    return one;
  };

  const ids = () => rows.map((i) => data.ids[i]).join('\n') + '\n';
  element('as-txt').addEventListener('click', () => download('ids.txt', 'text/plain;charset=utf-8', ids()));
  element('as-csv').addEventListener('click', () => download('texts.csv', 'text/csv;charset=utf-8', csvOf(data, rows)));
  element('copy').addEventListener('click', async () => {
    try {
      await navigator.clipboard.writeText(ids());
      say(`Copied ${counted(rows.length, 'id')}`, element('copy'));
    } catch {
      say('Not allowed to copy: take the .txt', element('copy'));
    }
  });

  return {
    hide: () => { box.hidden = true; },
    show: (chosen, { query, chips, colourOf }) => {
      rows = [];
      for (let i = 0; i < chosen.length; i++) if (chosen[i]) rows.push(i);
      box.hidden = false;
      element('items-title').textContent = counted(rows.length, 'text');
      element('chips').replaceChildren(...chips.map(chip));
      const list = rows.slice(0, LISTED).map((i) => row(i, query, colourOf));
      if (rows.length > LISTED) {
        const more = document.createElement('li');
        more.className = 'more';
        more.textContent = `and ${number(rows.length - LISTED)} more: the files below hold all`;
        list.push(more);
      }
      element('list').replaceChildren(...list);
      element('list').scrollTop = 0;
      for (const name of ['copy', 'as-txt', 'as-csv']) element(name).disabled = !rows.length;
    },
  };
};
