"""The table of memory plans in docs/memory.md: every model that the interpreter loads.

usage: plan_table.py LARUN FOLDER

LARUN is the built command. Prints a line in Markdown for each `.tflite` file below FOLDER: the greedy planner's peak, the lower bound, the
optimal planner's peak and whether it is proved, the same with operators reordered and results computed in place, and milliseconds.
"""

import json
import subprocess
import sys
from pathlib import Path


def plan(larun, model, *options):
    done = subprocess.run([larun, "plan", "--json", str(model), *options], capture_output=True, text=True)
    return json.loads(done.stdout) if done.returncode == 0 else None


def main():
    larun, folder = sys.argv[1], Path(sys.argv[2])
    print("| model | greedy, as TFLM | lower bound | optimal | proved | ms | reordered, in place | proved |")
    print("|---|---|---|---|---|---|---|---|")
    for model in sorted(folder.rglob("*.tflite")):
        title = str(model.relative_to(folder).with_suffix("")).removesuffix("/model")
        greedy = plan(larun, model)
        if greedy is None:
            print(f"{title}: the interpreter does not load it", file=sys.stderr)
            continue
        best = plan(larun, model, "--planner", "optimal")
        less = plan(larun, model, "--planner", "optimal", "--in-place", "--reorder")
        proved = [("yes" if report["optimal"] else "no") for report in (best, less)]
        bytes_ = [f"{n:,}" for n in (greedy["peak_bytes"], best["lower_bound_bytes"], best["peak_bytes"], less["peak_bytes"])]
        ms = f"{best['planning_ms']:.1f}"
        print(f"| {title} | {bytes_[0]} | {bytes_[1]} | {bytes_[2]} | {proved[0]} | {ms} | {bytes_[3]} | {proved[1]} |")


if len(sys.argv) == 3:
    main()
else:
    sys.exit(__doc__)
