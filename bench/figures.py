"""What is made of the measurements: ratios of neighbours, their median, and how sure it is."""
import random
import statistics


def interval(ratios, rounds=4000):
    """Median, and the middle 95 % of the medians of resampled ratios."""
    rng = random.Random(1)
    medians = sorted(statistics.median(rng.choices(ratios, k=len(ratios))) for _ in range(rounds))
    return statistics.median(ratios), medians[int(rounds * 0.025)], medians[int(rounds * 0.975)]


def spread(values):
    return f"**{statistics.median(values):.1f}** ({min(values):.1f}–{max(values):.1f})"


def report(workload, seen):
    """Prints a table; a measurement of each contender in `seen` has `cost`, `rate`, `mib` and `errors`."""
    ratios = [own["cost"] / other["cost"] for own, other in zip(seen["tidegate"], seen["nginx"])]
    middle, low, high = interval(ratios)
    lines = [f"### {workload.name}: {workload.title}", "",
             f"| | {workload.cost} (min–max) | {workload.rate} | {workload.memory} | errors |", "|---|---|---|---|---|"]
    for contender, rounds in seen.items():
        rate = statistics.median(one["rate"] for one in rounds)
        lines.append(f"| {contender} | {spread([one['cost'] for one in rounds])} | {rate:.0f} "
                     f"| {statistics.median(one['mib'] for one in rounds):.1f} | {sum(one['errors'] for one in rounds)} |")
    guard = f"guard {workload.guard}" if workload.guard else "no guard"
    lines += ["", f"Tidegate / nginx: **{middle:.2f}** (95 % interval {low:.2f}–{high:.2f}, {len(ratios)} pairs; {guard})", ""]
    print("\n".join(lines), flush=True)
    errors = sum(one["errors"] for rounds in seen.values() for one in rounds)
    within = workload.guard is None or low <= workload.guard
    return {"ratio": middle, "low": low, "high": high, "rounds": seen, "passed": within and errors == 0}
