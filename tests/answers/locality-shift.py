# %% right: by the places of a window
def never(M, shifts):
    def border(place, shift):
        return (place + 1 - shift) % M == 0

    apart = [all(border(x, s) or border(y, s) for s in shifts) for x in range(M) for y in range(M)]
    return sum(apart) / M**2


# %% right: by how many kinds of borders there are
def never(M, shifts):
    kinds = len({shift % M for shift in shifts})
    return {1: (2 * M - 1) / M**2, 2: 2 / M**2}.get(kinds, 0)


# %% wrong: one of two cases -> both cases: the first layer's across, or down
def never(M, shifts):
    kinds = len({shift % M for shift in shifts})
    return {1: (2 * M - 1) / M**2, 2: 2 / M**2}.get(kinds, 0) / 2


# %% wrong: where two borders cross -> no border along one axis is enough to be kept apart
def never(M, shifts):
    return 1 / M**2


# %% wrong: any border -> each layer has one of its borders there
def never(M, shifts):
    return (len({shift % M for shift in shifts}) / M) ** 2


# %% wrong: as many kinds as layers -> equal shifts have the same borders
def never(M, shifts):
    return {1: (2 * M - 1) / M**2, 2: 2 / M**2}.get(len(shifts), 0)


# %% wrong: the others -> that is the share of pixels that do meet
def never(M, shifts):
    kinds = len({shift % M for shift in shifts})
    return 1 - {1: (2 * M - 1) / M**2, 2: 2 / M**2}.get(kinds, 0)
