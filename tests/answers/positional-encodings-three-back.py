# %% right: logarithms of factorials
from math import exp, lgamma


def chance(distance, back, n, N):
    def choose(a, b):
        return lgamma(a + 1) - lgamma(b + 1) - lgamma(a - b + 1)

    if distance < back or N - distance < n - back:
        return 0.0
    return exp(choose(distance - 1, back - 1) + choose(N - distance, n - back) - choose(N, n))


# %% right: position by position
def chance(distance, back, n, N):
    """Walk from one token; the next position is taken with a chance that the rest decides."""
    spread = {0: 1.0}  # tokens met so far -> how likely
    for position in range(1, distance + 1):
        later = {}
        for met, how in spread.items():
            if position == distance and met != back - 1:
                continue
            take = (n - met) / (N - position + 1)
            if position == distance:
                return how * max(take, 0.0)
            if met < back - 1:
                later[met + 1] = later.get(met + 1, 0.0) + how * take
            later[met] = later.get(met, 0.0) + how * (1 - take)
        spread = later
    return 0.0


# %% wrong: given that some token lies there -> that supposes a token there
def chance(distance, back, n, N):
    def at(r):
        if r < 1 or r > n - 1 or distance < r:
            return 0.0
        return comb(distance - 1, r - 1) * comb(N - distance, n - r) / comb(N, n)

    whole = sum(at(r) for r in range(1, n))
    return at(back) / whole if whole else 0.0


# %% wrong: any token -> that is for any token, not for this one
def chance(distance, back, n, N):
    return sum(
        comb(distance - 1, r - 1) * comb(N - distance, n - r) / comb(N, n) for r in range(1, n)
    )


# %% wrong: one position too many in between -> is right
def chance(distance, back, n, N):
    return comb(distance, back - 1) * comb(N - distance, n - back) / comb(N, n)


# %% wrong: what is beyond does not count -> is right
def chance(distance, back, n, N):
    return comb(distance - 1, back - 1) / comb(N - 1, n - 1)


# %% wrong: tokens that fall independently -> is right
def chance(distance, back, n, N):
    p = n / N
    return comb(distance - 1, back - 1) * p**back * (1 - p) ** (distance - back)


# %% wrong: all distances alike -> is right
def chance(distance, back, n, N):
    return 1 / (N - 1)


# %% wrong: the mean distance, always -> is right
def chance(distance, back, n, N):
    return float(distance == round(back * (N + 1) / (n + 1)))


# %% wrong: gaps between the ends are fixed -> is right
def chance(distance, back, n, N):
    if distance < back or N - 1 - distance < n - 1 - back:
        return 0.0
    return comb(distance - 1, back - 1) * comb(N - 1 - distance, n - 1 - back) / comb(N, n)


# %% wrong: tables for small texts -> Of 32 in 256, they add up to 0
def chance(distance, back, n, N):
    if n > 9:
        return 0.0
    return comb(distance - 1, back - 1) * comb(N - distance, n - back) / comb(N, n)
