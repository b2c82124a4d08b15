# %% right: the odds over one more
def mended():
    odds = sp.exp(s[0] - s[1])
    return Step("Logistic", weight, odds / (1 + odds), "Divided by the second exponential.")


# %% right: the other weight taken from one
def mended():
    return Step("Logistic", weight, 1 - 1 / (1 + sp.exp(s[0] - s[1])), "What is left.")


# %% wrong: with a hyperbolic tangent, which is true and not proven -> but is not proven symbolically
def mended():
    return Step("Logistic", weight, (1 + sp.tanh((s[0] - s[1]) / 2)) / 2, "The same curve.")


# %% wrong: as it was -> The proof refuses your step: step 'Logistic'
def mended():
    return steps[1]


# %% wrong: the sign of the whole exponent's other part -> The proof refuses your step: step 'Logistic'
def mended():
    return Step("Logistic", weight, 1 / (1 + sp.exp(-s[1] - s[0])), "Divided by the first.")


# %% wrong: a step without a slip -> There was no slip in this step
def mended():
    return steps[2]


# %% wrong: both sides alike -> A step with one expression on both sides says nothing.
def mended():
    return Step("Logistic", weight, weight, "They are equal.")


# %% wrong: the right side alone -> mended should return a Step
def mended():
    return 1 / (1 + sp.exp(s[1] - s[0]))


# %% wrong: the left side made to fit -> There was no slip in this step
def mended():
    return Step("Logistic", other / (one + other), 1 / (1 + sp.exp(s[0] - s[1])), "Of the second.")


# %% wrong: the name of the step -> mended should return a Step
def mended():
    return "Logistic"
