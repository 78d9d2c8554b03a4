"""Forms of trained models that answer: which one a kind of model takes, a file each."""

from hbpr.inference.forms.form import FormLoader
from hbpr.tables import Table

#: Loaders by `model.kind`; a kind that is not here is loaded with torch.
FORMS: Table[FormLoader] = Table(
    {
        "mf": "hbpr.inference.forms.vectors:load_factorization",
        "ials": "hbpr.inference.forms.vectors:load_ials",
        "ease": "hbpr.inference.forms.item_item:load_ease",
    }
)


def loader_of(kind: str) -> FormLoader:
    """Return what loads the form of a kind of model."""
    if kind in FORMS:
        return FORMS[kind]
    from hbpr.inference.forms.network import load_network

    return load_network
