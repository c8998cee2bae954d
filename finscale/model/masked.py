"""Masked patches: the encoder learns by putting back what it was not shown, without a label.

Nie et al. (2023), section 3.2, with their ratio of 0.4; the same loss as transformers' PatchTSTForPretraining where
patches do not overlap. Where they do, a hidden patch's days are hidden in its neighbours too, since they would give it
away; so a larger share of the days is hidden than of the patches (assumed, not studied).

Shapes: B batch, L context, C channels, N patches of a channel, P patch length, D d_model.
"""

import torch
from torch import Tensor, nn

from finscale.model.config import ModelConfig
from finscale.model.mup import rescale_initial
from finscale.model.patchtst import PatchTST, normalise, patchify
from finscale.model.shape import Shape

_HEAD_ONLY = {"pooling": "mean", "head_hidden": 0}  # options without weights that fine-tuning would not take over
_CHECKED_SEED = 0  # out of training the same patches are hidden each time, so that losses compare


class MaskedPatches(PatchTST):
    """x (B, L, C) -> mean squared error over the hidden patches of each window (B,), in units of the normed window.

    A PatchTST whose head gives a token's patch back. All weights but the head's are those of a PatchTST of the same
    shape and options: `encoder_weights`.
    """

    days: Tensor  # (N, L): days_of_patches

    def __init__(
        self, shape: Shape, model: ModelConfig, channels: int, mask_ratio: float, recompute: bool = False
    ) -> None:
        super().__init__(shape, model.model_copy(update=_HEAD_ONLY), channels, recompute)
        self.mask_ratio = mask_ratio
        self.head = nn.Linear(shape.d_model, model.patch_length)
        if model.parametrization == "mup":
            rescale_initial(nn.ModuleDict({"head": self.head}), shape)
        self.register_buffer("days", days_of_patches(model), persistent=False)

    def forward(self, x_BLC: Tensor) -> Tensor:
        normed_BLC, statistics_BC2 = normalise(x_BLC, self.model)
        hidden_BCN = self.draw(len(x_BLC), x_BLC.shape[2], x_BLC.device)
        days_BCL = (hidden_BCN.to(self.days.dtype) @ self.days) > 0
        shown_BLC = normed_BLC.masked_fill(days_BCL.transpose(1, 2), 0.0)
        tokens_BCND = self.encode(shown_BLC, statistics_BC2)[:, :, -self.model.num_patches :]
        wanted_BCNP = patchify(normed_BLC, self.model)
        error_BCN = (self.head(tokens_BCND * self.readout_scale).float() - wanted_BCNP).square().mean(dim=3)
        return (error_BCN * hidden_BCN).sum(dim=(1, 2)) / hidden_BCN.sum(dim=(1, 2))

    def draw(self, batch: int, channels: int, device: torch.device) -> Tensor:
        """Which patches are hidden (B, C, N): as many of each channel, drawn apart, as transformers draws them."""
        generator = None if self.training else torch.Generator(device).manual_seed(_CHECKED_SEED)
        noise_BCN = torch.rand(batch, channels, self.model.num_patches, device=device, generator=generator)
        kept = int(self.model.num_patches * (1 - self.mask_ratio))
        return noise_BCN.argsort(dim=2).argsort(dim=2) >= kept

    @staticmethod
    def encoder_weights(weights: dict[str, Tensor]) -> dict[str, Tensor]:
        """Of a whole state dict what a model of another head takes over."""
        return {name: tensor for name, tensor in weights.items() if not name.startswith("head.")}


def days_of_patches(model: ModelConfig) -> Tensor:
    """1 where a patch covers a day of the window, else 0: (N, L)."""
    patch_N1 = torch.arange(model.num_patches)[:, None]
    first_N1 = model.context_length - model.patch_length - model.patch_stride * (model.num_patches - 1 - patch_N1)
    day_L = torch.arange(model.context_length)
    return ((day_L >= first_N1) & (day_L < first_N1 + model.patch_length)).float()
