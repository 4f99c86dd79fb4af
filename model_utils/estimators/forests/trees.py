"""Fitted decision trees as plain arrays: what can be saved, checked in full, and walked without leaving bounds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model_utils.estimators.saving import Saved


@dataclass(frozen=True)
class Trees(Saved):
    """Binary trees, their N nodes one tree after the other, every parent before its children.

    scikit-learn's compiled trees follow whatever node and feature numbers they hold, so a damaged file makes them read
    foreign memory. Here the worst is an IndexError, and a file means the same under every version of scikit-learn.

    Attributes:
        root: First node of each tree, T.
        left: Where a row goes whose feature is at most the threshold, N; a leaf names itself on both sides.
        right: Where the others go, N.
        feature: Column that a node looks at, N; 0 at leaves.
        threshold: What it is compared with, N.
        value: What a node predicts, N.
    """

    root: NDArray[np.int64]
    left: NDArray[np.int64]
    right: NDArray[np.int64]
    feature: NDArray[np.int64]
    threshold: NDArray[np.float64]
    value: NDArray[np.float64]

    @property
    def is_leaf(self) -> NDArray[np.bool_]:
        """Which nodes are leaves, N."""
        return np.asarray(self.left == np.arange(len(self.left)))

    def leaves(self, x: NDArray[np.float32]) -> NDArray[np.int64]:
        """The leaf that each row ends in, n x T; x is n x d."""
        row = np.arange(len(x))[:, None]
        node = np.broadcast_to(self.root, (len(x), len(self.root)))
        while True:
            goes_left = x[row, self.feature[node]] <= self.threshold[node]
            child = np.where(goes_left, self.left[node], self.right[node])
            if np.array_equal(child, node):
                return child
            node = child

    def predict(self, x: NDArray[np.float32]) -> NDArray[np.float64]:
        """The mean of all trees, n; x is n x d."""
        return np.asarray(self.value[self.leaves(x)].mean(axis=1))


def trees_of(estimators: Sequence[Any]) -> Trees:
    """Takes the trees out of fitted scikit-learn regression trees with one output."""
    trees = [estimator.tree_ for estimator in estimators]
    root = np.cumsum([0, *(tree.node_count for tree in trees)])[:-1]
    first = np.repeat(root, [tree.node_count for tree in trees])

    def joined(name: str) -> Any:
        return np.concatenate([getattr(tree, name) for tree in trees])

    leaf = joined("children_left") < 0
    own = np.arange(len(leaf))
    return Trees(
        root=root,
        left=np.where(leaf, own, joined("children_left") + first),
        right=np.where(leaf, own, joined("children_right") + first),
        feature=np.where(leaf, 0, joined("feature")),
        threshold=joined("threshold"),
        value=joined("value")[:, 0, 0],
    )


def checked(trees: Trees, width: int) -> Trees:
    """Trees that can be walked safely.

    Raises:
        ValueError: They are none over `width` features, in the words of `fault`.
    """
    for item in fields(Trees):
        array, dtype = getattr(trees, item.name), np.float64 if item.name in ("threshold", "value") else np.int64
        if array.dtype != dtype or array.ndim != 1:
            raise ValueError(f"{item.name}: found {array.ndim}-dimensional {array.dtype}, expected {dtype.__name__}")
    if found := fault(trees, width):
        raise ValueError(found)
    return trees


def fault(trees: Trees, width: int) -> str | None:
    """Says what makes arrays no trees over `width` features, in words; None where they are.

    Every node must be reached exactly once, from a parent of its own tree that comes before it, and every number be
    finite; then walking ends, in a leaf, for any input.
    """
    count = len(trees.left)
    if any(len(array) != count for array in (trees.right, trees.feature, trees.threshold, trees.value)):
        return "its arrays of nodes differ in length"
    root = trees.root
    if not len(root) or root[0] != 0 or (np.diff(root) < 1).any() or root[-1] >= count:
        return f"the first nodes of its trees are not ascending from 0 to below {count}"
    own, is_leaf = np.arange(count), trees.is_leaf
    end = np.repeat(np.append(root[1:], count), np.diff(np.append(root, count)))  # of each node's tree
    half = is_leaf != (trees.right == own)
    if half.any():
        return f"node {int(half.argmax())} is a leaf on one side only"
    for name, child in (("left", trees.left), ("right", trees.right)):
        wrong = ~is_leaf & ((child <= own) | (child >= end))
        if wrong.any():
            node = int(wrong.argmax())
            return f"node {node} has {name} child {child[node]}, expected {node + 1} to {end[node] - 1}"
    children = np.sort(np.concatenate([trees.left[~is_leaf], trees.right[~is_leaf]]))
    if not np.array_equal(children, np.setdiff1d(own, root)):
        return "a node has two parents or none"
    wrong = (trees.feature < 0) | (trees.feature >= width)
    if wrong.any():
        node = int(wrong.argmax())
        return f"node {node} looks at feature {trees.feature[node]}, expected 0 to {width - 1}"
    if not (np.isfinite(trees.threshold).all() and np.isfinite(trees.value).all()):
        return "a threshold or value is not finite"
    return None
