"""Whom the check passes, and what it finds."""

import importlib
from types import SimpleNamespace

import pytest
import torch
from helpers.brought import CACHE, PLAIN, SOFTMAX, only, quick
from helpers.small_models import MECHANISMS as SMALL

from attention_limits import contract, devices
from attention_limits.attention import MECHANISMS, block_sparse


def layouts(n_k):
    """A layout grows with the keys, of which there may be fewer than a block has."""
    block = min(16, max(1, n_k))
    how = dict(width=2, first=1, per_row=1, seed=0, causal=True)
    layout = block_sparse.bigbird(-(-n_k // block), **how)
    return {"layout": layout, "block": block, "causal": True}


def windows(n_k):
    """A grid of as many columns as divide the keys."""
    return {"width": next(w for w in (4, 3, 2, 1) if n_k % w == 0), "window": 2, "shift": 1}


# Tiles of a few tokens would take a loop of many.
OPTIONS = SMALL | {
    "block_sparse": layouts,
    "window_2d": windows,
    "online_softmax": {},
    "fractal": {"block": 8},
}

# --- whom it passes -----------------------------------------------------------------------------


@pytest.mark.parametrize("name", MECHANISMS)
def test_our_own_mechanisms_pass(name):
    """A reader is held to more, or to something else, than we hold ourselves to."""
    module = importlib.import_module(f"attention_limits.attention.{name}")
    report = quick(module, options=OPTIONS[name])
    assert report.ok, str(report)
    passed = {f.check for f in report.findings if f.status == "passed"}
    assert {"equality", "gradients", "FLOPs", "memory", "precision", "devices"} <= passed
    assert ("stream" in passed) == hasattr(module, "step")


def test_the_template_passes_every_check():
    """Who begins with it begins with a mistake."""
    report = quick(contract.load(contract.__path__[0] + "/template.py"))
    assert {f.status for f in report.findings} == {"passed", "measured"}, str(report)
    assert [f.check for f in report.findings if f.status == "measured"] == ["time"]


def test_three_lines_are_enough_to_be_checked(brought):
    """The first thing that a reader has is an attend, and nothing else."""
    report = quick(brought(PLAIN))
    assert report.ok
    [equality] = report.of("equality")
    assert equality.status == "not tried"
    assert "neither `define`" in equality.sentence
    [causality] = report.of("causality")
    assert causality.status == "measured"
    assert "looks ahead" in causality.found
    assert "not tried: there is no `step`" in str(report)
    assert "passed" in report.summary()


def test_a_namespace_will_do():
    """In a notebook there is no file."""

    def attend(q, k, v):
        return (q @ k.mT * q.shape[-1] ** -0.5).softmax(-1) @ v

    assert quick(SimpleNamespace(attend=attend)).ok


def test_a_layer_of_pytorch_will_do():
    """Its call takes anything, and its forward says what."""

    class Attention(torch.nn.Module):
        def forward(self, q, k, v):
            return (q @ k.mT * q.shape[-1] ** -0.5).softmax(-1) @ v

    assert quick(SimpleNamespace(attend=Attention())).ok


# --- what it finds ------------------------------------------------------------------------------


def test_an_option_causal_is_checked_both_ways(brought):
    """Half of a mechanism went unseen."""
    report = quick(brought(SOFTMAX))
    assert report.ok
    assert [f.case for f in report.of("causality")] == ["causal=False", "causal=True"]
    assert [f.status for f in report.of("causality")] == ["measured", "passed"]


@pytest.mark.parametrize(
    ("claim", "how"),
    [
        ("CAUSAL = True", {}),
        ("CASES = [{'causal': True}]", {}),
        ("", {"causal": True}),
        ("def step(state, q, k, v):\n    return attend(q, k, v), (k,)", {}),
    ],
)
def test_every_way_to_claim_causality_is_held_to_it(claim, how, brought):
    """The claim was made, and nobody asked."""
    option = ", *, causal=False" if "CASES" in claim else ""
    module = brought(f"""
def attend(q, k, v{option}):
    return (q @ k.mT * q.shape[-1] ** -0.5).softmax(-1) @ v

{claim}
""")
    finding = only(quick(module, **how), "causality")
    assert "output 0 depends on token 1" in finding.found


def test_a_choice_that_has_no_gradient_is_seen(brought):
    """Which keys are chosen depends on all of them, and no gradient tells."""
    module = brought("""
    CAUSAL = True

    def attend(q, k, v):
        scores = (q @ k.mT).tril(k.shape[-2] - q.shape[-2])
        return scores * (scores > (q @ k.mT).median(-1, keepdim=True).values) @ v
    """)
    [finding] = quick(module).of("causality")
    assert "through k, seen by a change. It has no gradient" in finding.found


def test_the_map_shows_who_sees_whom(brought):
    """A picture of something else."""
    module = brought("""
    CAUSAL = True

    def attend(q, k, v):
        return (q @ k.mT).tril(k.shape[-2] - q.shape[-2]).triu(k.shape[-2] - q.shape[-2] - 2) @ v
    """)
    [finding] = quick(module).of("causality")
    band = torch.ones(8, 8, dtype=torch.bool).tril().triu(-2)
    assert torch.equal(torch.tensor(finding.data["seen"]), band)


@pytest.mark.parametrize(
    ("output", "words"),
    [
        ("q[..., :1]", "gives the shape (2, 1, 1) where it should be (2, 1, 8)"),
        ("None", "must return a torch tensor, got NoneType"),
        ("exit('bye')", "raises SystemExit in line 3 of mine.py, `return exit('bye')`: bye"),
        ("q @ missing", "raises NameError in line 3 of mine.py, `return q @ missing`"),
    ],
)
def test_what_is_no_output_is_told_once(output, words, brought):
    """The checker crashed, or said the same of fifteen checks."""
    module = brought(f"""
def attend(q, k, v):
    return {output}
""")
    assert words in only(quick(module), "shapes").found


def test_a_refusal_is_no_crash_and_no_pass(brought):
    """Half of the shapes were refused, and the report said that all was well."""
    report = quick(
        brought("""
        def attend(q, k, v):
            if v.shape[-1] != k.shape[-1]:
                raise ValueError("v must be as wide as k")
            return (q @ k.mT * q.shape[-1] ** -0.5).softmax(-1) @ v
        """)
    )
    assert report.ok
    refused = [f for f in report.of("shapes") if f.status == "not tried"]
    assert [f.found for f in refused] == [
        "values narrower than keys, values wider than keys: attend refuses in line 4 of mine.py: "
        "v must be as wide as k"
    ]
    assert "shapes: not tried: values narrower" in str(report)


def test_learned_tensors_and_gates_are_differentiated(brought):
    """Only q, k and v were looked at."""
    module = brought("""
    def inputs(q, k, v, generator):
        import torch
        gate = torch.rand(*k.shape[:-1], 1, generator=generator, dtype=k.dtype)
        return {"gate": gate, "scale": torch.tensor(0.3, dtype=k.dtype)}

    def attend(q, k, v, gate, scale):
        return (scale.detach() * q @ k.mT).softmax(-1) @ (gate * v)
    """)
    finding = only(quick(module), "gradients")
    assert "`scale`" in finding.expected


def test_an_option_that_is_a_tensor_gets_its_gradient(brought):
    """It was taken for a number."""
    module = brought("""
    import torch
    CASES = [{"scale": torch.tensor(0.3, dtype=torch.float64)}]

    def attend(q, k, v, *, scale):
        return (scale * q @ k.mT).softmax(-1) @ v
    """)
    [finding] = quick(module).of("gradients")
    assert "q, k, v and scale" in finding.found


def test_flops_that_cost_denies_are_counted(brought):
    """A formula of somebody's memory."""
    cost = 'def cost():\n    return {"executed": lambda n, d: 2 * n**2 * d}'
    module = brought(f"{PLAIN}\n{cost}")
    finding = only(quick(module), "FLOPs")
    assert finding.expected == f"{2 * 33**2 * 16:,} FLOPs a head, as `cost().executed` says"
    assert f"{4 * 33**2 * 16:,} counted by PyTorch, 2 times as many" in finding.found
    assert "n^2.00" in finding.found


@pytest.mark.parametrize(
    ("right", "wrong", "check", "words"),
    [
        (".nan_to_num()", "", "empty", "NaN (queries before the first key)"),
        ("q @ k.mT", "q @ k.view(*k.shape).mT", "", ""),
        (
            "q @ k.mT",
            "q @ k.view(k.shape[:-1].numel(), k.shape[-1]).view(k.shape).mT",
            "strides",
            "view",
        ),
        ("k.clone()", "k", "state's memory", "the caller's own tensors"),
        ("attend(q, k, v), (k", "attend(q, k, v).mT, (k", "stream", "step gives the shape"),
        ("    return attend(q, k, v), (k.clone(), v.clone())", "    return 4", "stream", "got int"),
        ("    k, v = (", "    k, *v = (", "stream", "raises"),
    ],
)
def test_one_slip_is_one_failure(right, wrong, check, words, brought):
    """It was found by every check but the one that knows what to say of it."""
    assert right in CACHE
    report = quick(brought(CACHE.replace(right, wrong, 1)))
    if not check:
        assert report.ok, str(report)
        return
    assert words in only(report, check).found


@pytest.mark.parametrize(("held", "ok"), [("2 * n * d * b", True), ("n * d * b", False)])
def test_bytes_that_cost_denies_are_counted(held, ok, brought):
    """A cache of keys alone, said the formula."""
    cost = f'def cost():\n    return {{"held": lambda n, d, b: {held}}}'
    report = quick(brought(f"{CACHE}\n{cost}"))
    assert report.ok == ok
    if not ok:
        finding = only(report, "bytes held")
        assert finding.expected == f"{33 * 8 * 4:,} bytes, as `cost().held` says"
        assert finding.found.startswith(f"{2 * 33 * 8 * 4:,} bytes a head after 33 tokens")


def test_outputs_that_hear_of_other_queries_are_not_compared_with_fewer(brought):
    """Of fewer queries they are others, and rightly so."""
    module = brought(PLAIN.replace("q @ k.mT", "(q - q.mean(-2, keepdim=True)) @ k.mT"))
    report = quick(module)
    assert report.ok, str(report)
    [alignment] = report.of("alignment")
    assert alignment.sentence.startswith("not tried: outputs depend on other queries, too")


@pytest.mark.parametrize("dtype", ["float64", "bfloat16"])
def test_an_output_of_another_dtype_is_told(dtype, brought):
    """A model in half precision went on in float32 from the first layer on."""
    other = f"x.float() if x.dtype == torch.{dtype} else x"
    module = brought(
        f"import torch\n{PLAIN}\nplain = attend\n"
        + f"""
def attend(q, k, v):
    x = plain(q, k, v)
    return {other}
"""
    )
    finding = quick(module).of("precision")[-1]
    assert finding.expected == f"an output in the dtype of q, torch.{dtype}"
    assert finding.found == "torch.float32"


def test_small_outputs_are_compared_in_their_own_size(brought):
    """A wrong output of 1e-12 is far from 0, and near to any other number of that size."""
    module = brought("""
    def attend(q, k, v):
        return 1e-12 * (q @ k.mT) @ v

    def define(q, k, v):
        return 1.1e-12 * (q @ k.T) @ v
    """)
    [equality] = quick(module).of("equality")
    assert equality.status == "failed"
    assert "a difference of 0.091" in equality.found


def test_an_unequal_output_says_in_how_many_shapes(brought):
    """The first shape that differs was named alone, as if it were the cause."""
    everywhere, grouped = (
        brought(f"""
    from attention_limits.attention import dense

    def attend(q, k, v):
        return dense.attend(q, k, v) * (1.1 if {where} else 1)

    def define(q, k, v):
        return dense.define(q, k, v)
    """)
        for where in ("True", "q.shape != k.shape")
    )
    assert "(one token; 8 of 8 shapes differ)" in quick(everywhere).of("equality")[0].found
    assert "(grouped heads; 1 of 8 shapes differ)" in quick(grouped).of("equality")[0].found


def test_float64_that_is_computed_in_float32_is_told_from_a_mistake(brought):
    """Eight digits looked like a wrong equation."""
    module = brought("""
    import numpy as np

    def attend(q, k, v):
        q, k, v, dtype = q.float(), k.float(), v.float(), q.dtype
        return ((q @ k.mT * q.shape[-1] ** -0.5).softmax(-1) @ v).to(dtype)

    def define(q, k, v):
        weights = np.exp(q @ k.T / np.sqrt(q.shape[-1]))
        return weights / weights.sum(-1, keepdims=True) @ v
    """)
    [equality] = quick(module).of("equality")
    assert equality.status == "failed"
    assert "float64 must be computed in float64" in equality.found


def test_an_accelerator_is_tried_where_there_is_one(brought, monkeypatch):
    """A mechanism that runs on one device only passed, with a GPU in the machine."""
    monkeypatch.setattr(devices, "available", lambda: ["cpu", "cpu"])
    report = quick(brought(PLAIN))
    assert report.of("devices")[0].found.endswith("and on cpu the CPU's output")


def test_the_gate_of_a_stream_goes_along(brought):
    """A step got the gates of the whole sequence, or none."""
    module = brought("""
    import torch

    def inputs(q, k, v, generator):
        return {"gate": torch.rand(*k.shape[:-1], 1, generator=generator, dtype=k.dtype)}

    def attend(q, k, v, gate):
        return (q @ (gate * k).mT).tril(k.shape[-2] - q.shape[-2]) @ v

    def step(state, q, k, v, gate):
        before = torch.zeros_like(k.mT @ v) if state is None else state
        return q @ before + attend(q, k, v, gate), before + (gate * k).mT @ v
    """)
    assert {f.status for f in quick(module).of("stream")} == {"passed"}
