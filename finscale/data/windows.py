"""Windows over a resident matrix: a batch is an index gather, windows are never copied out.

Shapes: B batch, L context, C channels (features), R rows of all assets stacked, W windows.
"""

import copy

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from finscale.data.rows import Rows
from finscale.errors import InputError

_SAMPLE_SEED = 0  # which windows choose an epoch varies with no run's seed and with no budget


class Windows:
    """The windows of one split: each ends on a labelled day and reaches `context_length` rows back.

    Contexts may reach back across split boundaries, never across assets. Raises InputError where
    a labelled day has too little history, so that no day is dropped in silence.
    """

    def __init__(self, rows: pd.DataFrame | Rows, split: str, context_length: int, device: torch.device) -> None:
        if isinstance(rows, pd.DataFrame):
            rows = Rows.of(rows)
        keys = rows.keys
        end_row = np.flatnonzero(keys["split"] == split)
        history = keys.groupby("asset").cumcount().to_numpy()[end_row] + 1
        if len(history) and history.min() < context_length:
            raise InputError(
                f"params.yaml: train.model.context_length = {context_length} needs more history than the first "
                f"{split} day has ({history.min()} rows); lower it or raise dataset.context_reserve"
            )
        self.keys = keys.loc[keys.index[end_row], ["date", "asset"]].reset_index(drop=True)
        self.context_length = context_length
        self._matrix_RC = rows.matrix.to(device)
        self._end_row = torch.from_numpy(end_row).to(device)
        self._offset_L = torch.arange(1 - context_length, 1, device=device)
        self.label = torch.from_numpy(keys["label"].to_numpy(dtype=np.float32)[end_row]).to(device)

    def __len__(self) -> int:
        return len(self._end_row)

    @property
    def channels(self) -> int:
        return self._matrix_RC.shape[1]

    def gather(self, index_B: Tensor) -> tuple[Tensor, Tensor]:
        """Windows and labels by position: x (B, L, C) and y (B,)."""
        row_BL = self._end_row[index_B, None] + self._offset_L
        return self._matrix_RC[row_BL], self.label[index_B]

    def sample(self, count: int | None) -> "Windows":
        """At most `count` of these windows, in their order: the same ones for every run; all of them for None.

        Stratified by day: each day keeps the same share of its windows, to within one.
        """
        if count is None or count >= len(self):
            return self
        chosen = np.sort(_stratified(self.keys["date"].to_numpy())[:count])
        part, index = copy.copy(self), torch.from_numpy(chosen).to(self.label.device)
        part.keys = self.keys.iloc[chosen].reset_index(drop=True)
        part._end_row, part.label = self._end_row[index], self.label[index]
        return part


def development_windows(
    rows: pd.DataFrame | Rows, context_length: int, device: torch.device, validation: int | None
) -> dict[str, Windows]:
    """What trains, and what chooses an epoch: at most `validation` of the validation days' windows, or all for None."""
    if isinstance(rows, pd.DataFrame):
        rows = Rows.of(rows)
    rows = rows.on(device)
    train = Windows(rows, "train", context_length, device)
    return {"train": train, "validation": Windows(rows, "validation", context_length, device).sample(validation)}


def _stratified(date_W: np.ndarray) -> np.ndarray:
    """Positions in an order of which any first part holds the same share of each day, to within one window."""
    rng = np.random.default_rng(_SAMPLE_SEED)
    shuffled = rng.permutation(len(date_W))
    by_day = shuffled[np.argsort(date_W[shuffled], kind="stable")]  # days in order, each day's windows at random
    first, size = np.unique(date_W[by_day], return_index=True, return_counts=True)[1:]
    place = np.arange(len(by_day)) - np.repeat(first, size)
    share = (place + rng.random(len(first)).repeat(size)) / size.repeat(size)
    return by_day[np.argsort(share, kind="stable")]
