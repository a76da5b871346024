"""NIfTI volumes: the header first, the voxels once, axes turned to right, anterior and superior (RAS+).

nibabel reads the files and the affine says where each axis points; nothing is resampled here, so the slices of
an oblique acquisition are axial to within its angle.
"""

import dataclasses
from pathlib import Path

import numpy as np

from data import nifti_extensions
from data.errors import CorruptImage

EXTENSIONS = (".nii", ".nii.gz")
MAX_VOXELS = 1 << 26  # refuse more (256 MiB as float32): a few megabytes of gzip can unpack to gigabytes
MAX_SIDE = 4096  # pixels of a square slice; beyond it the header's voxel sizes cannot be meant
_WAY_OUT = ': replace it, or set data.on_error="skip" to leave its subject out.'


@dataclasses.dataclass(frozen=True, eq=False)
class Grid:
    """Where the voxels of a volume are once its axes point right, anterior and superior."""

    shape: tuple[int, int, int]  # voxels along right, anterior, superior
    affine: np.ndarray  # float64 [4, 4]: index of a voxel -> mm, RAS+

    @property
    def spacing(self) -> tuple[float, float, float]:
        """Distance between neighbouring voxels along each axis, mm."""
        return tuple(float(mm) for mm in np.sqrt((self.affine[:3, :3] ** 2).sum(0)))

    @property
    def side(self) -> int:
        """Pixels of the square that holds an axial slice at the finer of its two spacings."""
        spacing = self.spacing[:2]
        return max(round(n * mm / min(spacing)) for n, mm in zip(self.shape[:2], spacing, strict=True))

    def matches(self, other: "Grid") -> bool:
        """Whether both have the same voxels at the same places, to a thousandth of a millimetre a voxel."""
        return self.shape == other.shape and np.allclose(self.affine, other.affine, atol=1e-3)


def grid(path: Path) -> Grid:
    """The grid of a volume, from its header alone.

    Raises:
        CorruptImage: not a NIfTI file, not three-dimensional, more than MAX_VOXELS, voxels that are no real
            numbers, or voxel sizes that cannot be.
    """
    image = _opened(path)
    try:
        turned, affine = _turn(image)
    except Exception as error:  # a damaged affine: LinAlgError, OrientationError, ValueError
        raise CorruptImage(f"{path} does not say how it is oriented ({_one_line(error)}){_WAY_OUT}") from error
    shape = np.empty(3, int)
    shape[turned[:, 0].astype(int)] = image.shape
    found = Grid(tuple(shape.tolist()), affine)
    if not min(found.spacing) > 0 or found.side > MAX_SIDE:
        sizes = " x ".join(f"{mm:g}" for mm in found.spacing)
        raise CorruptImage(f"{path} says its voxels are {sizes} mm, which cannot be{_WAY_OUT}")
    return found


def read(path: Path) -> np.ndarray:
    """The voxels of a volume whose `grid` was taken, scaled as its header says.

    Returns:
        float32 [x, y, z], indices growing towards right, anterior and superior.

    Raises:
        CorruptImage: truncated or damaged, or values that are not finite.
    """
    from nibabel.orientations import apply_orientation

    image = _opened(path)
    try:
        voxels = image.get_fdata(dtype=np.float32, caching="unchanged")
    except Exception as error:  # gzip, zlib, mmap and nibabel each raise something else
        raise CorruptImage(f"{path} cannot be read ({_one_line(error)}){_WAY_OUT}") from error
    if not (np.isfinite(voxels.min()) and np.isfinite(voxels.max())):
        raise CorruptImage(f"{path} holds values that are not finite (NaN or infinite){_WAY_OUT}")
    return apply_orientation(voxels, _turn(image)[0])


def _opened(path: Path):
    """nibabel's image, of which only the header is read yet."""
    import nibabel

    try:
        nifti_extensions.check(path)
        image = nibabel.load(path)
        shape, kind = image.shape, image.get_data_dtype()
    except Exception as error:  # on a damaged header nibabel raises nearly anything
        raise CorruptImage(f"{path} cannot be read as NIfTI ({_one_line(error)}){_WAY_OUT}") from error
    if len(shape) != 3 or min(shape) < 1:
        raise CorruptImage(f"{path} has shape {shape}; one volume [x, y, z] is needed{_WAY_OUT}")
    if int(np.prod(shape, dtype=object)) > MAX_VOXELS:
        raise CorruptImage(f"{path} says it has shape {shape}, more than {MAX_VOXELS:,} voxels{_WAY_OUT}")
    if kind.kind not in "iuf":
        raise CorruptImage(f"{path} holds {kind} voxels; integers or floats are needed{_WAY_OUT}")
    return image


def _turn(image) -> tuple[np.ndarray, np.ndarray]:
    """How the axes must be turned to be RAS+ (nibabel's orientation [3, 2]), and the affine [4, 4] once they are.

    The same turn as nibabel.as_closest_canonical, which would read the voxels at once.
    """
    from nibabel.orientations import inv_ornt_aff, io_orientation

    turned = io_orientation(image.affine)
    if np.isnan(turned).any():
        raise ValueError("an axis has no direction")
    return turned, image.affine @ inv_ornt_aff(turned, image.shape)


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
