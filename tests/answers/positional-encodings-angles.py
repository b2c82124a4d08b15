# %% right: pair by pair
def overshoot(before, after, context, factor):
    found = []
    for old, new in zip(before, after):
        shown, met = old * context, new * context * factor
        found.append(1.0 if shown >= 2 * np.pi or met < shown else met / shown)
    return found


# %% right: with a mask
def overshoot(before, after, context, factor):
    ratio = np.clip(factor * np.asarray(after) / before, 1, None)
    ratio[2 * np.pi / before <= context] = 1
    return ratio


# %% wrong: whole turns forgotten -> after a whole turn no angle is new
def overshoot(before, after, context, factor):
    return np.maximum(1, after * factor / before)


# %% wrong: less than one -> it is 1 where nothing is new
def overshoot(before, after, context, factor):
    return np.where(before * context >= 2 * np.pi, 1, after * factor / before)


# %% wrong: the text is as long as it was -> the sequence is longer, too
def overshoot(before, after, context, factor):
    return np.where(before * context >= 2 * np.pi, 1, np.maximum(1, after / before))


# %% wrong: half a turn is enough -> gave 1 where 3.87097 is right
def overshoot(before, after, context, factor):
    whole = before * context >= np.pi
    return np.where(whole, 1, np.maximum(1, after * factor / before))


# %% wrong: whether the new pair turns in the old text -> gave 3.80952 where 1 is right
def overshoot(before, after, context, factor):
    whole = after * context >= 2 * np.pi
    return np.where(whole, 1, np.maximum(1, after * factor / before))


# %% wrong: how far, and not by which factor -> gave 0 where 1 is right
def overshoot(before, after, context, factor):
    beyond = (after * factor - before) * context
    return np.where(before * context >= 2 * np.pi, 0, np.maximum(0, beyond))


# %% wrong: no further than a whole turn -> at [2]
def overshoot(before, after, context, factor):
    shown = np.minimum(2 * np.pi, before * context)
    met = np.minimum(2 * np.pi, after * context * factor)
    return np.maximum(1, met / shown)


# %% wrong: only the worst -> should return 5 numbers in a row, and returned a number
def overshoot(before, after, context, factor):
    whole = before * context >= 2 * np.pi
    return np.where(whole, 1, np.maximum(1, after * factor / before)).max()


# %% wrong: the arguments are written over -> changes its argument
def overshoot(before, after, context, factor):
    after *= factor
    return np.where(before * context >= 2 * np.pi, 1, np.maximum(1, after / before))
