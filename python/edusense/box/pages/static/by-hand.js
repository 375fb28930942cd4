"use strict";
// What an operator does at the kiosk without a card: who, PIN, what, whom, why. Each step is a screen of large buttons.
const hand = document.getElementById("hand");
const pane = document.getElementById("hand-body");
const heading = document.getElementById("hand-title");
let session = null;
let steps = []; // functions that draw the screens that led here
let idleTimer = null;

const say = (key) => words[key][languages[0]];

async function ask(path, told = {}) {
  const answer = await fetch(`/by-hand/${path}`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(session === null ? told : { session, ...told }),
  });
  const value = await answer.json();
  if (!answer.ok) throw Object.assign(new Error(value.message), { code: value.error });
  return value;
}

function screen(title, draw, className = "") {
  heading.textContent = title;
  pane.replaceChildren();
  pane.className = className;
  pane.scrollTop = 0;
  draw();
}
function go(step) { steps.push(step); step(); }
function button(text, action, small = "") {
  const made = document.createElement("button");
  made.type = "button";
  made.textContent = text;
  if (small) {
    const more = document.createElement("small");
    more.textContent = small;
    made.append(more);
  }
  made.addEventListener("click", action);
  pane.append(made);
  return made;
}
function wide(text, className = "") {
  const made = document.createElement("p");
  made.className = `wide ${className}`;
  made.textContent = text;
  pane.append(made);
  return made;
}
function choices(title, items, label, next, small = () => "") {
  screen(title, () => {
    if (!items.length) wide(say("nothing"));
    for (const item of items) button(label(item), () => next(item), small(item));
  });
}
async function guarded(work) {
  try { await work(); } catch (error) {
    if (error.code === "no-session") { begin(); return; }
    screen(say("failed"), () => { wide(error.message, "bad"); button(say("back"), back); });
  }
}
function back() {
  steps.pop();
  if (steps.length) steps[steps.length - 1](); else close();
}
function close() {
  session = null;
  steps = [];
  clearTimeout(idleTimer);
  hand.close();
}
function stayAwake() {
  clearTimeout(idleTimer);
  idleTimer = setTimeout(close, 60000);
}

function begin() {
  session = null;
  steps = [];
  go(() => guarded(async () => {
    const operators = await ask("operators");
    if (!operators.length) {
      screen(say("operator"), () => wide(say("no-operators")));
      return;
    }
    choices(say("operator"), operators, (one) => one.name, (one) => go(() => pinPad(one)));
  }));
}

function pinPad(operator, wrong = false) {
  let typed = "";
  screen(`${operator.name}: ${say("pin")}`, () => {
    const dots = wide(wrong ? say("wrong-pin") : "· · · ·", wrong ? "bad" : "");
    const draw = () => { dots.textContent = "●".repeat(typed.length) || "· · · ·"; dots.className = "wide"; };
    for (const digit of "123456789") button(digit, () => { typed = (typed + digit).slice(0, 12); draw(); });
    button("⌫", () => { typed = typed.slice(0, -1); draw(); });
    button("0", () => { typed = (typed + "0").slice(0, 12); draw(); });
    button("✓", async () => {
      try {
        session = (await ask("login", { operator: operator.operator, pin: typed })).session;
        steps = [];
        go(what);
      } catch (error) {
        session = null;
        if (error.code === "wrong-pin") pinPad(operator, true);
        else screen(say("failed"), () => wide(error.message, "bad"));
      }
    });
  }, "pad");
}

function what() {
  screen(say("what"), () => {
    button(say("enter"), () => go(chooseClass));
    button(say("reverse"), () => go(chooseMeal));
    button(say("clock"), () => go(chooseTime));
  });
}
function chooseClass() {
  guarded(async () => choices(say("class"), await ask("classes"), (form) => form, (form) => go(() => choosePupil(form))));
}
function choosePupil(form) {
  guarded(async () => choices(`${say("pupil")}, ${form}`, await ask("pupils", { class: form }), (one) => one.name,
    (one) => go(() => chooseWhy(["card-forgotten", "card-lost", "card-broken", "reader-broken"], `${one.name}, ${form}`,
      async (reason) => {
        await ask("enter", { terminal, pupil: one.pupil, reason });
        close(); // the verdict itself comes to the screen, green or red, as for a card
      }))));
}
function chooseMeal() {
  guarded(async () => choices(say("meal"), await ask("recent", { terminal }), (one) => `${one.time}  ${one.name}`,
    (one) => go(() => chooseWhy(["wrong-child", "not-eaten", "mistake"], `${one.time}  ${one.name}, ${one.class}`,
      async (reason) => {
        await ask("reverse", { record: one.record, reason });
        finished(`${one.time}  ${one.name}`, true);
      })), (one) => one.class));
}
function chooseWhy(reasons, title, act) {
  choices(`${title} — ${say("why")}`, reasons, say, (reason) => guarded(() => act(reason)));
}
function chooseTime() {
  screen(say("clock"), () => {
    const now = new Date(Date.now() + offset + zone * 1000).toISOString().slice(0, 16);
    const input = document.createElement("input");
    input.type = "datetime-local";
    input.value = now;
    pane.append(input);
    button(say("right"), () => guarded(async () => { await ask("clock"); finished(say("done"), true); }));
    button(say("set"), () => guarded(async () => { await ask("clock", { at: input.value }); finished(say("done"), true); }));
  });
}
function finished(text, good) {
  screen(good ? say("done") : say("failed"), () => {
    wide(text, good ? "good" : "bad");
    button(say("back"), () => { steps = []; go(what); });
  });
}

document.getElementById("open-hand").addEventListener("click", () => { hand.showModal(); stayAwake(); begin(); });
document.getElementById("hand-back").addEventListener("click", back);
hand.addEventListener("pointerdown", stayAwake);
hand.addEventListener("close", () => { session = null; });
