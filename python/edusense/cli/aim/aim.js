"use strict";
const by = (id) => document.getElementById(id);
const picture = by("picture"), outline = by("outline");
let known = 0, reference = null;
const percent = (share) => Math.round(100 * share);

function loaded(image, url) {
  return new Promise((done, failed) => { image.onload = done; image.onerror = failed; image.src = url; });
}

function beside(now) {
  if (now.right === null) return "no reference yet: save one once it looks where it should";
  if (!now.same) return "this is not what the reference shows";
  const right = percent(now.right), down = percent(now.down);
  if (Math.abs(right) <= 1 && Math.abs(down) <= 1) return "aimed as the reference";
  // What lies too far right in the picture is brought back by turning the camera to the right.
  const words = [];
  if (Math.abs(right) > 1) words.push(`turn it ${right > 0 ? "right" : "left"} (${Math.abs(right)} % of the picture)`);
  if (Math.abs(down) > 1) words.push(`${down > 0 ? "down" : "up"} (${Math.abs(down)} %)`);
  return words.join(", ");
}

const FAULTS = { black: "the picture is black", covered: "something is right before the lens", blurred: "out of focus" };

function hint(now) {
  if (now.fault) return [FAULTS[now.fault], "bad"];
  if (now.best - now.sharpness > 0.03) return ["it was sharper: turn the ring back", ""];
  return ["as sharp as it has been", "at-best"];
}

async function show(now) {
  by("problem").hidden = !now.problem;
  by("problem").textContent = now.problem || "";
  document.body.dataset.number = now.number;
  if (now.problem) return;
  await loaded(picture, `/picture.jpg?n=${now.number}`);
  if (now.reference_s !== null && now.reference_s !== reference) {
    await loaded(outline, `/outline.png?n=${now.reference_s}`);
    reference = now.reference_s;
    by("with").hidden = false;
  }
  outline.hidden = reference === null || !by("show").checked;
  by("sharpness").textContent = percent(now.sharpness);
  by("best").textContent = percent(now.best);
  by("level").style.width = `${percent(now.sharpness)}%`;
  by("mark").style.left = `calc(${percent(now.best)}% - 2px)`;
  [by("hint").textContent, by("hint").className] = hint(now);
  by("beside").textContent = beside(now);
  by("size").textContent = `${now.width} × ${now.height}, brightness ${Math.round(now.brightness)} of 255`;
}

async function follow() {
  for (;;) {
    try {
      const answer = await fetch(`/state?after=${known}`, { cache: "no-store" });
      if (answer.status === 401) { location.replace("/token"); return; }
      const now = await answer.json();
      if (now.number === 0) { by("hint").textContent = "waiting for the first picture …"; continue; }
      known = now.number;
      await show(now);
    } catch (error) {
      by("problem").hidden = false;
      by("problem").textContent = "the box does not answer: is `edusense camera aim` still running?";
      await new Promise((done) => setTimeout(done, 1000));
    }
  }
}

async function post(path, said) {
  const answer = await fetch(path, { method: "POST" });
  by("told").textContent = answer.ok ? said : await answer.text();
}

by("save").addEventListener("click", () => post("/reference", "saved"));
by("forget").addEventListener("click", () => post("/best", ""));
by("show").addEventListener("change", () => { outline.hidden = reference === null || !by("show").checked; });
follow();
