"""First weights of NeuMF from its two towers, each trained alone."""

from typing import Final

import torch

from hbpr.data.interactions import Interactions
from hbpr.models.neumf import NeuMF
from hbpr.settings.models import NeuMFSettings, TrialSettings
from hbpr.training.autograd import AutogradEngine
from hbpr.training.engine import learning_rate

#: Share of the GMF tower in the joint output; the paper's value.
_GMF_SHARE: Final = 0.5


def pretrain(model: NeuMF, data: Interactions, settings: TrialSettings) -> None:
    """Train both towers alone for ``model.pretrain_epochs``, and put them together in `model`.

    The joint model then scores the mean of the two.

    Args:
        model: Takes over the weights, in place, by both towers of the same sizes.
        data: Its training part is read.
        settings: What the joint training uses, here with a schedule of its own.

    Source:
        He et al., "Neural collaborative filtering", WWW 2017, section 3.4.1.
    """
    gmf = _train(model, data, settings, n_latent=model.n_latent, hidden=())
    mlp = _train(model, data, settings, n_latent=0, hidden=model.hidden)
    with torch.no_grad():
        model.U.copy_(torch.cat([gmf.U, mlp.U], dim=1))
        model.V.copy_(torch.cat([gmf.V, mlp.V], dim=1))
        model.b.copy_(_GMF_SHARE * gmf.b + (1.0 - _GMF_SHARE) * mlp.b)
        model.g.copy_(_GMF_SHARE * gmf.g)
        model.f.copy_((1.0 - _GMF_SHARE) * mlp.f)
        learned = dict(mlp.named_parameters())
        for name, weight in model.named_parameters():
            if name not in ("U", "V", "b", "g", "f"):
                weight.copy_(learned[name])


def _train(
    joint: NeuMF,
    data: Interactions,
    settings: TrialSettings,
    *,
    n_latent: int,
    hidden: tuple[int, ...],
) -> NeuMF:
    shape = settings.model
    assert isinstance(shape, NeuMFSettings)
    model = NeuMF(
        joint.user_features,
        joint.item_features,
        n_latent=n_latent,
        n_latent_mlp=shape.n_latent_mlp,
        hidden=hidden,
        dropout=shape.dropout,
        item_bias=shape.item_bias,
        init_std=shape.init_std,
        seed=settings.training.seed,
    )
    engine = AutogradEngine(model, data, settings.optimizer, settings.training)
    for epoch in range(1, shape.pretrain_epochs + 1):
        engine.train_epoch(learning_rate(settings.optimizer, epoch, shape.pretrain_epochs))
    return model
