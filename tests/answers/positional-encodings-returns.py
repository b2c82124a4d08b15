# %% right: a loop that remembers the nearest
def returns(frequencies, steps):
    found, nearest = [], np.inf
    for distance in range(1, steps + 1):
        apart = sum(np.sin(w * distance / 2) ** 2 for w in frequencies)
        if apart < nearest:
            nearest = apart
            found.append(distance)
    return found


# %% right: by the largest inner product
def returns(frequencies, steps):
    kernel = np.cos(np.outer(np.arange(1, steps + 1), frequencies)).sum(axis=1)
    before = np.concatenate([[-np.inf], np.maximum.accumulate(kernel)[:-1]])
    return np.flatnonzero(kernel > before) + 1


# %% right: points of the plane
def returns(frequencies, steps):
    t = np.arange(steps + 1)
    hands = np.exp(1j * np.outer(t, frequencies))
    apart = np.linalg.norm(hands[1:] - 1, axis=1)
    return [d + 1 for d in range(steps) if d == 0 or apart[d] < apart[:d].min()]


# %% wrong: the sine of the whole angle -> 2|sin(ωΔ/2)| apart
def returns(frequencies, steps):
    distance = np.arange(1, steps + 1)
    apart = (np.sin(np.outer(distance, frequencies)) ** 2).sum(axis=1)
    nearer = np.append(True, apart[1:] < np.minimum.accumulate(apart)[:-1])
    return distance[nearer].tolist()


# %% wrong: one step too few -> the last step counts, too
def returns(frequencies, steps):
    distance = np.arange(1, steps)
    apart = (np.sin(np.outer(distance, frequencies) / 2) ** 2).sum(axis=1)
    nearer = np.append(True, apart[1:] < np.minimum.accumulate(apart)[:-1])
    return distance[nearer].tolist()


# %% wrong: not the first distance -> nothing comes before the distance 1
def returns(frequencies, steps):
    distance = np.arange(1, steps + 1)
    apart = (np.sin(np.outer(distance, frequencies) / 2) ** 2).sum(axis=1)
    return distance[1:][apart[1:] < np.minimum.accumulate(apart)[:-1]].tolist()


# %% wrong: distances added up, not squares -> squares add up, not distances
def returns(frequencies, steps):
    distance = np.arange(1, steps + 1)
    apart = np.abs(np.sin(np.outer(distance, frequencies) / 2)).sum(axis=1)
    nearer = np.append(True, apart[1:] < np.minimum.accumulate(apart)[:-1])
    return distance[nearer].tolist()


# %% wrong: the frequency that is furthest off -> returns([0.3, 1.0], 400) should return 5 numbers in a row, and returned 6
def returns(frequencies, steps):
    distance = np.arange(1, steps + 1)
    apart = np.abs(np.sin(np.outer(distance, frequencies) / 2)).max(axis=1)
    nearer = np.append(True, apart[1:] < np.minimum.accumulate(apart)[:-1])
    return distance[nearer].tolist()


# %% wrong: nearer than the one before -> should return 7 numbers in a row
def returns(frequencies, steps):
    distance = np.arange(1, steps + 1)
    apart = (np.sin(np.outer(distance, frequencies) / 2) ** 2).sum(axis=1)
    return distance[np.append(True, apart[1:] < apart[:-1])].tolist()


# %% wrong: how near they are, and not where -> gave 0.958851 where 1 is right
def returns(frequencies, steps):
    distance = np.arange(1, steps + 1)
    apart = 2 * np.sqrt((np.sin(np.outer(distance, frequencies) / 2) ** 2).sum(axis=1))
    nearer = np.append(True, apart[1:] < np.minimum.accumulate(apart)[:-1])
    return apart[nearer].tolist()


# %% wrong: zero is the nearest of all -> should return 7 numbers in a row
def returns(frequencies, steps):
    distance = np.arange(steps + 1)
    apart = (np.sin(np.outer(distance, frequencies) / 2) ** 2).sum(axis=1)
    nearer = np.append(True, apart[1:] < np.minimum.accumulate(apart)[:-1])
    return distance[nearer].tolist()
