# %% right: a product
def weights(n, taps, local, shared):
    return (taps if local else n) * (1 if shared else n)


# %% right: case by case
def weights(n, taps, local, shared):
    if shared:
        return taps if local else n
    return n * taps if local else n**2


# %% wrong: never local -> a local place sees its taps
def weights(n, taps, local, shared):
    return n if shared else n * n


# %% wrong: never shared -> what is shared is counted once
def weights(n, taps, local, shared):
    return (taps if local else n) * n


# %% wrong: taps for places -> one kernel for each place, not for each tap
def weights(n, taps, local, shared):
    return taps * taps


# %% wrong: local, whatever was asked -> a place that is not local sees all
def weights(n, taps, local, shared):
    return taps if shared else n * taps
