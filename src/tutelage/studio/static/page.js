"use strict";
// Saves drafts, keys, marks. Everything also works without it, with the buttons of the form.

const SOON_MS = 900, AGAIN_MS = 4000, SLOW_MS = 30000, STUCK_MS = 10000, IDLE_MS = 120000;
const form = document.getElementById("work");
const state = document.getElementById("state");
const saveButton = document.getElementById("save");
const seconds = form.elements.seconds;
const skip = document.getElementById("skip");
const keys = document.getElementById("keys");

// ---- drafts: what the server has not confirmed is sent again as it was, so that an answer that was lost on the way is
// ---- no conflict; a later state of the form follows in a request of its own.

let confirmed = "", untouched = "", pending = null, sending = null, timer = 0;
let stale = false, leaving = false, refused = false;
let undecided = "undecided" in form.dataset; // the page shows both versions: nothing is saved until a button says so

function content() {
  const data = new FormData(form);
  for (const name of ["key", "revision", "seconds"]) data.delete(name);
  return new URLSearchParams(data).toString();
}

const isDirty = () => pending !== null || content() !== confirmed;

function tell(words, kind = "") {
  if (state.textContent !== words) state.textContent = words;
  state.className = kind || "muted";
}

async function send() {
  clearTimeout(timer);
  pending ??= { body: new FormData(form), content: content() };
  tell("Saving…");
  refused = false;
  let answer = null, told = {};
  try {
    const signal = AbortSignal.timeout?.(SLOW_MS); // a connection that is dead says nothing for minutes
    answer = await fetch(form.dataset.draft, { method: "POST", body: pending.body, signal });
    told = await answer.json();
  } catch {
    // cut off half-way, or somebody else's answer: that of a proxy, or of a network that wants a sign-in
  }
  if (!answer || (answer.ok && !Number.isInteger(told.revision))) {
    return failed(navigator.onLine ? "Not saved: the page cannot be reached. Trying again." : "Not saved: you are offline.", true);
  }
  if (answer.ok) {
    for (const field of document.querySelectorAll("input[name=revision]")) field.value = told.revision;
    confirmed = pending.content;
    pending = null;
    undecided = false;
    if (isDirty()) soon();
    else tell("Saved", "good");
    return true;
  }
  if (answer.status === 409) return conflict();
  if (answer.status < 500) pending = null;
  refused = answer.status === 400; // a draft may be shorter than an answer: the form itself says what is wrong
  return failed("Not saved: " + (answer.status === 413 ? "it is too long." : told.text || "the page has a fault."), answer.status >= 500);
}

function failed(words, again) {
  tell(words, "bad");
  if (again) timer = setTimeout(save, AGAIN_MS);
  return false;
}

function soon() {
  if (stale || leaving) return;
  tell("Not saved yet");
  if (undecided) return;
  clearTimeout(timer);
  timer = setTimeout(save, SOON_MS);
}

// Sends until all is confirmed; false if something was not.
async function save() {
  while (sending) await sending;
  while (isDirty()) {
    if (stale) return false;
    sending = send();
    const ok = await sending;
    sending = null;
    if (!ok) return false;
  }
  return !stale;
}

function conflict() {
  stale = true;
  clearTimeout(timer);
  tell("Not saved: changed in another window", "bad");
  const notice = document.createElement("section");
  notice.className = "notice bad";
  notice.setAttribute("role", "alert");
  const title = document.createElement("h2");
  title.textContent = "This item was changed in another window";
  const words = document.createElement("p");
  words.textContent = "What you typed here is still here, and not saved. Nothing was overwritten.";
  const both = document.createElement("button");
  both.id = "both";
  both.type = "button";
  both.textContent = "See both versions";
  both.addEventListener("click", () => go(form, saveButton));
  const newer = document.createElement("a");
  newer.href = form.getAttribute("action"); // its buttons are named "action" and hide the property
  newer.textContent = "Load the newer one";
  const choices = document.createElement("p");
  choices.className = "actions";
  choices.append(both, newer);
  notice.append(title, words, choices);
  document.querySelector(".above").append(notice);
  notice.scrollIntoView({ block: "nearest" });
  return false;
}

// ---- sending: words are stored before the page is left, so that a connection that breaks loses none.

let passing = false;

function go(which, button) {
  passing = leaving = true;
  clearTimeout(timer);
  which.requestSubmit(button); // at once, unless the browser finds fault with a field
  if (passing) passing = leaving = false;
  else setTimeout(stay, STUCK_MS);
}

// The page is still here: somebody stopped it from going, or the server is slow. To send the same once more does no harm.
function stay() {
  leaving = false;
  if (isDirty() && !stale) soon();
}

function guard(which, allowed) {
  which.addEventListener("submit", async (event) => {
    if (passing) {
      passing = false;
      return;
    }
    event.preventDefault();
    const button = event.submitter;
    await new Promise((done) => setTimeout(done)); // a form that is being submitted cannot be submitted once more
    if (!leaving && (await allowed(button))) go(which, button);
  });
}

guard(form, async (button) => {
  const saved = await save();
  if (button === saveButton) {
    if (saved) tell("Saved", "good");
    return stale;
  }
  if (!saved && !stale && !refused) tell("Not sent. " + state.textContent, "bad");
  return saved || refused;
});

for (const other of document.querySelectorAll("main form:not(#work)")) {
  guard(other, async () => {
    const drops = content() !== untouched || document.querySelector(".drafted");
    const asked = other.closest("#skip") ? "Skip this item and drop what you typed?" : "Drop your draft? It cannot be brought back.";
    if (drops && !confirm(asked)) return false;
    while (sending) await sending;
    return true;
  });
}

addEventListener("beforeunload", (event) => {
  if (!leaving && isDirty()) event.preventDefault();
});
addEventListener("pageshow", (event) => {
  if (event.persisted) leaving = false;
});
addEventListener("online", () => isDirty() && !undecided && save());
document.addEventListener("visibilitychange", () => {
  if (document.visibilityState === "hidden" && isDirty() && !stale && !undecided && !leaving) save();
});

// ---- time: seconds in which the page is seen and something is done now and then.

let active = Date.now();
for (const kind of ["keydown", "pointerdown", "pointermove", "scroll"]) {
  addEventListener(kind, () => { active = Date.now(); }, { passive: true });
}
setInterval(() => {
  if (document.visibilityState === "visible" && Date.now() - active < IDLE_MS) seconds.value = Number(seconds.value) + 1;
}, 1000);

// ---- fields

const count = document.getElementById("count");
function countWords() {
  if (!count) return;
  const words = form.elements.text.value.trim().split(/\s+/).filter(Boolean).length;
  count.textContent = `; there are ${words}`;
  count.className = words > Number(count.dataset.most) ? "fault" : "";
}

form.addEventListener("input", (event) => {
  const box = event.target;
  if (box.type === "checkbox" && box.checked && box.name === "label") {
    for (const other of form.querySelectorAll("input[name=label]")) {
      if (other !== box && ("alone" in box.dataset || "alone" in other.dataset)) other.checked = false;
    }
  }
  countWords();
  leaving = false; // who types is still here
  if (!stale) soon();
});
countWords();

// ---- keys

const isTyping = (target) => target.matches?.("textarea, select, input:not([type=radio]):not([type=checkbox])");

function press(key) {
  const groups = [...form.querySelectorAll("[data-keys]")].filter((group) => group.querySelector("[data-key]"));
  const isOpen = (group) => !group.querySelector("input:checked");
  const group = groups.find((one) => one.contains(document.activeElement)) ?? groups.find(isOpen) ?? groups[0];
  const box = (group ?? form).querySelector(`[data-key="${key}"]`);
  if (!box) return false;
  box.focus();
  box.click();
  if (box.type === "radio") groups.slice(groups.indexOf(group) + 1).find(isOpen)?.querySelector("[data-key]").focus();
  return true;
}

document.addEventListener("keydown", (event) => {
  if (keys.open || event.isComposing) return;
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
    event.preventDefault();
    if (!skip?.contains(document.activeElement)) form.requestSubmit(form.querySelector("button[value=submit]"));
    return;
  }
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (isTyping(event.target)) {
    if (event.key === "Escape") event.target.blur();
    return;
  }
  if (event.key === "?") keys.showModal();
  else if (event.key === "s" && skip) {
    skip.open = true;
    document.getElementById("note").focus();
  } else if (!/^[0-9]$/.test(event.key) || !press(event.key)) return;
  event.preventDefault();
});

const showKeys = document.getElementById("show-keys");
showKeys.hidden = false;
showKeys.addEventListener("click", () => keys.showModal());

// ---- marks: the words that are selected become a row of the form, which says the words and which of their places.

const passage = document.getElementById("passage");
if (passage) {
  const rows = document.getElementById("marks");
  const blank = rows.lastElementChild;
  let number = Number(blank.dataset.mark), chosen = null;
  const template = blank.cloneNode(true);
  blank.remove();
  const brushes = document.getElementById("brushes");
  brushes.hidden = false;
  saveButton.textContent = "Save draft";

  const placesOf = (words) => {
    const found = [], text = passage.textContent;
    for (let at = words ? text.indexOf(words) : -1; at >= 0; at = text.indexOf(words, at + 1)) found.push(at);
    return found;
  };

  const read = () => {
    const selected = getSelection();
    const range = selected.rangeCount ? selected.getRangeAt(0) : null;
    if (!range || !passage.contains(range.commonAncestorContainer)) return;
    const before = document.createRange();
    before.setStart(passage, 0);
    before.setEnd(range.startContainer, range.startOffset);
    const words = range.toString(), start = before.toString().length + words.length - words.trimStart().length;
    choose(words.trim() ? { words: words.trim(), start } : null);
  };
  document.addEventListener("selectionchange", read);

  const choose = (words) => {
    chosen = words;
    brushes.classList.toggle("chosen", words !== null); // on a phone they come to where the thumb is
  };

  const brush = (button) => {
    if (!chosen) read(); // a selection is told of a moment later than it is made
    const row = template.cloneNode(true), name = `mark-${number}-`;
    for (const field of row.querySelectorAll("[name]")) {
      field.name = field.name.replace(/^mark-\d+-/, name);
      if (field.id) field.id = field.name;
    }
    for (const label of row.querySelectorAll("label[for]")) label.htmlFor = label.htmlFor.replace(/^mark-\d+-/, name);
    row.dataset.mark = number++;
    const field = (what) => row.querySelector(`[name="${name}${what}"]`);
    if (chosen) {
      field("words").value = chosen.words;
      field("which").value = placesOf(chosen.words).filter((at) => at <= chosen.start).length;
    }
    const next = field(chosen ? "reason" : "words"); // who cannot select types or pastes the words
    field("label").value = button.dataset.brush;
    rows.append(row);
    getSelection().removeAllRanges();
    choose(null);
    for (const none of form.querySelectorAll("input[name=label]")) none.checked = false;
    next.focus();
    next.dispatchEvent(new Event("input", { bubbles: true }));
    paint();
  };

  for (const button of document.querySelectorAll("[data-brush]")) {
    button.addEventListener("pointerdown", (event) => event.preventDefault()); // the selection stays
    button.addEventListener("click", () => brush(button));
  }

  form.addEventListener("change", (event) => {
    if (event.target.name?.endsWith("-drop")) {
      event.target.closest(".mark").remove();
      soon();
    }
    paint();
  });

  const rangeOf = (start, end) => {
    const range = document.createRange(), walker = document.createTreeWalker(passage, NodeFilter.SHOW_TEXT);
    let at = 0;
    for (let node = walker.nextNode(); node; node = walker.nextNode()) {
      if (start >= at && start <= at + node.length) range.setStart(node, start - at);
      if (end >= at && end <= at + node.length) {
        range.setEnd(node, end - at);
        return range;
      }
      at += node.length;
    }
    return range;
  };

  function paint() {
    if (!CSS.highlights) return;
    CSS.highlights.clear();
    for (const row of rows.children) {
      const value = (what) => row.querySelector(`[name$="-${what}"]`).value;
      const words = value("words"), start = placesOf(words)[Number(value("which")) - 1];
      if (start === undefined || value("label") === "") continue;
      const name = `mark-${Number(value("label")) % 6}`;
      if (!CSS.highlights.has(name)) CSS.highlights.set(name, new Highlight());
      CSS.highlights.get(name).add(rangeOf(start, start + words.length));
    }
  }
  paint();
}

untouched = content(); // the blank row of marks is gone now
confirmed = undecided ? "" : untouched;
