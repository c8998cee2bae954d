"""Which precision and which products this processor is faster with: measured once, remembered, and obeyed."""

import json
from pathlib import Path

import pytest
import torch

from finscale.model import kernels
from finscale.training import products
from finscale.training.device import choose_compute
from finscale.training.products import Products, remembered

EPYC = Products(bf16=201, onednn=98, torch=76)
XEON_WITHOUT_AMX = Products(bf16=57, onednn=100, torch=101)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "finscale/products.json"


def test_bf16_is_taken_unless_fp32_is_clearly_faster() -> None:
    assert EPYC.bf16_pays
    assert not XEON_WITHOUT_AMX.bf16_pays
    assert Products(bf16=100, onednn=110, torch=90).bf16_pays  # noise of one measurement decides nothing
    assert EPYC.onednn_pays
    assert not Products(bf16=1, onednn=50, torch=100).onednn_pays


def test_a_machine_is_measured_once(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = remembered()
    assert min(first.bf16, first.onednn, first.torch) > 0
    monkeypatch.setattr(products, "measured", lambda: pytest.fail("measured twice"))
    assert remembered() == first


@pytest.mark.parametrize("damaged", ["{", "[]", '{"a": {"bf16": 1}}', '{"a": 1}'])
def test_a_damaged_memory_is_measured_anew(damaged: str, cache: Path) -> None:
    cache.parent.mkdir()
    cache.write_text(damaged)
    assert remembered().bf16 > 0
    assert len(json.loads(cache.read_text())) == 1


def test_without_a_place_to_remember_it_is_measured_each_time(cache: Path) -> None:
    cache.parent.write_text("a file where the folder would be")
    assert remembered().bf16 > 0


@pytest.mark.parametrize(("known", "precision"), [(EPYC, "bf16"), (XEON_WITHOUT_AMX, "fp32")])
def test_auto_takes_what_was_measured(known: Products, precision: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("finscale.training.device.remembered", lambda: known)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: True)
    assert choose_compute("cpu", "auto", 1).precision == precision
    assert choose_compute("cpu", "bf16", 1).precision == "bf16"
    choose_compute("cpu", "fp32", 1)


@pytest.mark.skipif(not kernels.HAS_ONEDNN, reason="torch has no oneDNN here")
def test_both_ways_multiply_alike() -> None:
    x, weight, bias = torch.randn(64, 16), torch.randn(8, 16), torch.randn(8)
    try:
        kernels.use_onednn(False)
        plain = kernels.linear(x, weight, bias)
        kernels.use_onednn(True)
        torch.testing.assert_close(kernels.linear(x, weight, bias), plain)
    finally:
        kernels.use_onednn(True)
