"use strict";
const byId = (id) => document.getElementById(id);
const picked = new Map();

async function ask(path, body) {
  const headers = {};
  if (byId("token").value) headers.Authorization = "Bearer " + byId("token").value;
  if (body) headers["Content-Type"] = "application/json";
  const answer = await fetch(path, { method: body ? "POST" : "GET", headers, body: body && JSON.stringify(body) });
  const content = await answer.json();
  if (!answer.ok) throw new Error(content.detail);
  return content;
}

function guarded(work) {
  return async (event) => {
    if (event) event.preventDefault();
    byId("problem").textContent = "";
    try { await work(); } catch (error) { byId("problem").textContent = error.message; }
  };
}

function fill(id, title, items, scored) {
  byId(id + "-title").textContent = title;
  const table = byId(id);
  table.replaceChildren();
  const head = table.insertRow();
  for (const name of scored ? ["", "item", "score", ""] : ["item", ""]) {
    const cell = document.createElement("th");
    cell.textContent = name;
    if (name === "score") cell.className = "number";
    head.append(cell);
  }
  for (const each of items) {
    const row = table.insertRow();
    const texts = scored ? [each.rank, each.name || each.item, each.score.toFixed(3)] : [each.name || each.item];
    texts.forEach((text, at) => {
      const cell = row.insertCell();
      cell.textContent = text;
      cell.title = "id " + each.item;
      if (scored && at === 2) cell.className = "number";
    });
    row.insertCell().append(button("similar", guarded(() => similar(each))));
  }
}

function button(text, action) {
  const made = document.createElement("button");
  made.type = "button";
  made.className = "small";
  made.textContent = text;
  made.addEventListener("click", action);
  return made;
}

function options() {
  return { k: Number(byId("k").value), exclude_seen: byId("seen").checked,
           diversity: Number(byId("diversity").value), popularity_discount: Number(byId("discount").value) };
}

async function recommend() {
  const user = encodeURIComponent(byId("user").value.trim());
  const query = new URLSearchParams(options());
  const [past, next] = await Promise.all([
    ask(`history/${user}?k=${byId("k").value}`), ask(`recommend/${user}?${query}`)]);
  fill("left", `Chosen before (${past.items.length} of ${past.n_items})`, past.items, false);
  fill("right", `Recommended for ${past.user}`, next.items, true);
}

async function recommendNew() {
  if (!picked.size) return;
  const body = { users: [{ history: [...picked.keys()] }], ...options() };
  const [next] = await ask("recommend", body);
  fill("left", "Chosen", [...picked.values()], false);
  fill("right", "Recommended for somebody new", next.items, true);
}

async function similar(item) {
  const found = await ask(`similar/${encodeURIComponent(item.item)}?k=${byId("k").value}`);
  fill("right", `Similar to ${found.name || found.item}`, found.items, true);
}

async function search() {
  const query = new URLSearchParams({ text: byId("search").value, k: 20 });
  const found = await ask("items?" + query);
  byId("found").replaceChildren(...found.items.map((item) => {
    const chip = document.createElement("span");
    chip.append(item.name || String(item.item), " ", button("+", guarded(() => {
      picked.set(item.item, item); showPicked(); return recommendNew();
    })));
    return chip;
  }));
  if (!found.items.length) byId("found").textContent = "nothing found";
}

function showPicked() {
  byId("picked").replaceChildren(...[...picked.values()].map((item) => {
    const chip = document.createElement("span");
    chip.append(item.name || String(item.item), " ", button("×", guarded(() => {
      picked.delete(item.item); showPicked(); return recommendNew();
    })));
    return chip;
  }));
}

byId("user-form").addEventListener("submit", guarded(recommend));
byId("history-form").addEventListener("submit", guarded(search));
byId("token").addEventListener("change", guarded(about));

async function about() {
  const info = await ask("info");
  byId("about").textContent = `${info.dataset}: ${info.n_users} users, ${info.n_items} items, `
    + `${info.settings.model.kind}, model ${info.model}`;
}
guarded(about)();
