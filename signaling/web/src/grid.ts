// How many columns show most of everybody's picture.

const GAP = 10; // px, as in call.css
const PICTURE = 16 / 9; // what cameras send

/** The column count for `count` tiles in a frame of `width` by `height` px. */
export function columns(count: number, width: number, height: number): number {
  if (count <= 1 || width <= 0 || height <= 0) return 1;
  let best = { columns: 1, shown: 0 };
  for (let candidate = 1; candidate <= count; candidate += 1) {
    const rows = Math.ceil(count / candidate);
    const shown = picture((width - GAP * (candidate - 1)) / candidate, (height - GAP * (rows - 1)) / rows);
    if (shown > best.shown) best = { columns: candidate, shown };
  }
  return best.columns;
}

/** A tile's area in px², times the share of the picture that is not cropped away. */
function picture(width: number, height: number): number {
  if (width <= 0 || height <= 0) return 0;
  const ratio = width / height;
  return width * height * Math.min(ratio / PICTURE, PICTURE / ratio);
}
