# %% right: the last output, layer by layer back
def parts(n, layers):
    found = np.zeros(n)
    found[-1] = 1.0
    for _ in range(layers):
        shared = found / np.arange(1, n + 1)
        found = shared[::-1].cumsum()[::-1]
    return found


# %% right: a product with a loop, as lists
def parts(n, layers):
    means = [[1 / (i + 1) if j <= i else 0.0 for j in range(n)] for i in range(n)]
    found = np.eye(n)
    for _ in range(layers):
        found = found @ np.array(means)
    return list(found[n - 1])


# %% wrong: one layer more -> that is one layer too many
def parts(n, layers):
    means = np.tril(np.ones((n, n))) / np.arange(1, n + 1)[:, None]
    return np.linalg.matrix_power(means, layers + 1)[-1]


# %% wrong: a column and not a row -> the first token's parts in all outputs
def parts(n, layers):
    means = np.tril(np.ones((n, n))) / np.arange(1, n + 1)[:, None]
    return np.linalg.matrix_power(means, layers)[:, 0]


# %% wrong: the first output -> the first output, which sees only itself
def parts(n, layers):
    means = np.tril(np.ones((n, n))) / np.arange(1, n + 1)[:, None]
    return np.linalg.matrix_power(means, layers)[0]


# %% wrong: entries to a power, and not the matrix -> parts(2, 0) gave 1 where 0 is right
def parts(n, layers):
    means = np.tril(np.ones((n, n))) / np.arange(1, n + 1)[:, None]
    return means[-1] ** layers


# %% wrong: every token alike -> gave 0.5 where 0 is right
def parts(n, layers):
    return np.full(n, 1 / n)


# %% wrong: columns that add up to one -> parts(2, 1) gave
def parts(n, layers):
    means = np.tril(np.ones((n, n)))
    return np.linalg.matrix_power(means / means.sum(axis=0), layers)[-1]


# %% wrong: a layer adds its output to its input -> parts(2, 1) gave
def parts(n, layers):
    means = np.tril(np.ones((n, n))) / np.arange(1, n + 1)[:, None]
    return np.linalg.matrix_power((means + np.eye(n)) / 2, layers)[-1]


# %% wrong: two layers in closed form, for any number -> parts(2, 0) gave
def parts(n, layers):
    return np.cumsum(1 / np.arange(n, 0, -1))[::-1] / n


# %% wrong: the whole matrix -> should return 1 numbers in a row, and returned an array of shape (1, 1)
def parts(n, layers):
    means = np.tril(np.ones((n, n))) / np.arange(1, n + 1)[:, None]
    return np.linalg.matrix_power(means, layers)
