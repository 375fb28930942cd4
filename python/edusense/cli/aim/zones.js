"use strict";
// The camera's zones over its picture, and a new one that is drawn corner by corner.
const sheet = by("zones"), drawing = by("drawing");
const SVG = "http://www.w3.org/2000/svg";
let zones = [], corners = [], open = false;

function shape(name, given) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(given)) made.setAttribute(key, value);
  sheet.append(made);
}

const path = (points) => points.map(([x, y]) => `${x},${y}`).join(" ");

function paint() {
  sheet.replaceChildren();
  for (const zone of zones) {
    if (zone.line) shape("polyline", { points: path(zone.line), class: `line ${zone.kind}` });
    else shape("polygon", { points: path(zone.polygon), class: zone.kind });
  }
  if (corners.length > 1) shape("polygon", { points: path(corners), class: by("kind").value });
  // A line without length and with round ends is a dot, whatever the picture's sides are.
  for (const [x, y] of corners) shape("path", { d: `M${x} ${y}h0`, class: "corner" });
  by("keep").disabled = corners.length < 3;
  by("undo").disabled = corners.length === 0;
}

function list() {
  by("list").replaceChildren(...zones.map((zone) => {
    const item = document.createElement("li"), kind = document.createElement("i");
    kind.textContent = ` ${zone.line ? "line, " : ""}${zone.kind}`;
    item.append(zone.id, kind);
    return item;
  }));
}

function free() {
  for (let number = 1; ; number += 1) {
    const name = `${document.title}-zone-${number}`;
    if (!zones.some((zone) => zone.id === name)) return name;
  }
}

function set(now) {
  open = now;
  corners = [];
  drawing.hidden = !now;
  by("begin").hidden = now;
  sheet.classList.toggle("open", now);
  document.body.classList.toggle("drawing", now);
  if (now) by("name").value = free();
  paint();
}

async function load() {
  const answer = await fetch("/zones", { cache: "no-store" });
  if (!answer.ok) { by("zone-told").textContent = await answer.text(); return; }
  zones = await answer.json();
  list();
  paint();
}

sheet.addEventListener("click", (event) => {
  if (!open) return;
  const place = sheet.getBoundingClientRect();
  const share = (at, from, size) => Math.min(1, Math.max(0, Math.round(1000 * (at - from) / size) / 1000));
  corners.push([share(event.clientX, place.left, place.width), share(event.clientY, place.top, place.height)]);
  by("zone-told").textContent = "";
  paint();
});
by("draw").addEventListener("click", () => { by("zone-told").textContent = ""; set(true); });
by("undo").addEventListener("click", () => { corners.pop(); paint(); });
by("cancel").addEventListener("click", () => set(false));
by("kind").addEventListener("change", paint);
drawing.addEventListener("submit", async (event) => {
  event.preventDefault();
  if (corners.length < 3) return;
  const name = by("name").value.trim();
  try {
    const body = JSON.stringify({ id: name, kind: by("kind").value, polygon: corners });
    const answer = await fetch("/zones", { method: "POST", body });
    if (!answer.ok) { by("zone-told").textContent = await answer.text(); return; }
    zones = await answer.json();
    list();
    set(false);
    by("zone-told").textContent = `${name} stands in the site file; a running box takes it over`;
  } catch (error) {
    by("zone-told").textContent = "the box does not answer: is `edusense camera aim` still running?";
  }
});
load();
