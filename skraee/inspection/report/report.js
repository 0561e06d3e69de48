"use strict";
// Without this script all is there as well: it only opens many texts at once, hides
// those without a word, and opens the explanation that a link leads to.
for (const tools of document.querySelectorAll(".tools")) {
  const list = document.getElementById(tools.dataset.list);
  const items = Array.from(list.children);
  const words = items.map((item) => item.textContent.toLowerCase());
  const [open, close] = tools.querySelectorAll("button");
  const count = tools.querySelector("output");
  const setAll = (isOpen) => {
    for (const item of items) {
      const details = item.querySelector("details");
      if (details && !item.hidden) details.open = isOpen;
    }
  };
  open.addEventListener("click", () => setAll(true));
  close.addEventListener("click", () => setAll(false));
  tools.querySelector("input").addEventListener("input", (event) => {
    const sought = event.target.value.toLowerCase();
    items.forEach((item, place) => { item.hidden = !words[place].includes(sought); });
    count.value = sought ? items.filter((item) => !item.hidden).length + " shown" : "";
  });
  tools.hidden = false;
}
const reveal = () => {
  const target = document.getElementById(location.hash.slice(1));
  if (!target || !target.matches(".texts > li")) return;
  target.hidden = false;
  const details = target.querySelector("details");
  if (!details) return;
  details.open = true;
  details.querySelector("summary").focus();
};
addEventListener("hashchange", reveal);
reveal();
