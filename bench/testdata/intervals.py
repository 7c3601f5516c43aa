"""Writes intervals.json, against which the intervals of package bench are held: python3 intervals.py > intervals.json, with scipy 1.17.

The interval of a median is scipy's quantile_test. The interval of a ratio is found from scipy's exact Mann-Whitney test alone:
from the ratios that the test does not reject, between which lie the places where its p-value crosses 1 %."""
import json
import random

import numpy
from scipy.stats import mannwhitneyu, quantile_test

random.seed(5)


def sample(n, center):
    return [round(center * random.lognormvariate(0, 0.05), 5) for _ in range(n)]


medians = []
for n in (5, 6, 8, 9, 15, 16, 40, 100):
    x = sample(n, 3)
    i = quantile_test(x, q=numpy.median(x), p=0.5).confidence_interval(confidence_level=0.95)
    medians.append({"x": x, "median": float(numpy.median(x)), "interval": None if numpy.isnan(i.low) or numpy.isnan(i.high) else [float(i.low), float(i.high)]})

ratios = []
for m, n, by in ((4, 4, 1), (5, 5, 1), (5, 5, 1.5), (6, 15, 1.02), (15, 15, 1), (15, 15, 1.1), (15, 12, 0.9), (40, 40, 1.01)):
    old, new = sample(m, 7), sample(n, 7 * by)
    steps = numpy.sort(numpy.divide.outer(new, old).ravel())

    def p(r):
        return mannwhitneyu(new, numpy.multiply(old, r), method="exact").pvalue

    # The p-value changes at ratios of pairs only: it is read between neighbours.
    between = (steps[:-1] + steps[1:]) / 2
    kept = [i for i, r in enumerate(between) if p(r) > 0.01]
    outside = p(steps[0] / 2) > 0.01  # nothing is rejected: there is no interval
    ratios.append({"old": old, "new": new, "estimate": float(numpy.median(steps)),
                   "interval": None if outside else [float(steps[kept[0]]), float(steps[kept[-1] + 1])]})

print(json.dumps({"medians": medians, "ratios": ratios}, indent=1))
