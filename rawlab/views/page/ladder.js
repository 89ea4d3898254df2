// The drawing: while stepping, what has not happened yet is not there, and a call that has not returned does not say
// what it will; a row looked at is marked, with what it is tied to.

const frame = byId("ladder");
const drawing = frame.querySelector(":scope > svg");
const groups = new Map([...drawing.querySelectorAll("[data-row]")].map((group) => [group.dataset.row, group]));
const numbers = (element) => element.getAttribute("d").match(/-?[\d.]+/g).map(Number);
const upright = (element) => ["y", "height"].map((name) => Number(element.getAttribute(name)));
const lanes = [...drawing.querySelectorAll(".state")].map((lane) => ({
  lane,
  top: upright(lane.querySelector("rect"))[0],
  words: lane.querySelector("text"),
}));
const lives = [...drawing.querySelectorAll(".life")].map(numbers);
const moments = [...drawing.querySelectorAll(".tick")].map((tick) => [tick, Number(tick.getAttribute("y")) - 4]);
const waits = [...drawing.querySelectorAll(".leader")].map((leader) => [leader, numbers(leader)[1]]);
const parts = [...groups].map(([label, group]) => {
  const mine = rows.filter((row) => row.dataset.row === label).map((row) => Number(row.dataset.step));
  const bar = group.querySelector("rect");
  const bottom = bar ? upright(bar)[0] + upright(bar)[1] : numbers(group.querySelector(".line"))[3];
  return { label, group, first: mine[0], last: mine.at(-1), bottom };
});
for (const { label, group } of parts) {
  const words = group.querySelector("text");
  if (!known.entries[label]) continue;
  const entry = words.cloneNode();
  entry.textContent = known.entries[label];
  entry.classList.add("entry");
  words.classList.add("whole");
  words.after(entry);
}
const tiesOf = new Map();
for (const tie of drawing.querySelectorAll(".tie"))
  for (const label of [tie.dataset.call, tie.dataset.packet]) tiesOf.set(label, [...(tiesOf.get(label) ?? []), tie]);

const size = drawing.viewBox.baseVal;
frame.style.setProperty("--natural", `${size.width}px`); // words stay between too small and too large
const spot = make("rect", { class: "spot", width: 0, height: 0, rx: 6 });
const curtain = make("rect", { class: "curtain", x: 0, y: 0, width: size.width, height: 0 });
const threads = make("g", { class: "threads" });
const present = make("g", { class: "present" });
const dot = make("circle", { class: "dot", r: 7, visibility: "hidden" });
drawing.querySelector(".ground").after(spot);
drawing.append(curtain, ...drawing.querySelectorAll(":scope > .note"), threads, present, dot);

// Draws the curtain below that step's moment, and hides what comes after it; step 0: shows all.
function drawCurtain(step) {
  threads.replaceChildren();
  present.replaceChildren();
  const y = step ? known.steps[step - 1] : Infinity;
  for (const { group, first, last } of parts) {
    group.classList.toggle("ahead", step > 0 && first > step);
    group.classList.toggle("going", step > 0 && first <= step && last > step);
  }
  const ended = new Set(parts.filter((part) => !step || part.last <= step).map((part) => part.bottom));
  for (const { lane, top } of lanes) lane.classList.toggle("ahead", top > y && !ended.has(top));
  for (const [element, at] of [...moments, ...waits]) element.classList.toggle("ahead", at > y + 0.6);
  for (const [label, ties] of tiesOf) {
    const ahead = !groups.has(label) || groups.get(label).classList.contains("ahead");
    for (const tie of ties) tie.classList.toggle(tie.dataset.call === label ? "uncalled" : "unsent", ahead);
  }
  if (!step) return curtain.setAttribute("height", 0);
  curtain.setAttribute("y", y + 10);
  curtain.setAttribute("height", Math.max(0, size.height - y - 10));
  for (const [x, , bottom] of lives) threads.append(make("path", { class: "line life", d: `M${x} ${y + 10}V${bottom}` }));
  const seen = parts.filter((part) => part.first <= step && part.bottom > y && part.label.startsWith("p"));
  const now = rows[step - 1].dataset.row;
  for (const { label, group } of seen) (label === now ? present : threads).append(group.cloneNode(true));
  if (now.startsWith("p") && !present.hasChildNodes()) present.append(groups.get(now).cloneNode(true));
  for (const { lane, top, words } of lanes)
    if (words && top > y - 20 && !lane.classList.contains("ahead")) present.append(words.cloneNode(true));
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
