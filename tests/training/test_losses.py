"""What every loss must do, and that the compiled loops descend the same losses."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numba import njit

from hbpr.settings.models import TrainingSettings
from hbpr.training.fused.gradients import BY_ADDRESS, address_of, call_at, code_of, slopes
from hbpr.training.losses import LOSSES
from hbpr.training.losses.bpr import bpr_loss
from hbpr.training.losses.softmax import softmax_loss
from hbpr.training.losses.warp import harmonic_numbers, warp_loss

NAMES = list(LOSSES)
COMPILED = [name for name in NAMES if LOSSES[name].gradient is not None]


def _loss(name: str, positive: torch.Tensor, negative: torch.Tensor) -> torch.Tensor:
    """The loss by its name; with weights that differ from draw to draw where it takes them."""
    weights = [_weights(negative.shape)] if LOSSES[name].rank_weighted else []
    return LOSSES[name].function(positive, negative, *weights)


def _weights(shape: tuple[int, ...]) -> torch.Tensor:
    return 0.5 + torch.arange(int(np.prod(shape)), dtype=torch.float32).reshape(shape) % 3


@njit
def _slopes_at(address, positive, negatives, falls, weights):
    rises = np.full(1, np.nan, np.float32)
    arrays = (negatives.ctypes.data, falls.ctypes.data, weights.ctypes.data, rises.ctypes.data)
    loss = call_at(address, positive, len(negatives), arrays)
    return rises[0], loss


def _compiled(
    name: str,
    positive: float,
    negatives: np.ndarray,
    weights: np.ndarray,
    *,
    by_address: bool = False,
) -> tuple[float, np.ndarray, float]:
    """Rise, falls and loss, as the compiled loops get them in one of two ways."""
    gradient = LOSSES[name].gradient
    falls = np.full(len(negatives), np.nan, np.float32)
    scores = np.float32(positive), negatives.astype(np.float32), falls, weights
    code, _ = code_of(gradient)
    if by_address or code == BY_ADDRESS:
        rise, loss = _slopes_at(address_of(gradient), *scores)
    else:
        rise, loss = slopes(code, *scores)
    return float(rise), falls, float(loss)


def test_settings_take_every_loss_of_the_table() -> None:
    for name in LOSSES:
        assert TrainingSettings(loss_function=name).loss_function == name
    schema = TrainingSettings.model_json_schema()["properties"]["loss_function"]
    (built_in, own) = schema["anyOf"]
    assert built_in["enum"] == NAMES
    assert own["type"] == "string"  # the dotted path of a loss of one's own


def test_a_code_that_is_none_is_no_loss() -> None:
    arrays = [np.zeros(1, np.float32) for _ in range(3)]
    assert np.isnan(slopes(BY_ADDRESS, np.float32(0.0), *arrays)[1])


@pytest.mark.parametrize("name", NAMES)
class TestContract:
    @pytest.mark.parametrize("n", [1, 3, 8])
    def test_one_value_for_each_positive(self, name: str, n: int) -> None:
        rng = torch.Generator().manual_seed(0)
        loss = _loss(name, torch.randn(5, generator=rng), torch.randn(5, n, generator=rng))
        assert loss.shape == (5,)
        assert loss.dtype == torch.float32
        assert (loss >= 0).all()

    @pytest.mark.parametrize("gap", [-1e4, -120.0, 120.0, 1e4])
    @pytest.mark.parametrize("at", ["positive", "negative"])
    def test_far_scores_keep_value_and_gradient_finite(
        self, name: str, gap: float, at: str
    ) -> None:
        positive = torch.tensor([gap if at == "positive" else 0.0], requires_grad=True)
        negative = torch.tensor([[0.0 if at == "positive" else -gap]], requires_grad=True)
        loss = _loss(name, positive, negative)
        loss.sum().backward()
        assert torch.isfinite(loss).all()
        assert torch.isfinite(positive.grad).all()
        assert torch.isfinite(negative.grad).all()
        if gap > 0:  # in order by far: nothing, or a constant, is left
            assert loss.item() < 1.0
        else:  # out of order by far: the gradient still pulls
            assert loss.item() > 50.0
            assert positive.grad.item() - negative.grad.item() < -0.4

    @settings(max_examples=30)
    @given(
        positive=st.floats(-20, 20, width=32),
        step=st.floats(0.125, 10, width=32),
        negatives=st.lists(st.floats(-20, 20, width=32), min_size=1, max_size=4),
    )
    def test_falls_when_the_positive_rises(
        self, name: str, positive: float, step: float, negatives: list[float]
    ) -> None:
        negative = torch.tensor([negatives])
        low = _loss(name, torch.tensor([positive]), negative)
        high = _loss(name, torch.tensor([positive + step]), negative)
        assert high <= low * (1 + 1e-6)  # single precision: the last digit may go either way
        if positive < min(0.0, *negatives):
            assert high < low

    def test_a_score_that_is_no_number_shows(self, name: str) -> None:
        for scores in ([np.nan, 0.0], [0.0, np.nan]):
            assert _loss(name, torch.tensor(scores[:1]), torch.tensor([scores[1:]])).isnan().all()


@pytest.mark.parametrize("name", COMPILED)
class TestCompiled:
    @pytest.mark.parametrize("gap", [-1e4, -120.0, 120.0, 1e4])
    def test_far_scores_stay_finite(self, name: str, gap: float) -> None:
        rise, falls, loss = _compiled(name, gap, np.zeros(2), np.ones(2, np.float32))
        assert np.isfinite([rise, *falls, loss]).all()

    @pytest.mark.parametrize("n", [1, 3, 8])
    @pytest.mark.parametrize("by_address", [False, True])
    def test_slopes_are_the_gradient(self, name: str, n: int, by_address: bool) -> None:
        rng = np.random.default_rng(n)
        for scale in (0.1, 1.0, 10.0):
            positive = (scale * rng.standard_normal(6)).astype(np.float32)
            negative = (scale * rng.standard_normal((6, n))).astype(np.float32)
            p = torch.from_numpy(positive).requires_grad_()
            q = torch.from_numpy(negative).requires_grad_()
            expected = _loss(name, p, q)
            expected.sum().backward()
            weights = np.ones((6, n), "f4")
            if LOSSES[name].rank_weighted:
                weights = _weights((6, n)).numpy()
            for row in range(6):
                rise, falls, loss = _compiled(
                    name, positive[row], negative[row], weights[row], by_address=by_address
                )
                assert loss == pytest.approx(expected[row].item(), rel=1e-4, abs=1e-5)
                assert rise == pytest.approx(-p.grad[row].item(), rel=1e-4, abs=1e-6)
                np.testing.assert_allclose(falls, q.grad[row], rtol=1e-4, atol=1e-6)

    def test_a_score_that_is_no_number_shows(self, name: str) -> None:
        for scores in ([np.nan, 0.0], [0.0, np.nan]):
            *_, loss = _compiled(name, scores[0], np.array(scores[1:]), np.ones(1, np.float32))
            assert np.isnan(loss)


@pytest.mark.parametrize(
    ("name", "equal", "gradient"),
    [
        ("bpr_loss", np.log(2), -0.5),
        ("bpr_loss_v2", 2 * np.log(2), -0.5),
        ("hinge_loss", 1.0, -1.0),
        ("softmax_loss", np.log(2), -0.5),
        ("warp_loss", 0.5, -0.5),
    ],
)
def test_known_values_at_equal_scores(name: str, equal: float, gradient: float) -> None:
    positive = torch.zeros(1, requires_grad=True)
    loss = _loss(name, positive, torch.zeros(1, 1))
    loss.sum().backward()
    assert loss.item() == pytest.approx(equal)
    assert positive.grad.item() == pytest.approx(gradient)


def test_bpr_at_a_gap_of_minus_120_is_120_with_gradient_minus_1() -> None:
    positive = torch.tensor([-120.0], requires_grad=True)
    loss = bpr_loss(positive, torch.zeros(1, 1))
    loss.sum().backward()
    assert (loss.item(), positive.grad.item()) == (120.0, -1.0)


@pytest.mark.parametrize("name", ["hinge_loss", "warp_loss"])
def test_a_margin_of_one_is_enough(name: str) -> None:
    positive = torch.tensor([2.0], requires_grad=True)
    loss = _loss(name, positive, torch.tensor([[0.5, 0.9]]))
    loss.sum().backward()
    assert loss.item() == positive.grad.item() == 0.0


@pytest.mark.parametrize("name", ["bpr_loss", "hinge_loss", "softmax_loss"])
def test_only_score_differences_count(name: str) -> None:
    rng = torch.Generator().manual_seed(1)
    positive, negative = torch.randn(4, generator=rng), torch.randn(4, 3, generator=rng)
    moved = _loss(name, positive + 3.0, negative + 3.0)
    torch.testing.assert_close(_loss(name, positive, negative), moved)


def test_softmax_is_the_cross_entropy_of_torch() -> None:
    rng = torch.Generator().manual_seed(2)
    positive, negative = torch.randn(6, generator=rng), torch.randn(6, 5, generator=rng)
    logits = torch.cat([positive[:, None], negative], 1)
    expected = torch.nn.functional.cross_entropy(
        logits, torch.zeros(6, dtype=torch.int64), reduction="none"
    )
    torch.testing.assert_close(softmax_loss(positive, negative), expected)


def test_bpr_with_one_negative_is_softmax_with_one() -> None:
    positive, negative = torch.tensor([0.3, -2.0]), torch.tensor([[0.7], [1.0]])
    torch.testing.assert_close(bpr_loss(positive, negative), softmax_loss(positive, negative))


def test_warp_without_a_violation_is_zero() -> None:
    positive = torch.tensor([0.0], requires_grad=True)
    loss = warp_loss(positive, torch.tensor([[5.0]]), torch.zeros(1, 1))
    loss.sum().backward()
    assert loss.item() == positive.grad.item() == 0.0


def test_harmonic_numbers_are_sums_of_reciprocals() -> None:
    sums = harmonic_numbers(1000)
    assert (len(sums), sums[0], sums[1]) == (1001, 0.0, 1.0)
    assert sums[1000] == pytest.approx(sum(1 / r for r in range(1, 1001)), rel=1e-6)
