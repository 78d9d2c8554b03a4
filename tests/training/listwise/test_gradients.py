"""The engine's handwritten gradients against torch's autograd over a plain, dense formula."""

import dataclasses
import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch.nn.functional import softplus

from hbpr.data.interactions import Interactions
from hbpr.models import build_model
from hbpr.settings.models import TrialSettings
from hbpr.training.engines import make_engine
from hbpr.training.losses.blocks import Pairs, TopWeights, top_weighted

SettingsOf = Callable[..., TrialSettings]
DataOf = Callable[..., Interactions]

N_USERS, N_ITEMS = 9, 12
#: A loss, and whether positives are masked.
LOSSES = [("softmax_loss", False), ("softmax_loss", True), ("bpr_loss", False)]


@pytest.fixture(name="data", params=["identity", "both"])
def _data(request: pytest.FixtureRequest, data_of: DataOf) -> Interactions:
    rng = np.random.default_rng(0)
    drawn = rng.random((N_USERS, N_ITEMS))
    train = [(int(u), int(i)) for u, i in zip(*np.nonzero(drawn < 0.3), strict=True)]
    seen = [(int(u), int(i)) for u, i in zip(*np.nonzero(drawn > 0.8), strict=True)]
    data = data_of(N_USERS, N_ITEMS, train, negatives=seen, features=request.param)
    weights = rng.uniform(0.5, 2.0, data.train.n_pairs).astype(np.float32)
    return dataclasses.replace(data, train=dataclasses.replace(data.train, weights=weights))


def _in_float64(model, data: Interactions, settings: TrialSettings):
    copy = build_model(settings.model, data, seed=1).double()
    copy.load_state_dict({name: value.double() for name, value in model.state_dict().items()})
    for sums in (copy._users, copy._items):  # the values of the features too
        indptr, indices, values = sums._arrays(torch.device("cpu"))
        sums._on[torch.device("cpu")] = (indptr, indices, values.double())
    return copy


def _expected(model, data: Interactions, settings: TrialSettings, masked: bool) -> torch.Tensor:
    """The loss as its definition reads, over whole matrices in float64."""
    users = model.embed_users(torch.arange(data.n_users))
    items, biases = model.embed_items(torch.arange(data.n_items))
    scores = users @ items.T + biases
    weights = torch.from_numpy(data.train.to_csr().toarray()).double()
    weights = weights / (weights.sum() / data.train.n_pairs)
    observed = torch.from_numpy(data.train_negatives.to_csr().toarray() > 0)
    likes = weights.sum(1, keepdim=True) > 0  # who likes nothing is in no block
    weights[observed & likes] = settings.training.negatives.observed_as_positive
    liked = weights > 0
    counts = torch.ones_like(scores)
    counts[observed] = settings.training.negatives.observed_weight
    if settings.training.loss_function == "bpr_loss":
        counts[liked] = 0.0
        lost = softplus(scores[:, None, :] - scores[:, :, None])
        each = (lost * counts[:, None, :]).sum(2) / counts.sum(1, keepdim=True)
    else:
        # the denominator of positive i: itself, the negatives, and perhaps the other positives
        exponentials = scores.exp() * counts
        negative = exponentials.masked_fill(liked, 0.0).sum(1, keepdim=True)
        others = scores.exp() if masked else exponentials.sum(1, keepdim=True) - negative
        each = (negative + others).log() - scores
    negatives = settings.training.negatives
    counted = weights
    if negatives.top_weight:
        edges = scores.detach().topk(negatives.top_weight, dim=1).values[:, -1:]
        ahead = (scores.detach() - edges) / negatives.top_weight_temperature
        counted = weights * torch.sigmoid(ahead)
    loss = (counted * each).sum()
    optimizer = settings.optimizer
    n_positive = weights.sum(0)
    against = weights.sum() / data.n_items
    fu, fi = (
        torch.from_numpy(f.to_csr().toarray()).double()
        for f in (data.user_features, data.item_features)
    )
    of_items = optimizer.reg_positive * n_positive + optimizer.reg_negative * against
    loss = loss + 0.5 * optimizer.reg_user * (weights.sum(1) @ (fu @ model.U).square().sum(1))
    loss = loss + 0.5 * (of_items @ (fi @ model.V).square().sum(1))
    return loss + 0.5 * optimizer.reg_bias * ((n_positive + against) @ (fi @ model.b).square())


@pytest.mark.parametrize(("loss", "masked"), LOSSES)
@pytest.mark.parametrize("kind", ["all", "shared"])
@pytest.mark.parametrize(("weight", "as_positive"), [(1.0, 0), (3.0, 0), (0.0, 0), (1.0, 0.3)])
@pytest.mark.parametrize(("similarity", "top"), [("dot", 0), ("cosine", 0), ("cosine", 4)])
def test_a_step_is_the_gradient(
    data, settings_of: SettingsOf, loss, masked, kind, weight, as_positive, similarity, top
):
    """Of a block with everybody; a sample as large as the catalogue is the catalogue."""
    negatives = {
        "kind": kind,
        "observed_weight": weight,
        "observed_as_positive": as_positive,
        "mask_positives": masked,
        "top_weight": top,
        "top_weight_temperature": 0.7,
    }
    if kind == "shared":
        negatives["n_items"] = N_ITEMS
    regularisation = {
        "reg_user": 0.03,
        "reg_positive": 0.02,
        "reg_negative": 0.01,
        "reg_bias": 0.04,
    }
    settings = settings_of(
        model={"n_latent": 5, "similarity": similarity, "temperature": 0.4, "init_std": 1.0},
        optimizer={"name": "sgd", "lr": 1e-3, **regularisation},
        training={"loss_function": loss, "negatives": negatives},
    )
    model = build_model(settings.model, data, seed=1)
    with torch.no_grad():
        model.b.copy_(torch.linspace(-0.3, 0.4, len(model.b)))
    reference = _in_float64(model, data, settings)
    expected = _expected(reference, data, settings, masked)
    expected.backward()

    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    engine, _ = make_engine(model, data, settings)
    assert engine.name == "listwise"
    rate = 1e-3
    found = engine.train_epoch(rate)
    for name, parameter in model.named_parameters():
        gradient = (before[name] - parameter.detach()).double() / rate
        wanted = dict(reference.named_parameters())[name].grad
        assert torch.allclose(gradient, wanted, rtol=2e-3, atol=2e-3), name
    assert found > 0


@pytest.mark.parametrize(("loss", "masked"), LOSSES)
def test_the_loss_is_the_mean_over_positives(data, settings_of: SettingsOf, loss, masked):
    settings = settings_of(
        model={"n_latent": 5, "similarity": "cosine", "temperature": 0.4},
        optimizer={"name": "sgd", "reg_user": 0.0, "reg_positive": 0.0, "reg_negative": 0.0},
        training={
            "loss_function": loss,
            "negatives": {"kind": "all", "observed_weight": 2.0, "mask_positives": masked},
        },
    )
    model = build_model(settings.model, data, seed=1)
    with torch.no_grad():
        reference = _in_float64(model, data, settings)
        wanted = float(_expected(reference, data, settings, masked)) / data.train.n_pairs
    engine, _ = make_engine(model, data, settings)
    assert engine.train_epoch(1e-3) == pytest.approx(wanted, rel=1e-4)


def test_the_edge_of_a_sample_is_where_its_columns_stand_for_so_many_items():
    tile = torch.tensor([[5.0, 4.0, 3.0, 2.0, 1.0]])
    counts = torch.tensor([1.5, 2.0, 0.25, 4.0, 9.0])
    one = Pairs(torch.tensor([0]), torch.tensor([0.0]), torch.tensor([2.0]))
    for rank, edge in ((1, 5.0), (2, 4.0), (3, 4.0), (4, 2.0), (100, 1.0)):
        found = top_weighted(one, tile, counts, TopWeights(rank, 2.0)).weights
        assert float(found) == pytest.approx(2.0 / (1.0 + math.exp(edge / 2.0)))
