"use strict";

// Charts: the colours are the page's own, so that light, dark and print need no second drawing.
const theme = {
  background: null,
  font: "system-ui, sans-serif",
  axis: {
    labelColor: "var(--soft)", titleColor: "var(--soft)", gridColor: "var(--line)",
    domainColor: "var(--line)", tickColor: "var(--line)", titleFontWeight: 500, labelLimit: 190,
    labelFontSize: 12, titleFontSize: 12,
  },
  legend: {
    labelColor: "var(--ink)", titleColor: "var(--soft)", orient: "top", titleOrient: "left",
    labelLimit: 240, columns: 2, direction: "horizontal", titleFontWeight: 500,
    labelFontSize: 12, titleFontSize: 12, symbolOpacity: 1,
  },
  axisQuantitative: { tickCount: 6 },
  view: { stroke: null },
  rule: { color: "var(--c0)" },
  point: { color: "var(--c0)", opacity: 1 },
  line: { color: "var(--c0)" },
  area: { color: "var(--c0)" },
  tick: { color: "var(--c1)", thickness: 2, bandSize: 18 },
  range: { category: [0, 1, 2, 3, 4, 5, 6, 7].map((index) => `var(--c${index})`) },
};

function narrow(width) {
  const labelLimit = Math.round(width / 3);
  const legend = { ...theme.legend, columns: 1, titleOrient: "top", labelLimit };
  return { ...theme, axis: { ...theme.axis, labelLimit }, legend };
}

async function draw(plot) {
  const spec = JSON.parse(document.getElementById(plot.dataset.spec).textContent);
  const figure = plot.closest("figure");
  const told = figure.querySelector("figcaption").textContent;
  const width = plot.clientWidth;
  plot.textContent = "";
  await vegaEmbed(plot, {
    $schema: "https://vega.github.io/schema/vega-lite/v6.json",
    width: "container",
    autosize: { type: "fit-x", contains: "padding" },
    description: told,
    ...spec,
  }, {
    actions: false,
    ast: true, // expressions are interpreted: the page's policy forbids eval
    config: width < 480 ? narrow(width) : theme,
    defaultStyle: false,
    mode: "vega-lite",
    renderer: "svg",
    tooltip: { disableDefaultStyle: true },
  });
}

// Tables: sorted by the buttons in their heads, filtered by words.
const order = new Intl.Collator("en", { numeric: true });

function compared(a, b) {
  const x = a.dataset.v, y = b.dataset.v;
  if (x !== undefined && y !== undefined) return Number(x) - Number(y);
  return order.compare(a.textContent, b.textContent);
}

function sort(table, column) {
  const heads = table.tHead.rows[0].cells;
  const before = heads[column].getAttribute("aria-sort");
  const down = before === "ascending";
  for (const head of heads) if (head.hasAttribute("aria-sort")) head.setAttribute("aria-sort", "none");
  heads[column].setAttribute("aria-sort", down ? "descending" : "ascending");
  const body = table.tBodies[0];
  const empty = (row) => row.cells[column].textContent === "";
  const rows = [...body.rows].sort((a, b) =>
    empty(a) - empty(b) || (down ? -1 : 1) * compared(a.cells[column], b.cells[column]));
  body.append(...rows);
}

// A term is key=value, key<number, key<=number, ... where there is such a column, else a word.
function term(text, names) {
  const parts = /^(.+?)(<=|>=|=|<|>)(.*)$/.exec(text);
  const column = parts ? names.indexOf(parts[1].toLowerCase()) : -1;
  if (column < 0) return (row) => row.textContent.toLowerCase().includes(text);
  const [, , sign, value] = parts;
  return (row) => {
    const cell = row.cells[column], number = Number(cell.dataset.v ?? NaN);
    if (sign === "=") return cell.textContent.toLowerCase() === value || (value !== "" && number === Number(value));
    const at = sign.length > 1 && number === Number(value);
    return at || (sign[0] === "<" ? number < Number(value) : number > Number(value));
  };
}

function filter(table, text, count) {
  const names = [...table.tHead.rows[0].cells].map((head) => head.textContent.toLowerCase());
  const terms = text.toLowerCase().split(/\s+/).filter(Boolean).map((word) => term(word, names));
  const rows = [...table.tBodies[0].rows];
  let shown = 0;
  for (const row of rows) {
    row.hidden = !terms.every((holds) => holds(row));
    shown += row.hidden ? 0 : 1;
  }
  count.textContent = `${shown.toLocaleString("en")} of ${rows.length.toLocaleString("en")} rows`;
}

function equip(block) {
  const table = block.querySelector("table");
  [...table.tHead.rows[0].cells].forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = head.textContent;
    button.addEventListener("click", () => sort(table, column));
    head.replaceChildren(button);
    head.setAttribute("aria-sort", "none");
  });
  const input = block.querySelector("input"), count = block.querySelector(".count");
  input.addEventListener("input", () => filter(table, input.value, count));
  filter(table, "", count);
  block.querySelector(".bar").hidden = table.tBodies[0].rows.length < 12;
}

document.querySelectorAll(".tools").forEach(equip);
// Told to whoever waits for the whole page, as a test does.
Promise.all([...document.querySelectorAll(".plot")].map(draw)).then(
  () => { document.documentElement.dataset.ready = "true"; },
);
