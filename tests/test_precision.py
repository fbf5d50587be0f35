"""Training in bfloat16: what is rounded, what is not, and what it says where it cannot be."""

from __future__ import annotations

import json

import numpy as np
import pytest
from conftest import Csvs, Program

from util import precision, tf
from util.precision import has_bfloat16, in_bfloat16

needs_bfloat16 = pytest.mark.skipif(not has_bfloat16(), reason="this processor has no bfloat16 arithmetic")


@needs_bfloat16
def test_products_are_those_of_rounded_factors_inside_only():
    random = np.random.default_rng(0)
    a, b = (random.standard_normal([256, 256]).astype(np.float32) for _ in range(2))
    product = tf.function(tf.matmul)
    rounded = [tf.cast(tf.cast(x, tf.bfloat16), tf.float64).numpy() for x in (a, b)]
    exact = a.astype(np.float64) @ b.astype(np.float64)
    before, inside, after = product(a, b).numpy(), in_bfloat16(product)(a, b).numpy(), product(a, b).numpy()
    np.testing.assert_array_equal(before, after)
    np.testing.assert_allclose(before, exact, atol=1e-3)
    np.testing.assert_allclose(inside, rounded[0] @ rounded[1], rtol=2**-8, atol=1e-2)  # and the result rounded once
    assert np.abs(inside - exact).max() > 1e-2
    assert inside.dtype == np.float32


def test_step_that_fails_leaves_float32_behind():
    def fail() -> None:
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        in_bfloat16(fail)()
    assert not tf.config.optimizer.get_experimental_options().get(precision._REWRITE)


def test_processor_is_asked(tmp_path, monkeypatch):
    for flags, answer in (
        ("fpu avx512f avx512_bf16 sse", True),
        ("amx_bf16", True),
        ("fpu avx512f avx512_bf16x", False),
    ):
        (tmp_path / "cpuinfo").write_text(f"model name : x\nflags : {flags}\n")
        monkeypatch.setattr(precision, "Path", lambda _: tmp_path / "cpuinfo")
        assert has_bfloat16() is answer
    (tmp_path / "cpuinfo").unlink()
    assert not has_bfloat16()


@needs_bfloat16
def test_training_in_bfloat16_learns_like_float32_and_tests_in_float32(deepspeech: Program, csvs: Csvs):
    common = "--train_files", csvs.train, "--epochs=2", "--n_hidden=64", "--train_batch_size=2", "--dropout_rate=0"
    reduced = *common, "--automatic_mixed_precision", "True", "--checkpoint_dir=reduced", "--test_files", csvs.test
    done = [deepspeech(*flags) for flags in ((*common, "--checkpoint_dir=plain"), reduced, (*reduced, "--notrain"))]
    assert [run.returncode for run in done] == [0, 0, 0], done[1].stderr
    plain, rounded = (
        [event["loss"] for event in map(json.loads, (deepspeech.folder / name / "metrics.jsonl").open())][:2]
        for name in ("plain", "reduced")
    )
    assert plain != rounded
    assert rounded == pytest.approx(plain, rel=0.02)
    without = deepspeech("--notrain", "--test_files", csvs.test, "--checkpoint_dir=reduced", "--n_hidden=64")
    assert done[2].stdout == without.stdout


def test_parameter_servers_are_told(deepspeech: Program, csvs: Csvs):
    done = deepspeech("--train_files", csvs.train, "--automatic_mixed_precision", "--ps_hosts", "localhost:1",
                      "--worker_hosts", "localhost:2", "--job_name", "worker")  # fmt: skip
    assert done.returncode == 2
    assert "--automatic_mixed_precision is not for parameter servers" in done.stderr
