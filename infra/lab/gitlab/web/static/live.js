// Keeps a page of something that runs up to date: fetches it again and puts in only what has changed, so that the
// reader's place, focus and opened sections stay. A change of the heading is told to screen readers.
"use strict";

function replaceAttributes(old, fresh) {
  for (const { name } of [...old.attributes]) {
    if (!fresh.hasAttribute(name) && name !== "open") old.removeAttribute(name);
  }
  for (const { name, value } of fresh.attributes) {
    // Which sections are open is the reader's choice.
    if (name !== "open" && old.getAttribute(name) !== value) old.setAttribute(name, value);
  }
}

function replace(old, fresh) {
  if (old.nodeName !== fresh.nodeName) {
    old.replaceWith(document.importNode(fresh, true));
  } else if (old.nodeType === Node.TEXT_NODE) {
    if (old.data !== fresh.data) old.data = fresh.data;
  } else if (old.nodeType === Node.ELEMENT_NODE) {
    replaceAttributes(old, fresh);
    const before = [...old.childNodes];
    const after = [...fresh.childNodes];
    after.forEach((node, index) => {
      if (before[index]) replace(before[index], node);
      else old.append(document.importNode(node, true));
    });
    before.slice(after.length).forEach((node) => node.remove());
  }
}

async function look() {
  if (document.hidden) return true;
  const answer = await fetch(location.href, { cache: "no-store" });
  if (answer.redirected || answer.status === 404) {
    location.reload();
    return false;
  }
  if (!answer.ok) return true;
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
  const heading = document.querySelector("h1").textContent;
  const atEnd = window.innerHeight + window.scrollY >= document.body.scrollHeight - 8;
  replace(document.querySelector("main"), fresh.querySelector("main"));
  const now = document.querySelector("h1").textContent;
  if (now !== heading) document.querySelector("#news").textContent = now;
  if (atEnd && document.querySelector(".log")) window.scrollTo(0, document.body.scrollHeight);
  return fresh.body.hasAttribute("data-refresh");
}

async function keep(seconds) {
  let goesOn = true;
  while (goesOn) {
    await new Promise((done) => setTimeout(done, seconds * 1000));
    // A server that restarts is asked again.
    goesOn = await look().catch(() => true);
  }
}

keep(Number(document.body.dataset.refresh));
