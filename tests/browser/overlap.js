// Every visible piece of text with its rectangle, cut to what its scrolling ancestors show; pairs that lie on each other.
() => {
  const pieces = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const node = walker.currentNode, parent = node.parentElement;
    if (!node.data.trim() || parent.closest("script,style,title,desc,option,.skip,caption.hidden")) continue;
    if (!parent.checkVisibility({ visibilityProperty: true, contentVisibilityAuto: true })) continue;
    let left = -Infinity, right = Infinity, top = -Infinity, bottom = Infinity;
    for (let box = parent; box; box = box.parentElement) {
      if (getComputedStyle(box).overflowX === "visible") continue;
      const rect = box.getBoundingClientRect();
      left = Math.max(left, rect.left); right = Math.min(right, rect.right);
      top = Math.max(top, rect.top); bottom = Math.min(bottom, rect.bottom);
    }
    const range = document.createRange();
    range.selectNodeContents(node);
    for (const rect of range.getClientRects()) {
      const piece = {
        left: Math.max(left, rect.left), right: Math.min(right, rect.right),
        top: Math.max(top, rect.top), bottom: Math.min(bottom, rect.bottom), text: node.data.trim().slice(0, 40), node,
      };
      if (piece.right - piece.left > 1 && piece.bottom - piece.top > 1) pieces.push(piece);
    }
  }
  pieces.sort((a, b) => a.top - b.top);
  const found = [];
  pieces.forEach((a, k) => {
    // lines are higher than their letters: a fifth of the height may be shared
    const low = a.bottom - 0.3 * (a.bottom - a.top);
    for (let j = k + 1; j < pieces.length && pieces[j].top < low; j++) {
      const b = pieces[j];
      const across = Math.min(a.right, b.right) - Math.max(a.left, b.left);
      const down = Math.min(a.bottom, b.bottom) - b.top;
      if (across > 1.5 && down > 0.3 * Math.min(a.bottom - a.top, b.bottom - b.top)) found.push([a.text, b.text]);
    }
  });
  return { pieces: pieces.length, found: found.slice(0, 20) };
}
