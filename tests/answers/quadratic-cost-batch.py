# %% right: both are linear in the batch
def turning_batch(n, kappa, weights, r, peak, bandwidth):
    computing = (2 * weights + 2 * r * kappa * n) / peak
    reading = 2 * kappa * n / bandwidth
    if computing <= reading:
        return np.inf
    return weights / bandwidth / (computing - reading)


# %% right: by the balance of the accelerator, and a number from NumPy
def turning_batch(n, kappa, weights, r, peak, bandwidth):
    balance = peak / bandwidth
    last = weights / (kappa * (balance - r))
    return np.float64(balance / 2 / (1 - n / last)) if n < last else float("inf")


# %% wrong: no cache is read -> the cache has to be read, too
def turning_batch(n, kappa, weights, r, peak, bandwidth):
    return weights / bandwidth / ((2 * weights + 2 * r * kappa * n) / peak)


# %% wrong: no attention is computed -> the queries compute with the cache, too
def turning_batch(n, kappa, weights, r, peak, bandwidth):
    return weights / bandwidth / (2 * weights / peak - 2 * kappa * n / bandwidth)


# %% wrong: no case for long contexts -> a negative batch is none
def turning_batch(n, kappa, weights, r, peak, bandwidth):
    computing = (2 * weights + 2 * r * kappa * n) / peak
    return weights / bandwidth / (computing - 2 * kappa * n / bandwidth)


# %% wrong: one cache for the whole batch -> each reads a cache of its own
def turning_batch(n, kappa, weights, r, peak, bandwidth):
    reading = (weights + 2 * kappa * n) / bandwidth
    return reading / ((2 * weights + 2 * r * kappa * n) / peak)


# %% wrong: the weights alone -> no cache is in it
def turning_batch(n, kappa, weights, r, peak, bandwidth):
    return peak / bandwidth / 2


# %% wrong: the formula of the page, with two bytes a number -> a weight has one byte
def turning_batch(n, kappa, weights, r, peak, bandwidth):
    computing = (2 * weights + 2 * r * kappa * n) / peak
    reading = 2 * kappa * n / bandwidth
    return 2 * weights / bandwidth / (computing - reading) if computing > reading else np.inf
