"""Interactions and features from files with named columns."""

from hbpr.data.feature_tables import add_features
from hbpr.data.table_files import open_table
from hbpr.data.table_rows import add_rows
from hbpr.data.text_files import TextForm
from hbpr.data.user_item import UserItemData
from hbpr.settings.models import Features as FeatureChoice
from hbpr.settings.models import TableSettings


def load_table(
    table: TableSettings,
    *,
    name: str = "table",
    rating_threshold: float = 3.5,
    item_feature: FeatureChoice = "indicator",
    user_feature: FeatureChoice = "indicator",
) -> UserItemData:
    """Read interactions, and features if they are asked for.

    Every row is a positive, unless ``table.value`` (at or above the threshold: positive; below:
    observed negative) or ``table.event`` says what it is. Rows with a missing id, value, event,
    time or weight are left out, and so are rows of other events, repeated pairs, and users and
    items below the minima: a warning counts them.

    With ``table.page`` every row that has a page also says that its item was shown there, rows of
    other events too: what a user was shown and never chose is an observed negative.

    The minima count distinct positive pairs: items with too few go first, then users; with
    ``k_core`` that is repeated until both minima hold. With an item its negatives go too.

    Args:
        table: Files and columns.
        name: Name of the dataset.
        rating_threshold: For ``table.value``.
        item_feature: indicator; metadata or both need ``table.item_features``.
        user_feature: indicator; metadata or both need ``table.user_features``.

    Raises:
        DatasetMissingError: A file is not there.
        DataError: A column is not there or cannot be read, or nothing is left.
    """
    form = TextForm(table.delimiter, table.encoding, table.quote, table.columns)
    paths = (table.path,) if isinstance(table.path, str) else table.path
    data = UserItemData(name)
    users, items = add_rows(data, open_table(paths, form), table, rating_threshold)
    for side, choice, add, ids in (
        ("user", user_feature, data.add_user_features, users),
        ("item", item_feature, data.add_item_features, items),
    ):
        if choice != "indicator":
            data.note_left_out(add_features(side, add, choice, table, ids))
    data.assemble()  # which reports what was left out
    return data
