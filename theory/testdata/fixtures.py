"""Writes fixtures.json: the constructions once more, with full matrices and Python's floats, to hold the Go against.

    python3 fixtures.py > fixtures.json

A layer is heads (Q, K, V, O) and (W1, b1, W2, b2), every matrix a list of rows:

    y_i = x_i + sum over heads of O sum_{j<=i} softmax_j(<Q x_i, K x_j>) V x_j,    z = y + W2 relu(W1 y + b1) + b2
"""
import itertools
import json
import math
import random

rng = random.Random(20)


def gauss(rows, cols, std):
    return [[round(rng.gauss(0, std), 6) for _ in range(cols)] for _ in range(rows)]


def zeros(rows, cols):
    return [[0.0] * cols for _ in range(rows)]


def times(matrix, vector):
    return [sum(w * v for w, v in zip(row, vector)) for row in matrix]


def plus(a, b):
    return [s + t for s, t in zip(a, b)]


def softmax(scores):
    e = [math.exp(s - max(scores)) for s in scores]
    return [v / sum(e) for v in e]


def apply(layer, x):
    y = [list(row) for row in x]
    for q, k, v, o in layer["heads"]:
        queries, keys, values = [[times(m, row) for row in x] for m in (q, k, v)]
        for i in range(len(x)):
            p = softmax([sum(a * b for a, b in zip(queries[i], keys[j])) for j in range(i + 1)])
            mixed = [sum(p[j] * values[j][c] for j in range(i + 1)) for c in range(len(v))]
            y[i] = plus(y[i], times(o, mixed))
    w1, b1, w2, b2 = layer["ff"]
    return [plus(plus(row, times(w2, [max(0.0, h) for h in plus(times(w1, row), b1)])), b2) for row in y]


def trace(layers, schedule, x):
    states = []
    for r in schedule:
        x = apply(layers[r], x)
        states.append(x)
    return states


def random_layer(d, heads, w, hidden):
    return {
        "heads": [(gauss(w, d, 0.5), gauss(w, d, 0.5), gauss(w, d, 0.5), gauss(d, w, 0.4)) for _ in range(heads)],
        "ff": (gauss(hidden, d, 0.5), gauss(1, hidden, 0.3)[0], gauss(d, hidden, 0.3), gauss(1, d, 0.2)[0]),
    }


class Builder:
    """A layer of width d that grows entry by entry; a vector is {coordinate: weight}."""

    def __init__(self, d):
        self.d, self.heads, self.units, self.bias = d, [], [], [0.0] * d

    def row(self, vector):
        return [float(vector.get(j, 0.0)) for j in range(self.d)]

    def head(self, query, key, value, out):
        columns = [self.row(v) for v in out]
        o = [[c[j] for c in columns] for j in range(self.d)]
        self.heads.append(([self.row(v) for v in query], [self.row(v) for v in key], [self.row(v) for v in value], o))

    def unit(self, vector, bias, out):
        self.units.append((self.row(vector), float(bias), self.row(out)))

    def clear(self, coordinate):
        self.unit({coordinate: 1}, 0, {coordinate: -1})
        self.unit({coordinate: -1}, 0, {coordinate: 1})

    def layer(self):
        units = self.units or [([0.0] * self.d, 0.0, [0.0] * self.d)]
        w2 = [[u[2][j] for u in units] for j in range(self.d)]
        return {"heads": self.heads, "ff": ([u[0] for u in units], [u[1] for u in units], w2, self.bias)}


def looped():
    """R layers on a schedule as one layer: state x | gate | loop | start."""
    d, R, n, schedule, big = 4, 3, 4, [0, 2, 1, 1, 2, 0], 1e4
    layers = [random_layer(d, 2, 2, 5) for _ in range(R)]
    x = gauss(n, d, 1)
    g, ell, start = d, d + R, d + R + 1
    b = Builder(d + R + 2)
    for r, layer in enumerate(layers):
        for q, k, v, o in layer["heads"]:
            rows = lambda m: [dict(enumerate(row)) for row in m]
            # 1 while the layer waits, -1 in its turn: the gate sums to R - 1
            turn = {g + j: (2.0 if j == r else 0.0) - 1 / (R - 1) for j in range(R)}
            out = [{j: o[j][c] for j in range(d)} for c in range(len(v))]
            b.head(rows(q) + [turn], rows(k) + [{start: big}], rows(v), out)
        w1, b1, w2, b2 = layer["ff"]
        for h in range(len(w1)):
            b.unit({**dict(enumerate(w1[h])), g + r: -big, start: -big}, b1[h], {j: w2[j][h] for j in range(d)})
        b.unit({g + r: -1, start: -1}, 1, dict(enumerate(b2)))
    after = schedule[1:] + schedule[:1]
    for i in range(-1, len(schedule) + 1):  # relu(loop - i)
        move = [0.0] * R
        for at, weight in ((i + 1, 1), (i, -2), (i - 1, 1)):
            if 0 <= at < len(schedule):
                move[schedule[at]] += weight
                move[after[at]] -= weight
        b.unit({ell: 1}, -i, {g + r: m for r, m in enumerate(move)})
    b.bias[ell] = 1.0
    gate = [0.0 if r == schedule[0] else 1.0 for r in range(R)]
    y = [[0.0] * d + gate + [0.0, 1.0]] + [row + gate + [0.0, 0.0] for row in x]
    plain = trace(layers, schedule, x)
    return {"layers": layers, "schedule": schedule, "x": x, "input": y, "states": trace([b.layer()], [0] * len(schedule), y), "output": plain[-1]}


def code(number, bits):
    return [1.0 if number >> t & 1 else -1.0 for t in range(bits)]


def group():
    """n elements of S3: state g | own | left | right | a | b."""
    elements = list(itertools.permutations(range(3)))
    index = {e: i for i, e in enumerate(elements)}
    table = [[index[tuple(b[a[t]] for t in range(3))] for b in elements] for a in elements]  # first a, then b
    n, m, s, heat = 5, 3, 3, 200.0
    own, left, right, a, bb = m, m + s, m + 2 * s, m + 3 * s, 2 * m + 3 * s
    b = Builder(3 * m + 3 * s)
    span = lambda at, count: [{at + t: 1.0} for t in range(count)]
    for target, to in ((left, a), (right, bb)):
        b.head([{target + t: heat} for t in range(s)], span(own, s), span(0, m), span(to, m))
    for h in range(6):
        for k in range(6):
            vector = {a + t: v for t, v in enumerate(code(h, m))} | {bb + t: v for t, v in enumerate(code(k, m))}
            b.unit(vector, 1 - 2 * m, dict(enumerate(code(table[h][k], m))))
    for at in (0, a, bb):
        for t in range(m):
            b.clear(at + t)
    word = [rng.randrange(6) for _ in range(n)]
    x = []
    for i in range(n + 1):
        element = word[i - 1] if i else 0
        x.append(code(element, m) + code(i, s) + code(max(2 * i - n - 1, 0), s) + code(max(2 * i - n, 0), s) + [0.0] * (2 * m))
    return {"table": table, "word": word, "input": x, "states": trace([b.layer()], [0] * 3, x)}


def hops():
    """p-hop, before it is looped: state letter | pos pos2 first | prev | u v answer | u2 v2 answer2 | one."""
    S, n, p, beta = 3, 12, 6, 50.0
    pos, pos2, first, prev, u, v, ans = S, S + 1, S + 2, S + 3, 2 * S + 3, 2 * S + 4, 2 * S + 5
    one, d = 4 * S + 7, 4 * S + 8
    span = lambda at, count: [{at + t: 1.0} for t in range(count)]
    previous, induct = Builder(d), Builder(d)
    previous.head([{pos: 2 * beta, one: -2 * beta}, {one: -beta}], [{pos: 1}, {pos2: 1}], span(0, S), span(prev, S))
    high = beta * (n + 3)
    induct.head([{t: high} for t in range(S)] + [{one: 1}], span(prev, S) + [{pos: beta, first: high}],
                [{pos: 1}] + span(0, S), [{v: 1}] + span(ans, S))

    def double(pointer):
        b = Builder(d)
        b.head([{pointer: 2 * beta}, {one: -beta}], [{pos: 1}, {pos2: 1}], span(u, 2 + S), span(u + 2 + S, 2 + S))
        for t in range(u, u + 2 + S):
            b.unit({t: 1}, 0, {t: -1})
            b.unit({t + 2 + S: 1}, 0, {t: 1, t + 2 + S: -1})
        return b.layer()

    bits = [p - 1 >> t & 1 for t in reversed(range(math.ceil(math.log2(p))))]
    layers = [previous.layer(), induct.layer(), double(u), double(v)]
    letters = [rng.randrange(S)]
    while len(letters) < n:
        letters.append((letters[-1] + rng.randrange(1, S)) % S)
    x = []
    for i in range(n + 1):
        row = [0.0] * d
        if i:
            row[letters[i - 1]] = 1.0
        row[pos], row[pos2], row[first], row[u], row[one] = float(i), float(i * i), float(i == 0), float(i), 1.0
        x.append(row)
    # find_p by its definition, with positions from 1
    found = []
    for i in range(1, n + 1):
        for _ in range(p):
            i = max([0] + [j for j in range(2, i + 1) if letters[j - 2] == letters[i - 1]])
        found.append(i)
    return {"letters": letters, "p": p, "input": x, "states": trace(layers, [0, 1] + [2 + b for b in bits], x), "found": found}


def thought():
    """Chain of thought: state h | E | P | pos pos2 u t one | S | G | N | M."""
    d, V, n, m, sharp, beta = 3, 4, 3, 4, 1e6, 200.0
    base = [random_layer(d, 2, 2, 5) for _ in range(2)]
    tokens, positions, head = gauss(V, d, 1), gauss(n + m, d, 0.7), gauss(V, d, 1)
    prompt = [rng.randrange(V) for _ in range(n)]
    decoded, gap = list(prompt), math.inf
    for _ in range(m):
        x = [plus(tokens[t], positions[i]) for i, t in enumerate(decoded)]
        logits = times(head, trace(base, [0, 1], x)[-1][-1])
        order = sorted(range(V), key=lambda c: -logits[c])
        gap = min(gap, logits[order[0]] - logits[order[1]])
        decoded.append(order[0])
    E, P = d, d + V
    pos = 2 * d + V
    pos2, u, t, one, S = pos + 1, pos + 2, pos + 3, pos + 4, pos + 5
    G, N, M = S + V, S + 2 * V, S + 3 * V
    D = M + 1
    embed, score, choose, shift = Builder(D), Builder(D), Builder(D), Builder(D)
    for c in range(V):
        embed.unit({E + c: 1}, 0, dict(enumerate(tokens[c])))
        for k in range(V):
            if k != c:
                score.unit({j: head[k][j] - head[c][j] for j in range(d)}, 0, {S + c: 1})
        choose.unit({S + c: -sharp}, 1, {G + c: 1})
        choose.unit({S + c: 1}, 0, {S + c: -1})
        shift.unit({N + c: 1, M: 1}, -1, {E + c: 1})
        shift.unit({E + c: 1, M: 1}, -1, {E + c: -1})
        shift.unit({G + c: 1}, 0, {G + c: -1})
        shift.unit({N + c: 1}, 0, {N + c: -1})
    for j in range(d):
        embed.unit({P + j: 1}, 0, {j: 1})
        embed.unit({P + j: -1}, 0, {j: -1})
        shift.clear(j)
    choose.unit({u: 1, t: -1}, 1, {M: 1})
    choose.unit({u: 1, t: -1}, 0, {M: -1})
    shift.unit({M: 1}, 0, {M: -1})
    shift.bias[t] = 1.0
    span = lambda at, count: [{at + c: 1.0} for c in range(count)]
    shift.head([{pos: 2 * beta, one: -2 * beta}, {one: -beta}], [{pos: 1}, {pos2: 1}], span(G, V), span(N, V))

    def widen(layer):
        b = Builder(D)
        for q, k, v, o in layer["heads"]:
            rows = lambda matrix: [dict(enumerate(row)) for row in matrix]
            b.head(rows(q), rows(k), rows(v), [{j: o[j][c] for j in range(d)} for c in range(len(v))])
        w1, b1, w2, b2 = layer["ff"]
        for h in range(len(w1)):
            b.unit(dict(enumerate(w1[h])), b1[h], {j: w2[j][h] for j in range(d)})
        b.bias[:d] = b2
        return b.layer()

    block = [embed.layer()] + [widen(layer) for layer in base] + [score.layer(), choose.layer(), shift.layer()]
    x = []
    for i in range(n + m):
        row = [0.0] * D
        if i < n:
            row[E + prompt[i]] = 1.0
        row[P:P + d] = positions[i]
        row[pos], row[pos2], row[u], row[t], row[one] = i + 1.0, (i + 1.0) ** 2, i + 1.0 - n, 1.0, 1.0
        x.append(row)
    states = trace(block, list(range(len(block))) * m, x)[len(block) - 1::len(block)]
    return {"layers": base, "tokens": tokens, "positions": positions, "head": head, "prompt": prompt, "decoded": decoded, "gap": gap,
            "input": x, "states": states}


def compact(value):
    """Numbers that are whole are written so, which halves the file."""
    if isinstance(value, float):
        return int(value) if value == int(value) else value
    if isinstance(value, dict):
        return {k: compact(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [compact(v) for v in value]
    return value


print("{")
parts = {"looped": looped, "group": group, "hops": hops, "thought": thought}
for i, (name, make) in enumerate(parts.items()):
    print(json.dumps(name) + ": " + json.dumps(compact(make()), separators=(",", ":")) + ("," if i < len(parts) - 1 else ""))
print("}")
