"""Strings for tests, the same in Python and in Go (samples_test.go): random ones, from pools of what is hard for a tokenizer."""

import json
import os

MASK = (1 << 64) - 1
POOLS = json.load(open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "pools.json")))


def splitmix(state):
    """The generator SplitMix64: the state is a list of one number."""
    state[0] = (state[0] + 0x9E3779B97F4A7C15) & MASK
    z = state[0]
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
    return z ^ (z >> 31)


def element(r, pool):
    """One of the texts or characters of a pool."""
    if "texts" in pool:
        return pool["texts"][r % len(pool["texts"])]
    first, last = pool["ranges"][r % len(pool["ranges"])]
    return chr(first + (r >> 16) % (last - first + 1))


def string(index):
    """The string with an index: up to 24 elements, of up to three pools, some repeated."""
    state = [index]
    r = splitmix(state)
    pools = [POOLS[(r >> s) % len(POOLS)] for s in (0, 16, 32)]
    parts = []
    for _ in range((r >> 48) % 25):
        r = splitmix(state)
        e = element(r >> 8, pools[r % 3])
        parts.append(e * (1 + (r >> 56) % 5) if (r >> 4) % 8 == 0 else e)
    return "".join(parts)
