(() => {
  // Every text of the page whose colour is too near to what lies behind it (WCAG 2 AA).
  const parts = (colour) => {
    const found = colour.match(/[\d.]+/g).map(Number);
    return found.length > 3 ? found : [...found, 1];
  };
  const over = (top, below) => {
    const alpha = top[3];
    return [0, 1, 2].map((i) => top[i] * alpha + below[i] * (1 - alpha)).concat(1);
  };
  const brightness = (colour) => {
    const linear = colour.slice(0, 3).map((value) => {
      const share = value / 255;
      return share <= 0.03928 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2];
  };
  const behind = (element) => {
    const layers = [];
    for (let one = element; one; one = one.parentElement) {
      layers.unshift(parts(getComputedStyle(one).backgroundColor));
    }
    return layers.reduce((below, top) => over(top, below), [255, 255, 255, 1]);
  };
  const faults = [];
  let seen = 0;
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || element.closest("script, style, title, desc")) continue;
    if (!element.getClientRects().length) continue;
    const style = getComputedStyle(element);
    const isDrawn = element instanceof SVGElement;
    const back = behind(isDrawn ? element.closest("figure") : element);
    const ink = over(parts(isDrawn ? style.fill : style.color), back);
    const [high, low] = [brightness(ink), brightness(back)].sort((a, b) => b - a);
    const ratio = (high + 0.05) / (low + 0.05);
    seen += 1;
    if (ratio < 4.5) faults.push([walker.currentNode.data.trim().slice(0, 40), ratio]);
  }
  return {seen, faults};
})()
