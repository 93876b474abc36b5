export interface DiffLine {
  mark: " " | "+" | "-";
  text: string;
}

/** A document as lines, its keys in one order, so that only what differs differs. */
export function lines(document: unknown): string[] {
  if (document === null || document === undefined) return [];
  return JSON.stringify(sorted(document), null, 2).split("\n");
}

/** Above this many pairs of lines, what differs is shown as taken away and added whole. */
const pairsMax = 4_000_000;

/** What to take away and add, line by line, to get from one document to the other. */
export function diff(before: unknown, after: unknown): DiffLine[] {
  const a = lines(before);
  const b = lines(after);
  let head = 0;
  while (head < a.length && head < b.length && a[head] === b[head]) head++;
  let tail = 0;
  while (
    tail < a.length - head &&
    tail < b.length - head &&
    a[a.length - 1 - tail] === b[b.length - 1 - tail]
  )
    tail++;
  return [
    ...marked(" ", a.slice(0, head)),
    ...between(a.slice(head, a.length - tail), b.slice(head, b.length - tail)),
    ...marked(" ", a.slice(a.length - tail)),
  ];
}

function marked(mark: DiffLine["mark"], texts: string[]): DiffLine[] {
  return texts.map((text) => ({ mark, text }));
}

/** By a longest common subsequence. */
function between(a: string[], b: string[]): DiffLine[] {
  if (a.length * b.length > pairsMax) return [...marked("-", a), ...marked("+", b)];
  const width = b.length + 1;
  // common[i * width + j]: how many lines a[i..] and b[j..] share.
  const common = new Uint32Array((a.length + 1) * width);
  const at = (i: number, j: number) => common[i * width + j] ?? 0;
  for (let i = a.length - 1; i >= 0; i--) {
    for (let j = b.length - 1; j >= 0; j--) {
      common[i * width + j] = a[i] === b[j] ? at(i + 1, j + 1) + 1 : Math.max(at(i + 1, j), at(i, j + 1));
    }
  }
  const out: DiffLine[] = [];
  let i = 0;
  let j = 0;
  while (i < a.length || j < b.length) {
    const left = a[i];
    const right = b[j];
    if (left !== undefined && left === right) {
      out.push({ mark: " ", text: left });
      i++;
      j++;
    } else if (left !== undefined && (right === undefined || at(i + 1, j) >= at(i, j + 1))) {
      out.push({ mark: "-", text: left });
      i++;
    } else if (right !== undefined) {
      out.push({ mark: "+", text: right });
      j++;
    }
  }
  return out;
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(
    Object.entries(value)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, inner]) => [key, sorted(inner)]),
  );
}
