"""Does the trials of a search as Ray tasks: one JSON line each, on stdout, in order of their index.

    python ray_search.py --larun larun --data curves.npz --device nano33ble --seed 7 --trials 100 > trials.jsonl
"""

import argparse
import subprocess
import sys

import ray


@ray.remote(num_cpus=1)
def trial(command, index):
    """One trial, by the program on the machine that Ray chose."""
    done = subprocess.run([*command, "--index", str(index)], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"trial {index}: {done.stderr.strip()}")
    return done.stdout


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--larun", default="larun", help="the larun program")
    arguments.add_argument("--data", required=True, help="labelled samples, .npz")
    arguments.add_argument("--device", required=True, help="the board")
    arguments.add_argument("--seed", type=int, default=0)
    arguments.add_argument("--epochs", type=int, default=5)
    arguments.add_argument("--trials", type=int, default=100)
    given = arguments.parse_args()
    command = [given.larun, "search", "trial", "--data", given.data, "--device", given.device,
               "--seed", str(given.seed), "--epochs", str(given.epochs), "--threads", "1"]
    ray.init(log_to_driver=False, include_dashboard=False)
    for line in ray.get([trial.remote(command, index) for index in range(given.trials)]):
        sys.stdout.write(line)


if __name__ == "__main__":
    main()
