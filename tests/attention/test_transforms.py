"""Every mechanism under every transform of PyTorch that gallery/transforms.py names."""

import io

import pytest
import torch
from helpers.mechanisms import MODULES, gated
from helpers.tables import assert_rows_for
from helpers.tensors import assert_close, draw_qkv, gradients
from helpers.transforms import QUIET, Layer, all_close, compiled, every, learning, squared
from torch import distributed, func
from torch._dynamo.testing import CompileCounterWithBackend
from torch.autograd import forward_ad
from torch.autograd.functional import jacobian
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.checkpoint import checkpoint

from attention_limits.attention import MECHANISMS, block_sparse
from attention_limits.gallery.transforms import REFUSED, TRANSFORMS

pytestmark = QUIET

# Of nine tokens five fill no tile; all but a bidirectional window and sum look at the past only.
OPTIONS = {
    "dense": [{"causal": True}],
    "online_softmax": [{"causal": True, "block": 4}],
    "sliding_window": [{"window": 3, "causal": True}, {"window": 2}],
    "offsets": [{"offsets": (0, 1, 4), "causal": True}],
    "block_sparse": [{"layout": block_sparse.local(3, width=2), "block": 4, "causal": True}],
    # Of one column first: any number of tokens fills its rows.
    "window_2d": [
        {"width": 1, "window": 2, "shift": (1, 0), "causal": True},
        {"width": 3, "window": 2},
    ],
    "fractal": [{"block": 2}, {"block": 2, "covariance": True}],
    "clock": [{"period": 2}],
    "linear": [{"causal": True}, {}],
    "gated_linear": [{}],
    "delta_rule": [{}],
    "gated_delta_rule": [{}],
}
N = 9

everywhere = pytest.mark.parametrize(
    ("name", "options"),
    [
        pytest.param(name, options, id=f"{name}-{number}")
        for name, several in OPTIONS.items()
        for number, options in enumerate(several)
    ],
)
# What takes seconds is tried under one row of options.
once_each = pytest.mark.parametrize(
    ("name", "options"),
    [pytest.param(name, several[0], id=name) for name, several in OPTIONS.items()],
)


# Who has steps. Two states are scanned as the third is, which has the gates of one and the writes
# of the other. And what a step of these two adds to `attend`, a clock's and a window's have, too:
# new keys are joined to those that are held, and of these the last are kept.
LIKE_OTHERS = ("gated_linear", "delta_rule", "dense", "offsets")
STREAMS = [
    pytest.param(name, marks=pytest.mark.deep) if name in LIKE_OTHERS else name
    for name in MECHANISMS
    if hasattr(MODULES[name], "step")
]

# Of a clock each phase and each number of tokens has a graph of its own, of which one of several is
# enough.
CHUNKS = {"clock": [1, 1, 1, 1, 3]}


def prepared(name, options, *lead, d=3, dtype=torch.float64):
    """Attention as a function of its tensors alone, and tensors for it."""
    module = MODULES[name]
    inputs = gated(module, draw_qkv((*lead, N, d), (*lead, N, d), dtype=dtype))
    return lambda *tensors: module.attend(*tensors, **options), inputs


def test_every_transform_is_tried_and_every_mechanism_tried_on():
    assert_rows_for(MECHANISMS, {"OPTIONS in tests/attention/test_transforms.py": OPTIONS})
    tried = {mark.args[0] for test in TRIED for mark in test.pytestmark if mark.name == "transform"}
    assert_rows_for(TRANSFORMS, {"tests of tests/attention/test_transforms.py": tried})
    assert {transform for transform, _ in REFUSED} <= TRANSFORMS.keys()


# torch.func


@pytest.mark.transform("``torch.func.vmap``")
@everywhere
def test_vmap(name, options):
    attend, inputs = prepared(name, options, 2)
    expected = attend(*inputs)
    assert_close(func.vmap(attend)(*inputs), expected)
    last = func.vmap(attend, in_dims=-1, out_dims=1)(*(x.movedim(0, -1) for x in inputs))
    assert_close(last.movedim(1, 0), expected)
    for alone in every(inputs):
        given = [x if i == alone else x[0] for i, x in enumerate(inputs)]
        one_by_one = [
            attend(*(x[b] if i == alone else x for i, x in enumerate(given))) for b in range(2)
        ]
        axes = tuple(0 if i == alone else None for i in every(inputs))
        assert_close(func.vmap(attend, in_dims=axes)(*given), torch.stack(one_by_one))


@pytest.mark.parametrize("name", ["online_softmax", "sliding_window", "offsets", "block_sparse"])
def test_vmap_over_masks(name):
    """A mask may have more axes than what it masks, once `vmap` has brought its own."""
    module, [options, *_] = MODULES[name], OPTIONS[name]
    q, k, v = draw_qkv((N, 3), (N, 3))
    masks = torch.rand(4, 1, N, generator=torch.Generator().manual_seed(0)) < 0.6

    def attend(mask, q):
        return module.attend(q, k, v, mask=mask, **options)

    expected = torch.stack([attend(mask, q) for mask in masks])
    assert_close(func.vmap(attend, in_dims=(0, None))(masks, q), expected)
    slope = func.grad(lambda q: func.vmap(attend, in_dims=(0, None))(masks, q).square().sum())(q)
    [x] = learning([q])
    torch.stack([attend(mask, x) for mask in masks]).square().sum().backward()
    assert_close(slope, x.grad)


@pytest.mark.transform("``torch.func.grad``")
@everywhere
def test_grad(name, options):
    attend, inputs = prepared(name, options, 2)
    inputs = learning(inputs)
    expected = torch.autograd.grad(squared(attend)(*inputs), inputs)
    inputs = [x.detach() for x in inputs]
    plain = func.grad(squared(attend), argnums=every(inputs))
    all_close(plain(*inputs), expected)
    all_close(func.vmap(plain)(*inputs), expected)
    around = func.grad(squared(func.vmap(attend)), argnums=every(inputs))
    all_close(around(*inputs), expected)


@pytest.mark.transform("``torch.func.jacrev``")
@everywhere
def test_jacrev(name, options):
    attend, inputs = prepared(name, options, 1)
    rows = jacobian(attend, tuple(inputs))
    all_close(func.jacrev(attend, argnums=every(inputs))(*inputs), rows)


@pytest.mark.transform("``jacobian(vectorize=True)``")
@everywhere
def test_jacobian_of_all_rows_at_once(name, options):
    """By a batching of its own, which knows no rule of a hand-written backward pass."""
    attend, inputs = prepared(name, options, 1)
    rows = jacobian(attend, tuple(inputs))
    all_close(jacobian(attend, tuple(inputs), vectorize=True), rows)


@pytest.mark.transform("``torch.func.jvp``")
@everywhere
def test_forward_mode(name, options):
    attend, inputs = prepared(name, options, 2)
    directions = [x.flip(0) / 2 for x in inputs]
    _, slope = func.jvp(attend, tuple(inputs), tuple(directions))
    ahead, behind = (
        attend(*(x + step * dx for x, dx in zip(inputs, directions, strict=True)))
        for step in (1e-6, -1e-6)
    )
    assert_close(slope, (ahead - behind) / 2e-6, within=1e-7)
    with forward_ad.dual_level():
        duals = map(forward_ad.make_dual, inputs, directions)
        assert_close(forward_ad.unpack_dual(attend(*duals)).tangent, slope)
    _, around = func.jvp(func.vmap(attend), tuple(inputs), tuple(directions))
    assert_close(around, slope)
    # Along one tensor alone, outputs that are made like another one do not hear of it.
    axes = (None, 0, *[None] * (len(inputs) - 2))
    alone = [x if i == 1 else x[0] for i, x in enumerate(inputs)]
    func.jvp(func.vmap(attend, in_dims=axes), tuple(alone), tuple(x / 2 for x in alone))
    one = [x[:1] for x in inputs]
    all_close(
        func.jacfwd(attend, argnums=every(one))(*one), func.jacrev(attend, argnums=every(one))(*one)
    )


@pytest.mark.transform("a second backward pass")
@everywhere
def test_a_second_backward_pass(name, options):
    attend, inputs = prepared(name, options, 1, d=2)
    if ("a second backward pass", name) in REFUSED:
        for twice in (
            lambda: func.jacrev(func.jacrev(squared(attend)))(*inputs),
            lambda: torch.autograd.gradgradcheck(attend, learning(inputs)),
        ):
            with pytest.raises(RuntimeError, match=r"^attend must be differentiated once"):
                twice()
        with sdpa_kernel(SDPBackend.MATH):
            assert torch.autograd.gradgradcheck(attend, learning(inputs), fast_mode=True)
    else:
        assert torch.autograd.gradgradcheck(attend, learning(inputs), fast_mode=True)
        twice = func.jacrev(func.jacrev(squared(attend)))(*inputs)
        assert_close(func.hessian(squared(attend))(*inputs), twice)


@pytest.mark.parametrize("name", ["online_softmax", "sliding_window", "offsets", "linear"])
def test_a_third_backward_pass_is_refused(name):
    attend, inputs = prepared(name, OPTIONS[name][0], 1, d=2)
    with pytest.raises(RuntimeError, match=r"^attend must be differentiated backward twice"):
        func.jacrev(func.jacrev(func.jacrev(squared(attend))))(*inputs)


# Compilers


@pytest.mark.transform("``torch.compile(fullgraph=True)``")
@pytest.mark.deep  # others compile as much: within autocast, and for any length
@once_each
def test_compile(name, options):
    attend, inputs = prepared(name, options, 2)
    out, grads = gradients(compiled(attend), inputs)
    expected, wanted = gradients(attend, inputs)
    all_close([out, *grads], [expected, *wanted])


@pytest.mark.transform("``torch.compile(fullgraph=True)``")
@pytest.mark.slow
@once_each
def test_compile_within_autocast(name, options):
    attend, inputs = prepared(name, options, 2, dtype=torch.float32)

    def within(*inputs):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            return attend(*inputs)

    out, grads = gradients(compiled(within), inputs)
    expected, wanted = gradients(attend, inputs)
    all_close([out, *grads], [expected, *wanted], within=1e-5)


@once_each
def test_backward_within_autocast_of_what_was_compiled_without(name, options):
    """What is computed again for the backward pass was rounded, or met what was not and failed."""
    attend, inputs = prepared(name, options, 2, dtype=torch.float32)
    expected, wanted = gradients(attend, inputs)
    inputs = learning(inputs)
    out = compiled(attend)(*inputs)
    upstream = torch.linspace(-1, 1, out.numel()).view_as(out)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        grads = torch.autograd.grad(out, inputs, upstream)
    all_close([out, *grads], [expected, *wanted], within=1e-5)


@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf:UserWarning")
@pytest.mark.transform("``torch.compile(fullgraph=True)``")
@pytest.mark.parametrize("name", STREAMS)
def test_compile_steps_of_a_stream(name):
    """One token after the other, then several: the lengths of what is held become symbolic."""
    module, [options, *_] = MODULES[name], OPTIONS[name]
    attend, inputs = prepared(name, options, 2)
    chunks = CHUNKS.get(name, [1, 1, 1, 1, 3, 2])
    inputs = shortened(inputs, sum(chunks))
    options = {key: x for key, x in options.items() if key != "causal"}
    step = compiled(lambda state, *tokens: module.step(state, *tokens, **options))

    def streamed(*inputs):
        outputs, state = [], None
        for tokens in zip(*(x.split(chunks, dim=-2) for x in inputs), strict=True):
            out, state = step(state, *tokens)
            outputs.append(out)
        return torch.cat(outputs, dim=-2)

    out, grads = gradients(streamed, inputs)
    expected, wanted = gradients(attend, inputs)
    all_close([out, *grads], [expected, *wanted])


def shortened(inputs, n):
    return [x[..., :n, :] for x in inputs]


@pytest.mark.transform("``torch.compile(dynamic=True)``")
@pytest.mark.slow
@once_each
def test_compile_for_any_length(name, options, monkeypatch):
    """One graph for all of them; a layout has one number of blocks."""
    monkeypatch.setattr(f"{__name__}.N", 20)
    lengths = [9, 10, 11] if name == "block_sparse" else range(7, 19)
    attend, inputs = prepared(name, options, 2)
    torch._dynamo.reset()
    counting = CompileCounterWithBackend("aot_eager")
    once = torch.compile(attend, fullgraph=True, dynamic=True, backend=counting)
    for n in lengths:
        out, grads = gradients(once, shortened(inputs, n))
        expected, wanted = gradients(attend, shortened(inputs, n))
        all_close([out, *grads], [expected, *wanted])
    assert counting.frame_count == 1


@pytest.mark.transform("``torch.export``")
@once_each
def test_export(name, options):
    attend, inputs = prepared(name, options, 2)
    few, many = (9, 12) if name == "block_sparse" else (2, 4096)
    length = torch.export.Dim("n", min=few, max=many)
    program = torch.export.export(
        Layer(attend), tuple(inputs), dynamic_shapes=(tuple({1: length} for _ in inputs),)
    )
    assert_close(program.module()(*inputs), attend(*inputs))
    longer = [torch.cat([x, x[:, :2]], dim=1) for x in inputs]
    assert_close(program.module()(*longer), attend(*longer))


@once_each
def test_compile_and_export_for_all_ways_to_pack(name, options):
    """One graph: which token belongs to which sequence is a tensor like others."""
    _, inputs = prepared(name, options, 2)

    def packed(numbers, *tensors):
        return MODULES[name].attend(*tensors, segments=numbers, **options)

    torch._dynamo.reset()
    counting = CompileCounterWithBackend("aot_eager")
    once = torch.compile(packed, fullgraph=True, backend=counting)
    program = torch.export.export(Layer(packed), (torch.zeros(N, dtype=torch.long), *inputs))
    for numbers in ([0] * 4 + [1] * 5, [-1, -1, 0, 1, 1, 1, 2, 2, 2], [0] * 9):
        numbers = torch.tensor(numbers)
        out, grads = gradients(lambda *x, numbers=numbers: once(numbers, *x), inputs)
        expected, wanted = gradients(lambda *x, numbers=numbers: packed(numbers, *x), inputs)
        all_close([out, *grads], [expected, *wanted])
        assert_close(program.module()(numbers, *inputs), expected)
    assert counting.frame_count == 1
    assert_close(once([4, 0, 5], *inputs), packed([4, 0, 5], *inputs))


def test_a_layout_is_not_exported_strictly():
    """The saved program had whatever was in fresh memory for its layout."""
    attend, inputs = prepared("block_sparse", OPTIONS["block_sparse"][0], 2)
    with pytest.raises(Exception, match=r"layout must be exported with strict=False"):
        torch.export.export(Layer(attend), tuple(inputs), strict=True)


@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning")
@once_each
def test_what_is_traced_can_be_saved(name, options):
    """A backward pass by hand is Python, and cannot."""
    attend, inputs = prepared(name, options, 2)
    file = io.BytesIO()
    torch.jit.save(torch.jit.trace(lambda *x: attend(*x), tuple(inputs)), file)
    file.seek(0)
    loaded = torch.jit.load(file)
    out, grads = gradients(loaded, inputs)
    expected, wanted = gradients(attend, inputs)
    all_close([out, *grads], [expected, *wanted], within=1e-6)  # the tracer holds sizes in float32


# What surrounds a training


@pytest.mark.transform("activation checkpointing")
@pytest.mark.parametrize("reentrant", [False, True], ids=["by hooks", "reentrant"])
@everywhere
def test_checkpointing(name, options, reentrant):
    attend, inputs = prepared(name, options, 2)
    again = learning(inputs)
    checkpoint(squared(attend), *again, use_reentrant=reentrant).backward()
    inputs = learning(inputs)
    squared(attend)(*inputs).backward()
    all_close([x.grad for x in again], [x.grad for x in inputs])


@pytest.mark.transform("``save_on_cpu``")
@everywhere
def test_save_on_cpu(name, options):
    attend, inputs = prepared(name, options, 2)
    inputs = learning(inputs)
    expected = torch.autograd.grad(squared(attend)(*inputs), inputs)
    with torch.autograd.graph.save_on_cpu():
        loss = squared(attend)(*inputs)
    all_close(torch.autograd.grad(loss, inputs), expected)


@pytest.mark.transform("anomaly mode")
@everywhere
def test_anomaly_mode(name, options):
    attend, inputs = prepared(name, options, 2)
    inputs = learning(inputs)
    expected = torch.autograd.grad(squared(attend)(*inputs), inputs)
    with pytest.warns(UserWarning, match="Anomaly Detection"):
        anomalies = torch.autograd.detect_anomaly(check_nan=True)
    with anomalies:
        loss = squared(attend)(*inputs)
        all_close(torch.autograd.grad(loss, inputs), expected)


@pytest.mark.transform("deterministic algorithms")
@everywhere
def test_deterministic_algorithms(name, options):
    """Among other things, memory that nobody has written to is filled with NaN."""
    attend, inputs = prepared(name, options, 2)
    inputs = learning(inputs)
    expected = torch.autograd.grad(squared(attend)(*inputs), inputs)
    torch.use_deterministic_algorithms(True)
    try:
        all_close(torch.autograd.grad(squared(attend)(*inputs), inputs), expected)
    finally:
        torch.use_deterministic_algorithms(False)


@pytest.fixture(scope="module")
def one_process():
    """A group of this process alone."""
    distributed.init_process_group("gloo", store=distributed.HashStore(), rank=0, world_size=1)
    yield
    distributed.destroy_process_group()


@pytest.mark.transform("``DistributedDataParallel``")
@once_each
def test_data_parallel(name, options, one_process):
    attend, inputs = prepared(name, options, 2)
    alone, shared = Layer(attend, 3), Layer(attend, 3)
    alone(*inputs).square().sum().backward()
    parallel = torch.nn.parallel.DistributedDataParallel(shared)
    parallel(*inputs).square().sum().backward()
    assert_close(shared.width.grad, alone.width.grad)


TRIED = [test for name, test in globals().items() if hasattr(test, "pytestmark")]
