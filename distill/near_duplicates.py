"""Texts that are nearly the same, found by MinHash (Broder 1997) and banding."""

from collections.abc import Sequence

from datasketch import MinHash, MinHashLSH

from distill.holdout import normalised

_SHINGLE = 5
"""Characters."""
_PERMUTATIONS = 128


def first_of_each(texts: Sequence[str], *, similarity: float) -> list[int]:
    """Places of the texts that no earlier kept one resembles; the same in every run.

    similarity: Jaccard's, of the sets of 5-grams of characters, case aside. Banding may miss a
    pair that is barely that alike.
    """
    index = MinHashLSH(threshold=similarity, num_perm=_PERMUTATIONS)
    kept = []
    for at, text in enumerate(texts):
        sketch = MinHash(num_perm=_PERMUTATIONS, seed=1)
        sketch.update_batch([shingle.encode() for shingle in sorted(_shingles(text))])
        near = [other for other in index.query(sketch) if _alike(text, texts[other], similarity)]
        if not near:
            index.insert(at, sketch)
            kept.append(at)
    return kept


def _alike(one: str, other: str, similarity: float) -> bool:
    """Exactly, of the few that banding brings together."""
    ours, theirs = _shingles(one), _shingles(other)
    return len(ours & theirs) >= similarity * len(ours | theirs)


def _shingles(text: str) -> set[str]:
    told = normalised(text).casefold()
    return {told[at : at + _SHINGLE] for at in range(max(1, len(told) - _SHINGLE + 1))}
