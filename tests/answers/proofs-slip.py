# %% right: by the odds
def mended():
    odds = sp.exp(s[0] - s[1])
    return Step("Logistic", weight, odds / (1 + odds), "Of the odds.")


# %% right: by what is left for the other key
def mended():
    return Step("Logistic", steps[1].lhs, 1 - other / (one + other), "All that the other leaves.")


# %% right: the exponentials not merged
def mended():
    return Step("Logistic", weight, 1 / (1 + other / one), "Divided by the first.")


# %% wrong: the list's own -> There is still a slip: step 'Logistic': left side
def mended():
    return steps[1]


# %% wrong: another sign -> There is still a slip
def mended():
    return Step("Logistic", weight, 1 / (1 - sp.exp(s[0] - s[1])), "Divided by the first.")


# %% wrong: the other key's weight, the sign in front -> There is still a slip
def mended():
    return Step("Logistic", weight, -1 / (1 + sp.exp(s[0] - s[1])), "Divided by the first.")


# %% wrong: a step without a slip -> This is not the left side of the step with the slip
def mended():
    return steps[0]


# %% wrong: the left side changed instead -> This is not the left side of the step with the slip
def mended():
    return Step("Logistic", 1 - weight, steps[1].rhs, "Divided by the first.")


# %% wrong: both sides alike -> Both sides are written alike
def mended():
    return Step("Logistic", weight, one / (one + other), "By definition.")


# %% wrong: the expression alone -> has to return a Step
def mended():
    return 1 / (1 + sp.exp(s[1] - s[0]))


# %% wrong: what caught says -> has to return a Step
def mended():
    return caught(steps[1])
