# %% right: the larger of the two first
def merge(one, other):
    if one[0] < other[0]:
        one, other = other, one
    top, total, mix = one
    if other[0] == -np.inf:
        return top, total, mix
    less = np.exp(other[0] - top)
    return [top, total + less * other[1], mix + less * other[2]]


# %% right: by logarithms of totals
def merge(one, other):
    top = np.maximum(one[0], other[0])
    scales = [np.exp(x[0] - top) if x[1] > 0 else 0.0 for x in (one, other)]
    total, mix = (sum(s * x[i] for s, x in zip(scales, (one, other))) for i in (1, 2))
    return top, total, mix


# %% wrong: no maximum at all -> gave
def merge(one, other):
    a, b = np.exp(one[0]), np.exp(other[0])
    total = a * one[1] + b * other[1]
    mix = a * one[2] + b * other[2]
    top = max(one[0], other[0])
    return top, total / np.exp(top), mix / np.exp(top)


# %% wrong: sums of pieces with different maxima -> bring both to one maximum first
def merge(one, other):
    return max(one[0], other[0]), one[1] + other[1], one[2] + other[2]


# %% wrong: the total is rescaled and not the mix -> in part 3 of what it returns
def merge(one, other):
    top = max(one[0], other[0])
    reference = top if np.isfinite(top) else 0.0
    a, b = np.exp(one[0] - reference), np.exp(other[0] - reference)
    return top, a * one[1] + b * other[1], one[2] + other[2]


# %% wrong: the smaller of both maxima -> in part 1 of what it returns
def merge(one, other):
    top = min(one[0], other[0])
    reference = top if np.isfinite(top) else 0.0
    a, b = np.exp(one[0] - reference), np.exp(other[0] - reference)
    return top, a * one[1] + b * other[1], a * one[2] + b * other[2]


# %% wrong: two machines without keys -> gave NaN, which is no number
def merge(one, other):
    top = max(one[0], other[0])
    a, b = np.exp(one[0] - top), np.exp(other[0] - top)
    return top, a * one[1] + b * other[1], a * one[2] + b * other[2]


# %% wrong: scales with the sign of the other -> in part 2 of what it returns
def merge(one, other):
    top = max(one[0], other[0])
    reference = top if np.isfinite(top) else 0.0
    a, b = np.exp(reference - one[0]), np.exp(reference - other[0])
    return top, a * one[1] + b * other[1], a * one[2] + b * other[2]


# %% wrong: the mix is divided already -> in part 3 of what it returns
def merge(one, other):
    top = max(one[0], other[0])
    reference = top if np.isfinite(top) else 0.0
    a, b = np.exp(one[0] - reference), np.exp(other[0] - reference)
    total = a * one[1] + b * other[1]
    return top, total, (a * one[2] + b * other[2]) / max(total, 1e-300)


# %% wrong: attention, and no piece that can be merged again -> should return 3 things
def merge(one, other):
    top = max(one[0], other[0])
    a, b = np.exp(one[0] - top), np.exp(other[0] - top)
    return (a * one[2] + b * other[2]) / (a * one[1] + b * other[1])


# %% wrong: one machine's mix is written over -> changes its argument 1 in place
def merge(one, other):
    top, total, mix = one
    mix += other[2]
    return top, total, mix
