"""Made-up runs of the experiment on cures of rotary models."""

from attention_limits.experiments import cures
from attention_limits.runs import records

PROVENANCE = {"date": "2000-01-01T00:00:00", "threads": 1, "device": "an abacus", "torch": "0"}
LENGTHS = (32, 64, 256)


def made_run(accuracy, seeds=(0, 1)):
    """Each row is as accurate as ``accuracy(task, trained, cure, n)`` says, each seed .01 more."""
    config = {
        "settings": list(cures.SETTINGS),
        "trained": list(cures.FREQUENCIES),
        "cures": list(cures.CURES),
        "lengths": list(LENGTHS),
        "seeds": list(seeds),
    }
    rows = [
        {
            "task": task,
            "trained": trained,
            "cure": cure,
            "n": n,
            "seed": seed,
            "accuracy": accuracy(task, trained, cure, n) + 0.01 * seed,
        }
        for trained, cure in cures.pairs(config)
        for task in config["settings"]
        for n in LENGTHS
        for seed in seeds
        if n > 32 or cure == cures.NOTHING
    ]
    return records.Run("cures", config, PROVENANCE, rows)


def as_theory_says(task, trained, cure, n):
    """What is carried is right, all that is not is a guess."""
    theory = cures.expected(*cures.turned(trained, cure, n), n)
    return 0.9 if n == 32 or theory.carried[task] else 0.06
