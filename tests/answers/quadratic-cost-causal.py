# %% right: query by query
def causal_flops(n, d):
    return sum(4 * d * (i + 1) for i in range(n))


# %% right: half of the square and half of the diagonal
def causal_flops(n, d):
    return (4 * n * n * d + 4 * n * d) // 2


# %% right: two products, of so many pairs
def causal_flops(n, d):
    pairs = np.tri(n).sum()
    return 2 * pairs * d + 2 * pairs * d


# %% wrong: no mask -> that is every pair of a query and a key
def causal_flops(n, d):
    return 4 * n**2 * d


# %% wrong: half of the square -> half of all pairs is only half of the diagonal
def causal_flops(n, d):
    return 2 * n**2 * d


# %% wrong: a query does not see itself -> query i sees key i, too
def causal_flops(n, d):
    return sum(4 * d * i for i in range(n))


# %% wrong: one product -> two products, of two FLOPs a pair and dimension
def causal_flops(n, d):
    return n * (n + 1) * d


# %% wrong: of width 64 -> d is not always 64
def causal_flops(n, d):
    return 2 * n * (n + 1) * 64


# %% wrong: the softmax, too -> gave 1544725, and 1520960 is right
def causal_flops(n, d):
    return 2 * n * (n + 1) * d + 5 * n * (n + 1) // 2


# %% wrong: each head of a width of one -> gave 19012, and 1520960 is right
def causal_flops(n, d):
    return 2 * n * (n + 1)
