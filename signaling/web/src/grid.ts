// How many columns make the tiles of a call largest.

const GAP = 10; // px, as in call.css

/** The column count whose tiles (16:9, or upright where the frame is) cover the most. */
export function columns(count: number, width: number, height: number): number {
  if (count <= 1 || width <= 0 || height <= 0) return 1;
  let best = { columns: 1, area: 0 };
  for (let candidate = 1; candidate <= count; candidate += 1) {
    const rows = Math.ceil(count / candidate);
    const cellWidth = (width - GAP * (candidate - 1)) / candidate;
    const cellHeight = (height - GAP * (rows - 1)) / rows;
    const area = usable(cellWidth, cellHeight);
    if (area > best.area) best = { columns: candidate, area };
  }
  return best.columns;
}

/** The part of a cell that a picture between 4:5 and 16:9 can fill. */
function usable(width: number, height: number): number {
  if (width <= 0 || height <= 0) return 0;
  const ratio = Math.min(Math.max(width / height, 4 / 5), 16 / 9);
  return Math.min(width, height * ratio) * Math.min(height, width / ratio);
}
