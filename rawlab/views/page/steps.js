// Stepping: one step is one row of the table. Step 0 is the whole; the address tells the step (#step=7).

let step = 0;
let chosen = null;
let timer = 0;

const steps = (label) => rows.filter((row) => row.dataset.row === label).map((row) => Number(row.dataset.step));

// Looks at a row; while stepping, goes there.
function choose(label) {
  const [first] = steps(label);
  if (first === undefined) return;
  if (step) return go(first);
  look(first);
}

// Everything about a row but the curtain.
function look(number) {
  const row = rows[number - 1];
  chosen = row.dataset.row;
  light(chosen);
  relate(chosen);
  detail(chosen);
  say(number, row);
  stateAt(row);
  markPlot();
  for (const other of document.querySelectorAll("#rows tr[aria-current]")) other.removeAttribute("aria-current");
  row.setAttribute("aria-current", "step");
  if (!byId("table").hidden) row.scrollIntoView({ block: "nearest" });
}

function say(number, row) {
  byId("at").textContent = `${number} of ${rows.length}`;
  byId("text").textContent = `${row.children[2].textContent}: ${row.querySelector(".what").textContent}`;
  byId("sentence").textContent = row.querySelector(".because").textContent;
  const notes = [...row.querySelectorAll(".note")].map((note) => make("span", { class: "note" }, note.textContent));
  byId("noted").replaceChildren(...notes);
}

const cells = (row) => [...row.querySelectorAll(".is")];

const diagrams = [...document.querySelectorAll(".diagram")];

// The protocol whose states a row tells: that of the last packet which has any, or of the first.
function protocolAt(row) {
  const stated = (each) => diagrams.some((diagram) => diagram.dataset.of === each.dataset.protocol);
  const number = Number(row.dataset.step);
  const packet = rows.slice(0, number).findLast(stated) ?? rows.find(stated);
  return packet?.dataset.protocol ?? diagrams[0]?.dataset.of;
}

// Lights the state of each host in the diagram; of what had been open, the second CLOSED.
function stateAt(row) {
  const protocol = diagrams.length > 1 ? protocolAt(row) : diagrams[0]?.dataset.of;
  for (const diagram of diagrams) diagram.toggleAttribute("hidden", diagram.dataset.of !== protocol);
  for (const node of document.querySelectorAll(".node")) {
    const end = "end" in node.dataset;
    const twice = node.dataset.state === "CLOSED";
    const who = cells(row).flatMap((cell, host) =>
      cell.textContent === node.dataset.state && (!twice || end === "over" in cell.dataset) ? [host] : [],
    );
    node.classList.toggle("lit", who.length > 0);
    node.querySelector(".who").textContent = who.map((host) => known.hosts[host]).join(", ");
  }
}

function go(number, { forward = false } = {}) {
  const before = step;
  step = Math.max(0, Math.min(number, rows.length));
  for (
    let i = Math.min(before || rows.length, step || rows.length);
    i < Math.max(before || rows.length, step || rows.length);
    i++
  )
    rows[i].classList.toggle("later", i >= (step || rows.length));
  pressed(byId("whole"), !step);
  if (!step) {
    drawCurtain(0);
    return tell("");
  }
  drawCurtain(step);
  look(step);
  reveal(known.steps[step - 1]);
  if (forward) travel(chosen, timer ? Math.min(pause(step) * 0.8, 2000) : 500);
  const hash = `#step=${step}${document.body.classList.contains("presenter") ? "&presenter" : ""}`;
  byId("link").setAttribute("href", hash);
  tell(hash);
}

let telling = 0;

// Writes the step into the address, a moment later: browsers refuse to do it many times a second.
function tell(hash) {
  clearTimeout(telling);
  telling = setTimeout(
    () => location.hash === hash || history.replaceState(null, "", hash || location.pathname + location.search),
    150,
  );
}

// The next step that the filters leave, from the one looked at.
function turn(way) {
  let number = step || (chosen && !step ? steps(chosen)[0] : 0);
  do number += way;
  while (number >= 1 && number <= rows.length && rows[number - 1].hidden);
  if (number >= 1 && number <= rows.length) go(number, { forward: way > 0 });
  return number >= 1 && number < rows.length;
}

// How long a step stays, in milliseconds: even, or as long as it took, so many times slower, at the most 4 s.
function pause(number) {
  const pace = byId("pace").value;
  if (!pace.startsWith("x")) return Number(pace);
  const took = (known.ms[number] ?? known.ms[number - 1]) - known.ms[number - 1];
  return Math.min(Math.max(took * Number(pace.slice(1)), 150), 4000);
}

function play(on) {
  clearTimeout(timer);
  timer = 0;
  pressed(byId("play"), on);
  byId("play").textContent = on ? "Pause" : "Play";
  if (!on) return;
  if (step >= rows.length) step = 0;
  const tick = () => {
    timer = 1;
    timer = turn(1) ? setTimeout(tick, pause(step)) : 0;
    if (!timer) play(false);
  };
  tick();
}

const stop = (act) => () => {
  play(false);
  act();
};
byId("first").addEventListener(
  "click",
  stop(() => go(1)),
);
byId("last").addEventListener(
  "click",
  stop(() => go(rows.length)),
);
byId("back").addEventListener(
  "click",
  stop(() => turn(-1)),
);
byId("next").addEventListener(
  "click",
  stop(() => turn(1)),
);
byId("whole").addEventListener(
  "click",
  stop(() => go(0)),
);
byId("play").addEventListener("click", () => play(!timer));

document.addEventListener("keydown", (event) => {
  const { target, key } = event;
  if (event.ctrlKey || event.altKey || event.metaKey || target.closest("input, select, textarea")) return;
  const within = target.closest("#panel .view");
  const acts = { ArrowRight: () => turn(1), ArrowLeft: () => turn(-1), Escape: () => leave() };
  if (!within)
    Object.assign(acts, {
      PageDown: () => turn(1),
      PageUp: () => turn(-1),
      Home: () => go(1),
      End: () => go(rows.length),
    });
  if (!within && !target.closest("#ladder")) Object.assign(acts, { ArrowDown: () => turn(1), ArrowUp: () => turn(-1) });
  if (!target.closest("button, a, summary")) acts[" "] = () => turn(event.shiftKey ? -1 : 1);
  if (!acts[key]) return;
  event.preventDefault();
  stop(acts[key])();
});

function leave() {
  if (document.body.classList.contains("presenter")) return presenter(false);
  go(0);
}

function presenter(on) {
  document.body.classList.toggle("presenter", on);
  pressed(byId("presenter"), on);
  fold(on);
  if (step) go(step);
}

// The row looked at, in sight again after the room for it has changed.
function revealAgain() {
  const number = step || (chosen && steps(chosen)[0]);
  if (number && frame.scrollHeight > frame.clientHeight + 1) reveal(known.steps[number - 1]);
}

function fold(on) {
  document.body.classList.toggle("folded", on);
  byId("fold").setAttribute("aria-expanded", String(!on));
  byId("fold").textContent = on ? "Show" : "Hide";
  revealAgain();
}

function view(id) {
  for (const each of document.querySelectorAll(".view")) each.hidden = each.id !== id;
  for (const button of document.querySelectorAll("nav [aria-controls][aria-pressed]"))
    pressed(button, button.getAttribute("aria-controls") === id);
  fold(false);
  if (id === "table") document.querySelector("#rows tr[aria-current]")?.scrollIntoView({ block: "nearest" });
}

byId("presenter").addEventListener("click", () => presenter(!document.body.classList.contains("presenter")));
byId("large").addEventListener("click", () => {
  pressed(byId("large"), document.body.classList.toggle("large"));
  revealAgain();
});
byId("fold").addEventListener("click", () => fold(!document.body.classList.contains("folded")));
for (const button of document.querySelectorAll("nav [aria-controls][aria-pressed]"))
  button.addEventListener("click", () => view(button.getAttribute("aria-controls")));

const table = byId("rows");
table.addEventListener(
  "click",
  (event) =>
    event.target.closest("tr[data-step]") &&
    (step ? go : look)(Number(event.target.closest("tr[data-step]").dataset.step)),
);
table.addEventListener("pointerover", (event) => rowAt(event) && relate(rowAt(event)));
table.addEventListener("pointerleave", () => relate(chosen));

const dark = () =>
  (document.documentElement.dataset.theme ??
    (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";
byId("theme").addEventListener("click", () => {
  document.documentElement.dataset.theme = dark() ? "light" : "dark";
  pressed(byId("theme"), dark());
});
pressed(byId("theme"), dark());

function fromAddress() {
  const asked = new URLSearchParams(location.hash.slice(1));
  const number = Number(asked.get("step"));
  if (asked.has("presenter")) presenter(true);
  if (Number.isInteger(number) && number >= 1) go(number);
}

view("details");
plotControls();
fromAddress();
addEventListener("hashchange", fromAddress);
