# %% right: rows moved back
def shared(W):
    kernel = np.mean([np.roll(row, -i) for i, row in enumerate(W)], axis=0)
    return np.stack([np.roll(kernel, i) for i in range(len(W))])


# %% right: the mean over all shifts of the ring
def shared(W):
    n = len(W)
    return sum(np.roll(W, (by, by), (0, 1)) for by in range(n)) / n


# %% wrong: no ring -> offsets go around the ring: j - i modulo n
def shared(W):
    n = len(W)
    i, j = np.indices(W.shape)
    means = {offset: W[j - i == offset].mean() for offset in range(1 - n, n)}
    return np.array([[means[b - a] for b in range(n)] for a in range(n)])


# %% wrong: the other diagonals -> offsets j - i, not sums i + j
def shared(W):
    n = len(W)
    kernel = np.mean([np.roll(row, i) for i, row in enumerate(W)], axis=0)
    return np.stack([np.roll(kernel, -i) for i in range(n)])


# %% wrong: all alike -> a mean over offsets, not over all of W
def shared(W):
    return np.full(W.shape, W.mean())


# %% wrong: sums -> means, not sums
def shared(W):
    kernel = np.sum([np.roll(row, -i) for i, row in enumerate(W)], axis=0)
    return np.stack([np.roll(kernel, i) for i in range(len(W))])
