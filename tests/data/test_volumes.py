"""Cutting slices out of volumes: orientation, square pixels, intensities, which slices, files read once, memory."""

import collections
import itertools
import tracemalloc

import nibabel
import numpy as np
import pytest

from data import DataOptions, nifti
from data.builders import base
from data.builders.brats import Brats
from tests.data.layouts import everything, opened, prepared
from tests.data.niftis import SHAPE, brats, brats_file, head, save

AXES = ["".join(axes) for order in itertools.permutations(("LR", "AP", "IS")) for axes in itertools.product(*order)]


@pytest.mark.parametrize("axes", AXES)
def test_any_orientation_is_read_as_right_anterior_superior(tmp_path, axes):
    voxels, spacing = head(3), (1.0, 1.5, 3.0)
    path = save(tmp_path / "a.nii.gz", voxels, axes, spacing)
    assert nibabel.aff2axcodes(nibabel.load(path).affine) == tuple(axes)
    grid = nifti.grid(path)
    assert grid.shape == SHAPE and grid.spacing == pytest.approx(spacing) and grid.side == 42  # 28 x 1.5 mm
    np.testing.assert_allclose(grid.affine[:3, 3], (-11.5, 7.25, 3.0), atol=1e-5)
    np.testing.assert_array_equal(nifti.read(path), voxels.astype(np.int16))


def test_an_oblique_volume_keeps_its_voxels(tmp_path):
    turn = np.deg2rad(20)
    affine = np.eye(4)
    affine[:2, :2] = [[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]
    nibabel.save(nibabel.Nifti1Image(head(1), affine @ np.diag([-2, 1, 1, 1])), tmp_path / "a.nii")
    np.testing.assert_array_equal(nifti.read(tmp_path / "a.nii"), head(1)[::-1])
    assert nifti.grid(tmp_path / "a.nii").spacing == pytest.approx((2, 1, 1))


def test_scaled_integers_are_read_as_their_header_says(tmp_path):
    image = nibabel.Nifti1Image(head(0).astype(np.int16), np.eye(4))
    image.header.set_slope_inter(0.5, -10)
    image.to_filename(tmp_path / "a.nii.gz")
    voxels = nifti.read(tmp_path / "a.nii.gz")
    assert voxels.dtype == np.float32
    np.testing.assert_allclose(voxels, nibabel.load(tmp_path / "a.nii.gz").get_fdata(), rtol=1e-6)


ALL = {"slices": (0, 1), "slice_step": 1, "brain_fraction": 0.0, "image_size": 28}
NATIVE = ALL | {"percentiles": (0, 100), "bits": 16}


def volumes_of(root, count=6, axes="LPS", **kwargs):
    """Volumes head(0), head(1) ... without segmentation."""
    for i in range(count):
        save(brats_file(root, f"BraTS20_Training_{i:03}", "flair"), head(i), axes, **kwargs)
    return root


def shown(volume: np.ndarray, z: int) -> np.ndarray:
    """Slice z of SHAPE as it should come out with NATIVE options, 0..1."""
    inside = volume[volume != 0]
    plane = ((volume[:, :, z] - inside.min()) / (inside.max() - inside.min())).clip(0, 1)
    return np.pad(plane[::-1, ::-1].T, ((0, 0), (2, 2)))


@pytest.mark.parametrize("axes", ["LPS", "RAS", "PSR", "SLA"])
def test_anterior_is_up_and_the_left_is_on_the_right(tmp_path, axes):
    dataset = opened(tmp_path, "brats", volumes_of(tmp_path / axes, axes=axes), **NATIVE)
    rows = everything(dataset)
    middle = rows[b"BraTS20_Training_003/010"][..., 0] / 65535
    corners = [middle[7:12, 7:12], middle[7:12, 16:21], middle[16:21, 7:12], middle[16:21, 16:21]]
    anterior_right, anterior_left, posterior_right, posterior_left = (corner.mean() for corner in corners)
    assert anterior_left > posterior_left + 0.1 > anterior_right + 0.2 > posterior_right + 0.3
    for i, z in itertools.product(range(6), (4, 10, 15)):
        found = rows[f"BraTS20_Training_{i:03}/{z:03}".encode()][..., 0] / 65535
        np.testing.assert_allclose(found, shown(head(i).astype(np.int16), z), atol=1e-5)


def test_one_volume_has_one_black_and_one_white(tmp_path):
    options = NATIVE | {"percentiles": (10, 80)}
    rows = everything(opened(tmp_path, "brats", volumes_of(tmp_path / "b"), **options))
    volume = head(2).astype(np.int16)
    low, high = np.percentile(volume[volume != 0], (10, 80))
    for z in (3, 9, 16):
        expected = ((volume[::-1, ::-1, z].T - low) / (high - low)).clip(0, 1)
        found = rows[f"BraTS20_Training_002/{z:03}".encode()][:, 2:26, 0] / 65535
        np.testing.assert_allclose(found, expected, atol=1e-4)


@pytest.mark.parametrize(("bits", "levels"), [(8, 256), (16, 65536)])
def test_both_depths_are_fed(tmp_path, bits, levels):
    options = ALL | {"bits": bits}
    image = opened(tmp_path, "brats", volumes_of(tmp_path / "b"), **options).arrays("train")["image"]
    assert image.max() == levels - 1 and image.min() == 0
    assert (len(np.unique(image)) > 256) == (bits == 16)


def test_pixels_become_square_and_nothing_is_cut_off(tmp_path):
    source = volumes_of(tmp_path / "b", spacing=(2.0, 1.0, 1.0))  # 48 x 28 mm
    mask = everything(opened(tmp_path, "brats", source, **ALL | {"image_size": 48}))[b"BraTS20_Training_001/010"] > 25
    rows, columns = np.flatnonzero(mask.any((1, 2))), np.flatnonzero(mask.any((0, 2)))
    assert abs(np.ptp(columns) + 1 - 0.8 * 48) <= 2 and abs(np.ptp(rows) + 1 - 0.9 * 28) <= 2
    assert abs(rows.mean() - 23.5) <= 1 and abs(columns.mean() - 23.5) <= 1


def slices_of(dataset, subject: str) -> list[int]:
    return sorted(int(key[-3:]) for key in everything(dataset) if key.startswith(subject.encode()))


def test_slices_are_chosen_by_position_and_by_their_share_of_brain(tmp_path):
    source = volumes_of(tmp_path / "b")
    options = {"slices": (0.2, 0.8), "slice_step": 3, "brain_fraction": 0.0}
    assert slices_of(opened(tmp_path, "brats", source, **options), "BraTS20_Training_004") == [4, 7, 10, 13]
    share = (head(4) != 0).mean((0, 1))
    least = 0.4
    kept = [z for z in range(20) if share[z] >= least]
    assert 3 < len(kept) < 15
    options = {"slices": (0, 1), "slice_step": 1, "brain_fraction": least}
    assert slices_of(opened(tmp_path, "brats", source, **options), "BraTS20_Training_004") == kept
    options["brain_fraction"] = 0.0  # slices without any brain are no images
    some = slices_of(opened(tmp_path, "brats", source, **options), "BraTS20_Training_004")
    assert some == list(np.flatnonzero(share))


@pytest.mark.parametrize("shard", [1, 20_000, 64 << 20])
def test_fewer_slices_than_were_counted_are_written_in_any_number_of_shards(tmp_path, monkeypatch, shard):
    monkeypatch.setattr(base, "_SHARD_BYTES", shard)
    options = ALL | {"brain_fraction": 0.4, "cache": str(tmp_path / "cache")}
    dataset = opened(tmp_path, "brats", volumes_of(tmp_path / "b"), **options)
    (records,) = (tmp_path / "cache" / "records").iterdir()
    each = int(((head(0) != 0).mean((0, 1)) >= 0.4).sum())
    assert each < 20 and dataset.info.sizes == {s: each * n for s, n in dataset.info.patients.items()}
    assert base.Source.load(records).counts == dataset.info.sizes
    assert len(everything(dataset)) == 6 * each


def test_progress_reaches_its_end_though_slices_and_subjects_are_left_out(tmp_path):
    source, done = volumes_of(tmp_path / "b"), []
    damaged = brats_file(source, "BraTS20_Training_003", "flair")
    damaged.write_bytes(damaged.read_bytes()[:-2000])
    options = DataOptions(name="brats", dir=str(source), slices=(0, 1), brain_fraction=0.4, on_error="skip")
    builder = Brats(options, tmp_path / "records")
    builder.advance = done.append
    most = sum(builder.source.counts.values())
    builder.prepare()
    assert sum(done) == most == 6 * 5 > sum(builder.source.counts.values()) and builder.source.skipped == 1


def test_the_voxels_of_each_file_are_read_once(tmp_path, monkeypatch):
    loads, reads, load, read = [collections.Counter() for _ in range(2)] + [nibabel.load, nibabel.Nifti1Image.get_fdata]
    monkeypatch.setattr(nibabel, "load", lambda path: loads.update([str(path)]) or load(path))
    monkeypatch.setattr(
        nibabel.Nifti1Image, "get_fdata", lambda self, **k: reads.update([self.get_filename()]) or read(self, **k)
    )
    source = brats(tmp_path / "b")
    opened(tmp_path, "brats", source, modalities=("flair", "t2"), channels=2, **ALL)
    wanted = {str(path) for path in source.rglob("*.nii.gz") if path.name.split("_")[-1][:2] in ("fl", "t2", "se")}
    assert dict(reads) == dict.fromkeys(wanted, 1)
    assert dict(loads) == dict.fromkeys(wanted, 2)  # once for the header alone


def test_memory_does_not_grow_with_the_subjects(tmp_path):
    shape, peaks = (64, 64, 48), []
    for count in (3, 12):
        for i in range(count):
            save(brats_file(tmp_path / str(count), f"BraTS20_Training_{i:03}", "flair"), head(i, shape))
        options = DataOptions(name="brats", dir=str(tmp_path / str(count)), split=(1, 0, 0))
        builder = Brats(options, tmp_path / "records")
        tracemalloc.start()
        assert sum(1 for _ in builder.read("train")) == 4 * count
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    one = 4 * np.prod(shape)
    assert peaks[1] - peaks[0] < 0.5 * one < peaks[0] < 6 * one


def test_options_of_slices_are_part_of_the_key_of_volumes_only(tmp_path):
    source = brats(tmp_path / "b", seg=False)
    varied = ({}, {"slice_step": 2}, {"slices": (0.3, 0.7)}, {"brain_fraction": 0.2}, {"percentiles": (1, 99)})
    for changed in (*varied, {"modalities": ("t1",)}):
        opened(tmp_path, "brats", source, **changed)
    assert len([name for name in prepared(tmp_path) if name.startswith("records/brats")]) == 6
    for changed in varied:
        opened(tmp_path, "phantom_cxr", num_images=20, **changed)
    assert len([name for name in prepared(tmp_path) if "phantom" in name]) == 2
