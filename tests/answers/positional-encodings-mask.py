# %% right: a loop over all orders
def symmetries(visible):
    count = 0
    for order in permutations(range(len(visible))):
        p = list(order)
        if (visible[p][:, p] == visible).all():
            count += 1
    return count


# %% right: with permutation matrices
def symmetries(visible):
    mask, count = np.asarray(visible, dtype=int), 0
    for p in permutations(range(len(mask))):
        P = np.eye(len(mask), dtype=int)[list(p)]
        count += int(np.array_equal(P @ mask @ P.T, mask))
    return count


# %% wrong: rows alone change places -> a token takes its column along with its row
def symmetries(visible):
    orders = map(list, permutations(range(len(visible))))
    return sum((visible[p] == visible).all() for p in orders)


# %% wrong: one entry that is as it was is enough -> 120, and 1 is right
def symmetries(visible):
    orders = map(list, permutations(range(len(visible))))
    return sum((visible[np.ix_(p, p)] == visible).any() for p in orders)


# %% wrong: every order, whatever the mask -> gave 120, and 1 is right
def symmetries(visible):
    return len(list(permutations(range(len(visible)))))


# %% wrong: two tokens that change places, and no longer cycles -> gave 11, and 120 is right
def symmetries(visible):
    n, count = len(visible), 1
    for i in range(n):
        for j in range(i):
            p = list(range(n))
            p[i], p[j] = j, i
            count += (visible[np.ix_(p, p)] == visible).all()
    return count


# %% wrong: without the order that changes nothing -> gave 119, and 120 is right
def symmetries(visible):
    orders = map(list, permutations(range(len(visible))))
    return sum((visible[np.ix_(p, p)] == visible).all() for p in orders) - 1


# %% wrong: counts tokens that see as many -> gave 12, and 2 is right
def symmetries(visible):
    from math import factorial

    return int(np.prod([factorial(m) for m in np.bincount(visible.sum(axis=1))]))


# %% wrong: the list, and not its length -> should return a number
def symmetries(visible):
    orders = map(list, permutations(range(len(visible))))
    return [p for p in orders if (visible[np.ix_(p, p)] == visible).all()]
