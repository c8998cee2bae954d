"""Windows over a resident matrix: a batch is an index gather, windows are never copied out.

Shapes: B batch, L context, C channels (features), R rows of all assets stacked.
"""

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from finscale.data.dataset import feature_names
from finscale.errors import InputError


class Windows:
    """The windows of one split: each ends on a labelled day and reaches `context_length` rows back.

    Contexts may reach back across split boundaries, never across assets. Raises InputError where
    a labelled day has too little history, so that no day is dropped in silence.
    """

    def __init__(self, rows: pd.DataFrame, split: str, context_length: int, device: torch.device) -> None:
        end_row = np.flatnonzero(rows["split"] == split)
        history = rows.groupby("asset").cumcount().to_numpy()[end_row] + 1
        if len(history) and history.min() < context_length:
            raise InputError(
                f"params.yaml: train.model.context_length = {context_length} needs more history than the first "
                f"{split} day has ({history.min()} rows); lower it or raise dataset.context_reserve"
            )
        self.keys = rows.loc[end_row, ["date", "asset"]].reset_index(drop=True)
        self.context_length = context_length
        matrix_RC = rows[feature_names(rows)].to_numpy(dtype=np.float32, copy=True)
        self._matrix_RC = torch.from_numpy(matrix_RC).to(device)
        self._end_row = torch.from_numpy(end_row).to(device)
        self._offset_L = torch.arange(1 - context_length, 1, device=device)
        self.label = torch.from_numpy(rows["label"].to_numpy(dtype=np.float32)[end_row]).to(device)

    def __len__(self) -> int:
        return len(self._end_row)

    @property
    def channels(self) -> int:
        return self._matrix_RC.shape[1]

    def gather(self, index_B: Tensor) -> tuple[Tensor, Tensor]:
        """Windows and labels by position: x (B, L, C) and y (B,)."""
        row_BL = self._end_row[index_B, None] + self._offset_L
        return self._matrix_RC[row_BL], self.label[index_B]
