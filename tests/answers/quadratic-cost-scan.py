# %% right: one matrix with a row more
def join(later, earlier):
    def whole(step):
        J, b = step
        return np.block([[J, b[:, None]], [np.zeros(len(b)), 1.0]])

    both = whole(later) @ whole(earlier)
    return both[:-1, :-1], both[:-1, -1]


# %% right: with einsum, as a list
def join(later, earlier):
    b = later[1] + np.einsum("ij,j->i", later[0], earlier[1])
    return [np.einsum("ij,jk->ik", later[0], earlier[0]), b]


# %% wrong: the later one first -> this does the later step first
def join(later, earlier):
    (J2, b2), (J1, b1) = earlier, later
    return J2 @ J1, J2 @ b1 + b2


# %% wrong: the matrices the other way round -> in part 1 of what it returns
def join(later, earlier):
    (J2, b2), (J1, b1) = later, earlier
    return J1 @ J2, J2 @ b1 + b2


# %% wrong: the first shift is not carried on -> in part 2 of what it returns
def join(later, earlier):
    (J2, b2), (J1, b1) = later, earlier
    return J2 @ J1, b1 + b2


# %% wrong: the last shift alone -> in part 2 of what it returns
def join(later, earlier):
    return later[0] @ earlier[0], later[1]


# %% wrong: entry by entry, as for gates -> in part 1 of what it returns
def join(later, earlier):
    (J2, b2), (J1, b1) = later, earlier
    return J2 * J1, J2 @ b1 + b2


# %% wrong: the state after both and not the step -> should return 2 things
def join(later, earlier):
    (J2, b2), (J1, b1) = later, earlier
    return J2 @ (J1 @ np.ones(len(b1)) + b1) + b2


# %% wrong: written into the earlier step -> changes its argument 2 in place
def join(later, earlier):
    (J2, b2), (J1, b1) = later, earlier
    b1[:] = J2 @ b1 + b2
    return J2 @ J1, b1
