"""Segments of files that grow: put together they are the file, whoever wrote them and when."""

from hypothesis import given
from hypothesis import strategies as st

from tune.storage.segments import Piece, Segment, chain


def test_a_name_is_read_back() -> None:
    segment = Segment(3, 512, 2048)
    assert segment.name == "000000000000512-000000000002048"
    assert Segment.read("00003", segment.name) == segment
    for term, name in (("x", segment.name), ("00003", "begins.json"), ("00003", "5-5")):
        assert Segment.read(term, name) is None


def test_what_a_driver_adds_after_another_took_over_does_not_count() -> None:
    found = [Segment(1, 0, 10), Segment(1, 10, 20), Segment(2, 10, 13), Segment(1, 20, 30)]
    pieces = chain(found, {1: 0, 2: 10})
    assert pieces == [Piece(Segment(1, 0, 10), 0, 10), Piece(Segment(2, 10, 13), 10, 13)]


def test_a_segment_that_the_next_sitting_saw_half_of() -> None:
    merged = Segment(1, 0, 20)  # merged after the other had begun at 10
    assert chain([merged, Segment(2, 10, 12)], {1: 0, 2: 10}) == [
        Piece(merged, 0, 10),
        Piece(Segment(2, 10, 12), 10, 12),
    ]


def test_a_gap_ends_the_file() -> None:
    assert chain([Segment(1, 0, 5), Segment(1, 7, 9)], {1: 0}) == [Piece(Segment(1, 0, 5), 0, 5)]
    assert chain([Segment(2, 5, 9)], {2: 5}) == []
    assert chain([Segment(1, 0, 5)], {}) == []


@given(
    st.lists(st.lists(st.integers(1, 9), max_size=6), min_size=1, max_size=4),
    st.lists(st.integers(0, 9), min_size=4, max_size=4),
    st.randoms(use_true_random=False),
)
def test_sittings_that_lose_and_merge_make_one_file(writes, lost, random) -> None:
    """Each sitting takes over some of what was there and adds to it, merged or not."""
    content: list[tuple[int, int]] = []  # (term, offset) of each byte
    found: list[Segment] = []
    begins: dict[int, int] = {}
    for term, (lengths, less) in enumerate(zip(writes, lost, strict=False), 1):
        del content[max(0, len(content) - less) :]
        begins[term] = position = len(content)
        segments = []
        for length in lengths:
            segments.append(Segment(term, position, position + length))
            content += [(term, at) for at in range(position, position + length)]
            position += length
        if len(segments) > 1 and random.random() < 0.5:
            merged = Segment(term, segments[0].start, segments[-1].end)
            segments = [merged, *segments] if random.random() < 0.5 else [merged]
        found += segments
    random.shuffle(found)
    read = [
        (piece.segment.term, at)
        for piece in chain(found, begins)
        for at in range(piece.start, piece.end)
    ]
    assert read == content
