import { useSyncExternalStore } from "react";

const steps: [limit: number, seconds: number, unit: string][] = [
  [60, 1, "s"],
  [3_600, 60, "m"],
  [86_400, 3_600, "h"],
  [30 * 86_400, 86_400, "d"],
];

/** How long ago `then` was, short enough for a table; "in" for what is yet to come; the date when it is far off. */
export function relative(then: Date, now: Date): string {
  const seconds = Math.round((now.getTime() - then.getTime()) / 1000);
  const away = Math.abs(seconds);
  if (away < 5) return "just now";
  for (const [limit, size, unit] of steps) {
    if (away < limit) {
      const amount = `${Math.floor(away / size)} ${unit}`;
      return seconds > 0 ? `${amount} ago` : `in ${amount}`;
    }
  }
  return then.toISOString().slice(0, 10);
}

/** The time to the second, in the reader's own zone. */
export function exact(then: Date): string {
  return then.toLocaleString(undefined, { dateStyle: "medium", timeStyle: "medium" });
}

let now = new Date();
const watchers = new Set<() => void>();
let ticking: ReturnType<typeof setInterval> | undefined;

/** The current time, moved on every few seconds for all that show it at once. */
export function useNow(): Date {
  return useSyncExternalStore(watch, () => now);
}

function watch(notify: () => void) {
  watchers.add(notify);
  ticking ??= setInterval(() => {
    now = new Date();
    for (const each of watchers) each();
  }, 5_000);
  return () => {
    watchers.delete(notify);
    if (watchers.size === 0) {
      clearInterval(ticking);
      ticking = undefined;
    }
  };
}
