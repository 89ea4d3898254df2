// The quiz: what was answered is checked once, explained, and saved as a small file for `rawlab check`.

const answers = JSON.parse(atob([...known.answers].reverse().join("")));
const fields = [...document.querySelectorAll(".answer")];
const plain = (text) => text.replace(/\s+/g, "").toUpperCase();
let attempt = 1;

function check() {
  let right = 0;
  for (const field of fields) {
    const answer = answers[field.dataset.id];
    const good = answer.right.some((each) => plain(each) === plain(field.value));
    right += good;
    field.disabled = true;
    const verdict = document.querySelector(`.verdict[data-of="${field.dataset.id}"]`);
    verdict.className = `verdict ${good ? "good" : "bad"}`;
    verdict.textContent = `${good ? "✓ right" : `✗ ${answer.right[0]} is right`}: ${answer.why}`;
  }
  byId("said").textContent = `${right} of ${fields.length} right.`;
  byId("check").disabled = true;
  byId("save").disabled = false;
  byId("again").disabled = false;
}

function saved() {
  const given = Object.fromEntries(fields.map((field) => [field.dataset.id, field.value]));
  return JSON.stringify({ ...known.quiz, name: byId("name").value.trim(), attempt, answers: given }, null, 1);
}

byId("check").addEventListener("click", check);
byId("save").addEventListener("click", () => {
  const name =
    byId("name")
      .value.trim()
      .replace(/[^\p{L}\p{N}]+/gu, "-") || "answers";
  const address = URL.createObjectURL(new Blob([saved()], { type: "application/json" }));
  make("a", { href: address, download: `${name}.json` }).click();
  setTimeout(() => URL.revokeObjectURL(address), 10000);
  byId("saved").value = saved();
  byId("copy").hidden = false;
});
byId("again").addEventListener("click", () => {
  attempt += 1;
  for (const field of fields) {
    field.disabled = false;
    field.value = "";
  }
  for (const verdict of document.querySelectorAll(".verdict")) verdict.textContent = "";
  byId("said").textContent = "";
  byId("copy").hidden = true;
  byId("check").disabled = false;
  byId("save").disabled = true;
  byId("again").disabled = true;
});
