# %% right: as derived
def tokens(d, k):
    return max(0, (k * k - 3 * d) / 2)


# %% right: by the difference for one token
def tokens(d, k):
    per_token = 2 * (k * k + d) * d - 8 * d * d
    return max(0.0, per_token / (4 * d))


# %% wrong: dense -> that is where a dense convolution costs as much
def tokens(d, k):
    return d * (k * k - 4) / 2


# %% wrong: negative -> a negative length means that attention always costs more
def tokens(d, k):
    return (k * k - 3 * d) / 2


# %% wrong: two projections -> attention has four projections
def tokens(d, k):
    return max(0, (k * k - d) / 2)


# %% wrong: one product -> scores and values are two products
def tokens(d, k):
    return max(0, k * k - 3 * d)
