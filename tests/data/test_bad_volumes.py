"""Volumes and options of volumes that cannot be used: one sentence that names the file or key, nothing left behind."""

import gzip
import struct

import nibabel
import numpy as np
import pytest

from data import nifti
from data.errors import CorruptImage
from tests.data.layouts import everything, opened
from tests.data.niftis import SHAPE, brats, brats_file, head, regions, save
from tests.data.test_bad_input import refused


def flair(source, number=3):
    return brats_file(source, f"BraTS20_Training_{number:03}", "flair")


def cut(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def cut_header(path):
    path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes())[:100]))


def no_nifti(path):
    path.write_bytes(b"not a volume")


def empty(path):
    save(path, np.zeros(SHAPE))


def not_a_number(path):
    voxels = head(3)
    voxels[12, 14, 10] = np.nan
    save(path, voxels, dtype=np.float32)


def four_dimensions(path):
    nibabel.save(nibabel.Nifti1Image(np.ones((*SHAPE, 2), np.int16), np.eye(4)), path)


def colours(path):
    rgb = np.zeros(SHAPE, np.dtype([(c, np.uint8) for c in "RGB"]))
    nibabel.save(nibabel.Nifti1Image(rgb, np.eye(4)), path)


def no_direction(path):
    _with_affine(path, np.diag([1.0, 0.0, 1.0, 1.0]))


def hair_thin(path):
    _with_affine(path, np.diag([1e-5, 1.0, 1.0, 1.0]))


def _with_affine(path, affine):
    image = nibabel.Nifti1Image(head(3), np.eye(4))
    image.header.set_sform(affine, 1)
    image.header.set_qform(None, 0)
    image.header["srow_x"], image.header["srow_y"], image.header["srow_z"] = affine[:3]
    path.write_bytes(gzip.compress(image.header.binaryblock + bytes(4) + head(3).tobytes("F")))


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (cut, "flair.nii.gz cannot be read ("),
        (cut_header, "flair.nii.gz cannot be read as NIfTI ("),
        (no_nifti, "flair.nii.gz cannot be read as NIfTI ("),
        (empty, "flair.nii.gz shows nothing"),
        (not_a_number, "flair.nii.gz holds values that are not finite"),
        (four_dimensions, "flair.nii.gz has shape (24, 28, 20, 2); one volume [x, y, z] is needed"),
        (colours, "flair.nii.gz holds [('R', 'u1'), ('G', 'u1'), ('B', 'u1')] voxels"),
        (no_direction, "flair.nii.gz does not say how it is oriented (an axis has no direction)"),
        (hair_thin, "flair.nii.gz says its voxels are 1e-05 x 1 x 1 mm, which cannot be"),
        (lambda path: path.unlink(), "BraTS20_Training_003 has no flair volume, "),
    ],
)
def test_a_volume_that_cannot_be_used(tmp_path, spoil, says):
    source = brats(tmp_path / "b")
    spoil(flair(source))
    message = refused(tmp_path, "brats", source, says)
    assert str(flair(source)) in message and 'data.on_error="skip"' in message
    dataset = opened(tmp_path, "brats", source, on_error="skip", slices=(0, 1))
    assert dataset.info.skipped == 1 and sum(dataset.info.patients.values()) == 7
    assert not any(key.startswith(b"BraTS20_Training_003") for key in everything(dataset))


def test_a_header_that_claims_more_than_can_be_held_is_refused_unread(tmp_path, monkeypatch):
    source = brats(tmp_path / "b")
    header = nibabel.Nifti1Header()
    header.set_data_shape((2000, 2000, 2000))
    flair(source).write_bytes(gzip.compress(header.binaryblock + bytes(4)))
    monkeypatch.setattr(nibabel.Nifti1Image, "get_fdata", lambda *a, **k: pytest.fail("voxels were read"))
    refused(tmp_path, "brats", source, "shape (2000, 2000, 2000), more than 67,108,864 voxels")


def extended(offset, size=0, big_endian=False):
    """A gzipped volume without voxels that says it has an extension of `size` bytes before byte `offset`."""
    header = nibabel.Nifti1Header(endianness=">" if big_endian else "<")
    header.set_data_shape(SHAPE)
    header["vox_offset"] = offset
    extension = b"\1\0\0\0" + struct.pack(">2i" if big_endian else "<2i", size, 6) + bytes(56)
    return gzip.compress(header.binaryblock + extension)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ((2**31,), "it says its voxels begin at byte 2147483648; 8,388,608 is the most that is read"),
        ((np.nan,), "it says its voxels begin at byte nan"),
        ((-352.0,), "it says its voxels begin at byte -352"),
        ((0.0,), "it says it has extensions, and its voxels begin before"),
        ((416, 2**31 - 16), "it has an extension of 2,147,483,632 bytes, of which 64 are there"),
        ((416, 80, True), "it has an extension of 80 bytes, of which 64 are there"),
        ((416, -16), "it has an extension of -16 bytes"),
    ],
)
def test_extensions_that_cannot_be_are_not_read(tmp_path, monkeypatch, given, says):
    path = tmp_path / "flair.nii.gz"
    path.write_bytes(extended(*given))
    monkeypatch.setattr(nibabel, "load", lambda path: pytest.fail("nibabel opened it"))
    with pytest.raises(CorruptImage) as raised:
        nifti.grid(path)
    assert f"{path} cannot be read as NIfTI ({says}" in str(raised.value)


@pytest.mark.parametrize("kind", [nibabel.Nifti1Image, nibabel.Nifti2Image])
@pytest.mark.parametrize("order", "<>")
def test_extensions_do_no_harm(tmp_path, kind, order):
    image = kind(head(1), np.eye(4), kind.header_class(endianness=order))
    image.header.extensions.append(nibabel.nifti1.Nifti1Extension(6, b"made by a scanner" * 9))
    image.header.extensions.append(nibabel.nifti1.Nifti1Extension(4, b""))
    nibabel.save(image, tmp_path / "a.nii.gz")
    assert nifti.grid(tmp_path / "a.nii.gz").shape == SHAPE
    np.testing.assert_array_equal(nifti.read(tmp_path / "a.nii.gz"), head(1))


def test_the_flag_of_extensions_alone_does_no_harm(tmp_path):
    (tmp_path / "a.nii.gz").write_bytes(extended(352.0))
    assert nifti.grid(tmp_path / "a.nii.gz").shape == SHAPE


def test_volumes_of_one_subject_are_on_one_grid(tmp_path):
    source = brats(tmp_path / "b")
    seg = brats_file(source, "BraTS20_Training_003", "seg")
    for voxels, spacing in ((regions()[:, :, :-1], (1, 1, 1)), (regions(), (1, 1, 2))):
        save(seg, voxels, spacing=spacing)
        message = refused(tmp_path, "brats", source, f"{seg} is of shape {voxels.shape} and not on the grid")
        assert "BraTS20_Training_003" in message
    save(seg, regions(), "RAS")  # stored along other axes, but the same voxels at the same places
    opened(tmp_path, "brats", source)


def test_no_slice_left_is_said(tmp_path):
    message = refused(tmp_path, "brats", brats(tmp_path / "b"), "No slice of the train", brain_fraction=0.9)
    assert "data.brain_fraction=0.9" in message


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"slices": (0.5, 0.5)}, "data.slices=(0.5, 0.5) must be (low, high) with 0 <= low < high <= 1."),
        ({"slices": (0.2,)}, "data.slices=(0.2,)"),
        ({"slices": (0.5, 60)}, "data.slices=(0.5, 60)"),
        ({"percentiles": (-1, 99)}, "data.percentiles=(-1, 99) must be (low, high) with 0 <= low < high <= 100."),
        ({"slice_step": 0}, "data.slice_step=0 must be at least 1."),
        ({"brain_fraction": 1.0}, "data.brain_fraction=1.0 must be at least 0 and below 1."),
        ({"brain_fraction": -0.1}, "data.brain_fraction=-0.1"),
        ({"modalities": "flair"}, "write ('flair',)"),
        ({"modalities": ("t1", "t1")}, "data.modalities=('t1', 't1') names one"),
        ({"modalities": ("t1", "t2", "flair")}, "are 3 channels: set data.channels=3."),
        ({"modalities": ("dwi",)}, "names 'dwi', which brats does not have; it has flair, t1, t1ce, t2."),
    ],
)
def test_options_of_volumes_are_checked(tmp_path, wrong, says):
    (tmp_path / "b").mkdir()
    refused(tmp_path, "brats", tmp_path / "b", says, **wrong)
