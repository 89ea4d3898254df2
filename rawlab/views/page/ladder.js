// The drawing: what has not happened yet lies behind a curtain; a row looked at is marked, with what it is tied to.

const frame = byId("ladder");
const drawing = frame.querySelector(":scope > svg");
const groups = new Map([...drawing.querySelectorAll("[data-row]")].map((group) => [group.dataset.row, group]));
const lanes = [...drawing.querySelectorAll(".state")].map((lane) => ({
  top: Number(lane.querySelector("rect").getAttribute("y")),
  words: lane.querySelector("text"),
}));
const tiesOf = new Map();
for (const tie of drawing.querySelectorAll(".tie"))
  for (const label of [tie.dataset.call, tie.dataset.packet]) tiesOf.set(label, [...(tiesOf.get(label) ?? []), tie]);

const size = drawing.viewBox.baseVal;
frame.style.setProperty("--natural", `${size.width}px`); // words stay between too small and too large
const spot = make("rect", { class: "spot", width: 0, height: 0, rx: 6 });
const curtain = make("rect", { class: "curtain", x: 0, y: 0, width: size.width, height: 0 });
const present = make("g", { class: "present" });
const dot = make("circle", { class: "dot", r: 7, visibility: "hidden" });
drawing.querySelector(".ground").after(spot);
drawing.append(curtain, present, dot);

// Draws the curtain below that step's moment; step 0: none.
function drawCurtain(step, label) {
  present.replaceChildren();
  if (!step) return curtain.setAttribute("height", 0);
  const y = known.steps[step - 1];
  curtain.setAttribute("y", y + 10);
  curtain.setAttribute("height", Math.max(0, size.height - y - 10));
  const above = lanes.filter((lane) => lane.words && Math.abs(lane.top - y) < 0.6).map((lane) => lane.words);
  if (label.startsWith("p")) above.push(groups.get(label));
  for (const part of above) if (part) present.append(part.cloneNode(true));
}

// Puts the light on a row of the drawing.
function light(label) {
  const group = label && groups.get(label);
  if (!group) return spot.setAttribute("height", 0);
  const box = group.getBBox();
  spot.setAttribute("x", box.x - 8);
  spot.setAttribute("y", box.y - 6);
  spot.setAttribute("width", box.width + 16);
  spot.setAttribute("height", box.height + 12);
}

let related = [];

// Marks what caused the row and what it led to, and the lines between.
function relate(label) {
  for (const [element, mark] of related) element.classList.remove(mark);
  related = [];
  const it = label && told(label);
  if (!it) return;
  const mark = (element, name) => {
    if (!element) return;
    element.classList.add(name);
    related.push([element, name]);
  };
  mark(groups.get(label), "looked");
  for (const cause of it.causes) mark(groups.get(cause), "cause");
  for (const effect of it.effects) mark(groups.get(effect), "effect");
  for (const tie of tiesOf.get(label) ?? []) mark(tie, "tied");
}

// Scrolls the drawing to a height in its own measure.
function reveal(y) {
  const scale = drawing.getBoundingClientRect().height / size.height;
  const target = y * scale - frame.clientHeight * 0.55;
  const group = groups.get(chosen);
  const left = group ? (group.getBBox().x - 20) * scale - 20 : 0;
  frame.scrollTo({ top: target, left, behavior: calm.matches ? "auto" : "smooth" });
  if (frame.scrollHeight > frame.clientHeight + 1) return;
  const at = drawing.getBoundingClientRect().top + scrollY + y * scale;
  scrollTo({ top: at - innerHeight * 0.35, behavior: calm.matches ? "auto" : "smooth" });
}

let travelling = 0;

// A dot goes the packet's way, in `took` milliseconds.
function travel(label, took) {
  cancelAnimationFrame(travelling);
  dot.setAttribute("visibility", "hidden");
  const line = groups.get(label)?.querySelector(".line");
  if (!line || !label.startsWith("p") || calm.matches) return;
  const long = line.getTotalLength();
  let begun;
  const move = (now) => {
    begun ??= now;
    const part = Math.min((now - begun) / took, 1);
    const at = line.getPointAtLength(long * part);
    dot.setAttribute("cx", at.x);
    dot.setAttribute("cy", at.y);
    dot.setAttribute("visibility", part < 1 ? "visible" : "hidden");
    if (part < 1) travelling = requestAnimationFrame(move);
  };
  travelling = requestAnimationFrame(move);
}

const rowAt = (event) => event.target.closest?.("[data-row]")?.dataset.row;
drawing.addEventListener("click", (event) => rowAt(event) && choose(rowAt(event)));
drawing.addEventListener("pointerover", (event) => rowAt(event) && relate(rowAt(event)));
drawing.addEventListener("pointerleave", () => relate(chosen));
