"""What is wrong with a page for people who read it by keyboard, screen reader or with little contrast."""

from __future__ import annotations

from selenium.webdriver.remote.webdriver import WebDriver

_SCRIPT = r"""
const origin = arguments[0], found = [];
const all = (selector) => [...document.querySelectorAll(selector)];
const visible = (node) => node.getClientRects().length > 0 && getComputedStyle(node).visibility !== "hidden";
const spoken = (node) => (node.getAttribute("aria-label") || node.innerText || "").trim();
const shown = (node) => node.outerHTML.slice(0, 80);

if (!document.documentElement.lang) found.push("the language is not named");
if (!document.title.trim()) found.push("no title");
for (const [selector, count] of [["main", 1], ["h1", 1], ["header", 1], ["nav[aria-label]", 1], ["[role=status]", 1]]) {
  if (all(selector).length !== count) found.push(`${all(selector).length} of ${selector}`);
}
let level = 0;
for (const heading of all("h1, h2, h3, h4")) {
  const own = Number(heading.tagName[1]);
  if (own > level + 1) found.push(`a level is left out before ${shown(heading)}`);
  if (!spoken(heading)) found.push(`an empty heading: ${shown(heading)}`);
  level = own;
}
const ids = all("[id]").map((node) => node.id);
for (const id of new Set(ids)) {
  if (ids.filter((each) => each === id).length > 1) found.push(`the id ${id} is there twice`);
}
for (const field of all("input:not([type=hidden]), select, textarea")) {
  if (!field.labels.length && !field.getAttribute("aria-label")) found.push(`no label: ${shown(field)}`);
}
for (const node of all("a[href], button")) if (!spoken(node)) found.push(`no name: ${shown(node)}`);
for (const node of all("[aria-labelledby]")) {
  if (!document.getElementById(node.getAttribute("aria-labelledby"))) found.push(`labelled by nothing: ${shown(node)}`);
}
for (const cell of all("th")) if (!cell.scope) found.push(`no scope: ${shown(cell)}`);
for (const node of all("[tabindex]")) if (node.tabIndex > 0) found.push(`an order of its own: ${shown(node)}`);
for (const node of all(".status")) {
  if (!/[a-z]/.test(node.textContent)) found.push(`a state without a word: ${shown(node)}`);
  if (getComputedStyle(node, "::before").content === "none") found.push(`a state without a sign: ${shown(node)}`);
}
for (const node of all("pre, .wide")) {
  if (node.scrollWidth > node.clientWidth && node.tabIndex < 0) found.push(`keys can't scroll ${shown(node)}`);
}
for (const node of all("[style], [onclick], script:not([src]), style")) found.push(`inline: ${shown(node)}`);

// Contrast: WCAG 2.2, 1.4.3, level AA.
const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
function rgba(colour) {
  canvas.clearRect(0, 0, 1, 1);
  canvas.fillStyle = colour;
  canvas.fillRect(0, 0, 1, 1);
  return [...canvas.getImageData(0, 0, 1, 1).data];
}
function behind(node) {
  for (let each = node; each; each = each.parentElement) {
    const colour = rgba(getComputedStyle(each).backgroundColor);
    if (colour[3] === 255) return colour;
  }
  return [255, 255, 255, 255];
}
function luminance(colour) {
  const linear = (part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
  const [r, g, b] = colour.map((part) => linear(part / 255));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}
const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
const seen = new Set();
while (walker.nextNode()) {
  const node = walker.currentNode.parentElement;
  if (!walker.currentNode.data.trim() || seen.has(node) || !visible(node) || node.closest(".unseen, script")) continue;
  seen.add(node);
  const style = getComputedStyle(node);
  const lights = [luminance(rgba(style.color)), luminance(behind(node))].sort((a, b) => b - a);
  const ratio = (lights[0] + 0.05) / (lights[1] + 0.05);
  const size = parseFloat(style.fontSize);
  const large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
  if (ratio < (large ? 3 : 4.5)) found.push(`contrast ${ratio.toFixed(2)}: ${shown(node)}`);
}

// Focus must be seen.
for (const node of all("a[href], button, input:not([type=hidden])").filter(visible).slice(0, 20)) {
  node.focus({ focusVisible: true });
  const style = getComputedStyle(node);
  const outlined = style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2;
  if (!outlined) found.push(`focus is not seen: ${shown(node)}`);
}
for (const entry of performance.getEntriesByType("resource")) {
  if (!entry.name.startsWith(origin + "/")) found.push(`from elsewhere: ${entry.name}`);
}
return found;
"""


def problems(driver: WebDriver, origin: str) -> list[str]:
    """What is wrong with the page that the browser shows, in words."""
    return [str(each) for each in driver.execute_script(_SCRIPT, origin)]
