// One row looked at closely: a packet's fields, octets and writers; a call's prototype, arguments and explanation.

const details = byId("details");
const shut = new Set(["Ethernet", "802.1Q", "IPv4", "IPv6", "Linux cooked", "Linux cooked v2", "loopback"]);
let kept = null; // the field chosen: the next packet's is marked, too

function detail(label) {
  const it = told(label);
  if (!it) return;
  details.replaceChildren(...(known.packets[label] ? packetParts(label, it) : callParts(label, it)).filter(Boolean));
  details.scrollTop = 0;
  const same = [...details.querySelectorAll(".field")].find((field) => field.dataset.name === kept);
  if (!same) return;
  keep(same);
  details.scrollTop = same.offsetTop - 60;
}

// A field is chosen: it and its octets stay marked.
function keep(field) {
  for (const other of details.querySelectorAll('.field[aria-pressed="true"]')) pressed(other, false);
  pressed(field, true);
  kept = field.dataset.name;
  field.closest("details").open = true;
  markBits(Number(field.dataset.bit), Number(field.dataset.bits), field.dataset.writer);
}

const notes = (it) => it.notes.map((note) => make("p", { class: "note" }, note));

// What both have: the words, the reason, the notes, and the rows that they are tied to.
function about(label, it, more) {
  const title = make("h2", {}, `${label} `, make("code", {}, it.words));
  const tied = [links(known.packets[label] ? "because of" : "waited for", it.causes), links("leads to", it.effects)];
  return make(
    "div",
    { class: "about" },
    title,
    make("p", { class: "reason" }, it.why),
    it.means ? make("p", {}, it.means) : "",
    ...notes(it),
    ...tied,
    ...more,
  );
}

function packetParts(label, it) {
  return [about(label, it, [make("p", { class: "quiet" }, it.when)]), fieldTree(it), octetsOf(it)];
}

function fieldTree(it) {
  const tree = make("div", { class: "fields" });
  for (const [shape, offset, length, writer, values] of it.layers) {
    const { name, fields } = known.shapes[shape];
    const span = length === 1 ? `octet ${offset}` : `octets ${offset}–${offset + length - 1}`;
    const place = { "data-bit": offset * 8, "data-bits": length * 8 };
    const title = make("summary", place, make("b", {}, name), ` ${span}, by ${writer}`);
    const buttons = fields.map(([field, bit, bits], at) => fieldOf(field, values[at], offset * 8 + bit, bits, writer));
    const list = make("ul", {}, ...buttons.map((button) => make("li", {}, button)));
    tree.append(make("details", { "data-layer": name, open: shut.has(name) ? null : "" }, title, list));
  }
  return tree;
}

function fieldOf(name, value, bit, bits, writer) {
  const long = bits % 8 || bit % 8 ? `${bits} bit${bits === 1 ? "" : "s"}` : `${bits / 8} oct.`;
  const place = { "data-bit": bit, "data-bits": bits, "data-writer": writer, "data-name": name };
  const words = [
    make("span", {}, name),
    make("span", { class: "value" }, value),
    make("span", { class: "quiet" }, long),
  ];
  return make("button", { type: "button", class: "field", "aria-pressed": "false", ...place }, ...words);
}

// Sixteen octets a line: place, hexadecimal, characters.
function octetsOf(it) {
  const shown = it.octets.length / 2;
  const hex = make("pre", { class: "hex", "aria-label": "Octets, hexadecimal" });
  for (let at = 0; at < shown; at += 16) {
    const line = [];
    const text = [];
    for (let o = at; o < Math.min(at + 16, shown); o++) {
      const octet = it.octets.slice(o * 2, o * 2 + 2);
      const code = parseInt(octet, 16);
      line.push(make("span", { "data-o": o }, octet), o % 8 === 7 ? "  " : " ");
      text.push(make("span", { "data-o": o }, code > 31 && code < 127 ? String.fromCharCode(code) : "·"));
    }
    const missing = " ".repeat(Math.max(0, (at + 16 - shown) * 3 + (at + 8 > shown) + (at + 16 > shown)));
    hex.append(
      make("span", { class: "quiet" }, at.toString(16).padStart(4, "0")),
      "  ",
      ...line,
      missing,
      ...text,
      "\n",
    );
  }
  const cut = shown < it.length ? `the page holds the first ${shown} of ${it.length} octets` : `${it.length} octets`;
  const hint = "choose a field: its octets are marked here, and its bits told";
  return make(
    "div",
    { class: "octets", role: "group", "aria-label": "Octets", tabindex: 0 },
    hex,
    make("p", { id: "bits", "aria-live": "polite" }, hint),
    make("p", { class: "quiet" }, cut),
  );
}

// Marks the octets that these bits lie in, and writes the bits out.
function markBits(bit, bits, writer) {
  const first = Math.floor(bit / 8);
  const last = Math.ceil((bit + bits) / 8);
  for (const span of details.querySelectorAll("[data-o]")) {
    const o = Number(span.dataset.o);
    span.classList.toggle("hit", o >= first && o < last);
  }
  if (writer === undefined) return;
  const where = last - first === 1 ? `octet ${first}` : `octets ${first}–${last - 1}`;
  const whole = [...details.querySelectorAll(".hex [data-o].hit")]
    .slice(0, Math.min(last - first, 8))
    .map((span) => span.textContent);
  const known = bits <= 32 && whole.length === last - first; // the page holds a packet's first octets only
  const digits = known ? whole.map((octet) => parseInt(octet, 16).toString(2).padStart(8, "0")).join("") : "";
  const [begin, end] = [bit % 8, (bit % 8) + bits];
  const shown = digits && `: ${digits.slice(0, begin)}[${digits.slice(begin, end)}]${digits.slice(end)}`;
  byId("bits").textContent = `${where}${shown}; written by ${writer}`;
}

function callParts(label, it) {
  const topic = known.topics[it.name];
  const facts = [
    ["called by", it.who],
    ["took", it.took],
    ...it.args,
    ["returned", it.result],
    ...it.states.map((state) => ["state", state]),
  ];
  const list = facts.flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, value)]);
  return [about(label, it, []), make("dl", {}, ...list), topic ? explained(topic) : null];
}

// A topic: the prototype, then its parts, each a name at the line's beginning and words from the seventeenth column on.
function explained(topic) {
  const [prototype, ...rest] = topic.trimEnd().split("\n\n");
  const parts = [];
  for (const line of rest.join("\n").split("\n")) {
    const name = line.slice(0, 16).trim();
    if (name || !parts.length) parts.push([name, line.slice(16).trim()]);
    else parts.at(-1)[1] += ` ${line.trim()}`;
  }
  const list = parts.flatMap(([name, words]) => [make("dt", {}, name), make("dd", {}, words)]);
  return make("div", { class: "topic" }, make("code", {}, prototype.replace(/\n\s+/g, " ")), make("dl", {}, ...list));
}

function pick(event) {
  const field = event.target.closest?.(".field");
  const layer = event.target.closest?.("summary");
  if (field) markBits(Number(field.dataset.bit), Number(field.dataset.bits), field.dataset.writer);
  else if (layer) markBits(Number(layer.dataset.bit), Number(layer.dataset.bits));
}

details.addEventListener("pointerover", pick);
details.addEventListener("focusin", pick);
details.addEventListener("click", (event) => {
  const field = event.target.closest(".field");
  if (field) keep(field);
});
// What is opened and shut stays so, from packet to packet.
details.addEventListener(
  "toggle",
  (event) => (event.target.open ? shut.delete(event.target.dataset.layer) : shut.add(event.target.dataset.layer)),
  true,
);
document.addEventListener("click", (event) => {
  const to = event.target.closest?.("[data-to]");
  if (to) choose(to.dataset.to);
});
