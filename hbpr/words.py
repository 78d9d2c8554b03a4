"""Words of messages that several places need."""

import difflib
from collections.abc import Callable, Iterable


def near_words(
    word: object, known: Iterable[str], *, most: int = 1, likeness: float = 0.6
) -> list[str]:
    """Return the known words that somebody may have meant, the likeliest first.

    Args:
        word: What was written.
        known: What could have been written.
        most: Words to return at most.
        likeness: Share of letters, in their order, that must agree; see
            `difflib.get_close_matches`.

    Example:
        >>> near_words("n_itr", ["n_iter", "n_latent"])
        ['n_iter']
    """
    return difflib.get_close_matches(str(word), list(known), n=most, cutoff=likeness)


def did_you_mean(
    word: object,
    known: Iterable[str],
    otherwise: str = "",
    *,
    shown: Callable[[str], object] = str,
    most: int = 1,
    likeness: float = 0.6,
) -> str:
    """Return a question with a blank before it, or something else where no known word is near.

    Args:
        word: What was written.
        known: What could have been written.
        otherwise: What is returned where nothing is near.
        shown: Returns what the question says for a known word.
        most: As for `near_words`.
        likeness: As for `near_words`.

    Example:
        >>> did_you_mean("n_itr", ["n_iter", "n_latent"])
        ' Did you mean n_iter?'
        >>> did_you_mean("batch", ["n_iter"], " Known: n_iter.")
        ' Known: n_iter.'
    """
    near = near_words(word, known, most=most, likeness=likeness)
    return f" Did you mean {', '.join(str(shown(each)) for each in near)}?" if near else otherwise
