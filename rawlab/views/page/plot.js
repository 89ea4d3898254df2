// Sequence numbers over time: what was sent, what was acknowledged, how far the window reached.

const plot = byId("plot");
const hasNumbers = (way) => way.sent.length || way.acked.length;
const ways = known.conversations.flatMap((one) => one.ways.filter(hasNumbers).map((way) => ({ ...way, one })));
const room = { width: 1200, height: 250, left: 84, right: 20, top: 12, bottom: 34 };
let plotted = [];

function choice(id, words, options) {
  const select = make("select", { id }, ...options.map(([value, text]) => make("option", { value }, text)));
  select.addEventListener("input", drawPlot);
  return make("label", {}, `${words} `, select);
}

function plotControls() {
  if (!ways.length) return plot.replaceChildren(make("p", {}, "No packet here has sequence numbers."));
  const named = ways.map(({ from, to, one }, number) => [number, `${from} → ${to} (${one.name})`]);
  const axes = [
    ["even", "one packet after the other"],
    ["time", "true to time"],
  ];
  const reaches = [
    ["sent", "what was sent"],
    ["window", "the window's edge"],
  ];
  const choices = [choice("way", "Direction", named), choice("axis", "Across", axes), choice("upto", "Up to", reaches)];
  const legend = make("p", { class: "quiet", id: "legend" });
  plot.replaceChildren(make("div", { class: "tools" }, ...choices), make("div", { id: "chart" }), legend);
  drawPlot();
  new ResizeObserver(drawPlot).observe(byId("chart"));
}

// What is drawn of a direction: a bar from `low` to `high`, or a dot at `ack` with the window's `edge`; `t` is across.
function pointsOf(way, even) {
  const sent = way.sent.map(([row, at, low, high]) => ({ row, at, low, high }));
  const acked = way.acked.map(([row, at, ack, edge]) => ({ row, at, ack, edge }));
  const points = [...sent, ...acked].sort((a, b) => a.at - b.at || Number(a.row.slice(1)) - Number(b.row.slice(1)));
  const order = [...new Set(points.map((point) => point.row))];
  const place = new Map(order.map((row, number) => [row, number]));
  for (const point of points) point.t = even ? place.get(point.row) : point.at / 1e6;
  return { points, order };
}

// From numbers and moments to the drawing's points.
function scales(points, even, toWindow) {
  const all = (of) => points.map(of).filter((number) => number !== undefined && number !== null);
  const first = Math.min(...all((point) => point.t));
  const last = Math.max(...all((point) => point.t), first + (even ? 1 : 0.001));
  const least = Math.min(...all((point) => point.low ?? point.ack));
  const reach = Math.max(...all((point) => point.high ?? (toWindow ? point.edge : null) ?? point.ack), least + 1);
  const most = reach + (reach - least) * 0.08;
  const across = room.width - room.left - room.right;
  const up = room.height - room.top - room.bottom;
  const x = (t) => room.left + ((t - first) / (last - first)) * across;
  const y = (n) => Math.max(room.top, room.height - room.bottom - ((n - least) / (most - least)) * up);
  return { first, last, least, reach, x, y };
}

function drawPlot() {
  const { clientWidth: wide, clientHeight: high } = byId("chart");
  if (high) room.height = Math.max((high * room.width) / Math.max(wide, 600), 100); // so that it fits, in type of one size
  const way = ways[Number(byId("way").value)];
  const even = byId("axis").value === "even";
  const { points, order } = pointsOf(way, even);
  const scale = scales(points, even, byId("upto").value === "window");
  const name = `Sequence numbers, ${way.from} to ${way.to}: ${scale.least} to ${scale.reach}`;
  const chart = make("svg", { viewBox: `0 0 ${room.width} ${room.height}`, role: "img" }, make("title", {}, name));
  chart.append(
    ...ticks(scale, (t) => (even ? (order[t] ?? "") : `${Number(t.toFixed(6))} ms`)),
  );
  for (const [kind, of] of [
    ["edge-line", (point) => point.edge],
    ["ack-line", (point) => point.ack],
  ]) {
    const line = stairs(points, of, scale);
    if (line) chart.append(make("path", { class: kind, d: line }));
  }
  plotted = points.map((point) => [point.row, mark(point, scale)]);
  chart.append(...plotted.map(([, group]) => group));
  byId("chart").replaceChildren(chart);
  const unit = way.one.protocol === "tcp" ? "octets; SYN and FIN count one" : "chunks (TSN)";
  const edge = way.one.protocol === "tcp" ? " Dashed: the window's right edge, at the top where it lies beyond." : "";
  byId("legend").textContent = `Relative to the first number; ${unit}. Bars: sent. Line: acknowledged.${edge}`;
  markPlot();
}

// Round numbers between the two, about so many: 1, 2 or 5 times a power of ten apart.
function round(low, high, most) {
  const least = (high - low) / most;
  const power = 10 ** Math.floor(Math.log10(least));
  const apart = [1, 2, 5, 10].find((times) => times * power >= least * 0.999) * power;
  const begin = Math.ceil(low / apart - 0.001);
  return Array.from({ length: Math.floor(high / apart + 0.001) - begin + 1 }, (_, tick) => (begin + tick) * apart);
}

function* ticks({ first, last, least, reach, x, y }, words) {
  for (const n of round(least, reach, 5)) {
    yield make("path", { class: "grid", d: `M${room.left} ${y(n)}H${room.width - room.right}` });
    yield make("text", { x: room.left - 8, y: y(n) + 4, "text-anchor": "end" }, n.toLocaleString("en"));
  }
  for (const t of round(first, last, 5)) {
    const anchor = x(t) < room.left + 40 ? "start" : x(t) > room.width - room.right - 40 ? "end" : "middle";
    yield make("text", { x: x(t), y: room.height - 14, "text-anchor": anchor }, words(t));
  }
}

// A line that keeps its height until the next point.
function stairs(points, of, { x, y }) {
  const there = points.filter((point) => of(point) !== undefined && of(point) !== null);
  const part = (at, high, number) => (number ? `H${at}V${high}` : `M${at} ${high}`);
  return there.map((point, number) => part(x(point.t).toFixed(1), y(of(point)).toFixed(1), number)).join("");
}

function mark(point, { x, y }) {
  const at = x(point.t).toFixed(1);
  if (point.high === undefined) {
    const window = point.edge === null ? "" : `, window to ${point.edge}`;
    const words = make("title", {}, `${point.row} acknowledges up to ${point.ack}${window}`);
    return make(
      "g",
      { "data-to": point.row },
      words,
      make("circle", { class: "ack", cx: at, cy: y(point.ack), r: 3.5 }),
    );
  }
  const bar = `M${at} ${y(point.low).toFixed(1)}V${Math.min(y(point.high), y(point.low) - 4).toFixed(1)}`;
  const words = make("title", {}, `${point.row} sends ${point.low}:${point.high}`);
  return make("g", { "data-to": point.row }, words, make("path", { class: "sent", d: bar }));
}

function markPlot() {
  for (const [row, group] of plotted) group.classList.toggle("present", row === chosen);
}
