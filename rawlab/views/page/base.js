// What all parts of the page share: the story, the rows, and how an element is made.

const known = JSON.parse(document.getElementById("known").textContent);
const byId = (id) => document.getElementById(id);
const rows = [...document.querySelectorAll("#rows tr[data-row]")]; // rows[0] is step 1
const calm = matchMedia("(prefers-reduced-motion: reduce)");

// An element; `attributes` that are null are left out, children may be text. Words never become markup.
function make(tag, attributes = {}, ...children) {
  const drawn = ["svg", "path", "rect", "text", "g", "circle", "line", "title"].includes(tag);
  const element = drawn ? document.createElementNS("http://www.w3.org/2000/svg", tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) if (value !== null) element.setAttribute(name, value);
  element.append(...children.filter((child) => child !== null));
  return element;
}

function pressed(button, on) {
  button.setAttribute("aria-pressed", String(on));
}

// Packet or call, by its row's label.
function told(label) {
  return known.packets[label] ?? known.calls[label];
}

// Buttons that lead to other rows.
function links(words, labels) {
  if (!labels.length) return null;
  const buttons = labels
    .slice(0, 40)
    .map((label) => make("button", { type: "button", class: "to", "data-to": label }, label));
  const more = labels.length > 40 ? ` and ${labels.length - 40} more` : "";
  return make("p", { class: "ties" }, `${words} `, ...buttons.flatMap((button) => [button, " "]), more);
}
