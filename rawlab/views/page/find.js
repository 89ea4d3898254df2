// Search and filters: rows that do not match leave the table, fade in the ladder, and are stepped over.

const wanted = { find: "", kind: "", host: "", flag: "" };

function matches(row) {
  const { kind, protocol, host, flags } = row.dataset;
  if (wanted.kind && wanted.kind !== kind && wanted.kind !== protocol) return false;
  if (wanted.host && wanted.host !== host) return false;
  if (wanted.flag && !(flags ?? "").split("|").includes(wanted.flag)) return false;
  return !wanted.find || row.textContent.toLowerCase().includes(wanted.find);
}

function filter() {
  for (const name of Object.keys(wanted)) wanted[name] = byId(name).value;
  wanted.find = wanted.find.trim().toLowerCase();
  const kept = new Set();
  let count = 0;
  for (const row of rows) {
    const match = matches(row);
    row.hidden = !match;
    count += match;
    if (match) kept.add(row.dataset.row);
  }
  for (const [label, group] of groups) group.classList.toggle("out", !kept.has(label));
  byId("found").textContent = count === rows.length ? "" : `${count} of ${rows.length} rows`;
}

for (const name of Object.keys(wanted)) byId(name).addEventListener("input", filter);
