# %% right: solved for the batch, with the balance
def turning_batch(n, weights, kappa, r, peak, bandwidth):
    balance = peak / bandwidth
    room = weights + (r - balance) * kappa * n
    return balance * weights / room if room > 0 else float("inf")


# %% right: by halving an interval
def turning_batch(n, weights, kappa, r, peak, bandwidth):
    def computes_longer(S):
        computing = S * (2 * weights + 2 * r * kappa * n) / peak
        return computing >= 2 * (weights + S * kappa * n) / bandwidth

    low, high = 0.0, 1e9
    if not computes_longer(high):
        return np.inf
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (low, middle) if computes_longer(middle) else (middle, high)
    return high


# %% wrong: one query head for each number -> r query heads use each number
def turning_batch(n, weights, kappa, r, peak, bandwidth):
    computing, reading = (2 * weights + 2 * kappa * n) / peak, 2 * kappa * n / bandwidth
    return 2 * weights / bandwidth / (computing - reading) if computing > reading else np.inf


# %% wrong: one byte a number -> each number has two bytes
def turning_batch(n, weights, kappa, r, peak, bandwidth):
    computing, reading = (2 * weights + 2 * r * kappa * n) / peak, kappa * n / bandwidth
    return weights / bandwidth / (computing - reading) if computing > reading else np.inf


# %% wrong: without a cache -> that is without a cache
def turning_batch(n, weights, kappa, r, peak, bandwidth):
    return peak / bandwidth


# %% wrong: a batch that is negative -> No batch is large enough at 4096, not -
def turning_batch(n, weights, kappa, r, peak, bandwidth):
    computing, reading = (2 * weights + 2 * r * kappa * n) / peak, 2 * kappa * n / bandwidth
    return 2 * weights / bandwidth / (computing - reading)


# %% wrong: the cache is computed with and never read -> is right
def turning_batch(n, weights, kappa, r, peak, bandwidth):
    return 2 * weights / bandwidth / ((2 * weights + 2 * r * kappa * n) / peak)


# %% wrong: weights are read for each sequence -> is right
def turning_batch(n, weights, kappa, r, peak, bandwidth):
    computing = (2 * weights + 2 * r * kappa * n) / peak
    return 1.0 if computing >= 2 * (weights + kappa * n) / bandwidth else np.inf


# %% wrong: a whole number of sequences -> is right
def turning_batch(n, weights, kappa, r, peak, bandwidth):
    computing, reading = (2 * weights + 2 * r * kappa * n) / peak, 2 * kappa * n / bandwidth
    found = 2 * weights / bandwidth / (computing - reading) if computing > reading else np.inf
    return np.ceil(found)
