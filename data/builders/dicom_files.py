"""Which files of a tree are DICOM images, from their headers alone.

Only the elements named here are ever read: a patient's name, birth date or address, an accession number and free
text are passed over in the file and reach neither memory nor messages.

Source: DICOM PS3.10 section 7 (file format), PS3.5 annex A (transfer syntaxes), PS3.6 annex A (SOP classes).
"""

import contextlib
import dataclasses
import functools
import logging
import stat
import warnings
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from data import files
from data.errors import CorruptImage, UserError
from data.images import MAX_PIXELS

_KEYWORDS = (
    "SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "PatientID", "PatientSex", "PatientAge", "ViewPosition",
    "NumberOfFrames", "SamplesPerPixel", "Rows", "Columns", "BitsAllocated", "BitsStored",
    "FrameOfReferenceUID", "SeriesInstanceUID",
)  # fmt: skip
_TEXTS = {
    "uid": "SOPInstanceUID", "study": "StudyInstanceUID", "frame": "FrameOfReferenceUID", "series": "SeriesInstanceUID",
    "patient": "PatientID", "sex": "PatientSex", "age": "PatientAge", "view": "ViewPosition",
}  # fmt: skip
_WELL_KNOWN = "1.2.840.10008."  # frames of reference of atlases (PS3.6 table A-2), which many people share
_MAX_INFLATED = 8 * MAX_PIXELS  # bytes of a deflated data set: 16-bit RGB of the largest image, and room
WAY_OUT = ': replace it, or set data.on_error="skip" to leave such images out.'


class Refused(ValueError):
    """Why an image cannot be used, in words that quote nothing of a patient."""


@dataclasses.dataclass(frozen=True, slots=True)
class Header:
    """What is known of an image before its pixels are read; texts are "" where the file does not say."""

    uid: str  # SOPInstanceUID
    study: str  # StudyInstanceUID
    frame: str  # FrameOfReferenceUID, of one person alone
    series: str  # SeriesInstanceUID
    patient: str  # PatientID
    sex: str
    age: str
    view: str  # ViewPosition
    values: int  # rows times columns times samples a pixel


def walk(folder: Path) -> list[Path]:
    """All regular files below a folder, sorted; hidden ones do not count."""
    return sorted(Path(path) for path, status in files.walk(folder) if stat.S_ISREG(status.st_mode))


def header(path: Path) -> Header | None:
    """The header of an image.

    Returns:
        None for what is no DICOM file (no "DICM" at byte 128), or a DICOM object that shows no image: reports,
        structures, plans, doses, segmentations, presentation states, directories.

    Raises:
        CorruptImage: a damaged header, no pixels, several frames, more than 16 bits, or too many pixels.
        UserError: pixels compressed in a way that no installed package decodes, or a file that cannot be read.
    """
    try:
        with path.open("rb") as file:
            if file.read(132)[128:] != b"DICM":
                return None
            return _header(file, path)
    except UserError:
        raise
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}): check its permissions.") from error
    except Refused as error:
        raise unreadable(path, str(error)) from error
    except Exception as error:  # pydicom raises nearly anything, RecursionError included, and may quote a patient
        raise unreadable(path, f"its header is damaged: {type(error).__name__}") from None


def _header(file: BinaryIO, path: Path) -> Header | None:
    from pydicom import filereader, uid

    meta = filereader.read_file_meta_info(path)
    if meta.get("TransferSyntaxUID") == uid.DeflatedExplicitVRLittleEndian:
        _check_inflated(file, 132 + 12 + meta.FileMetaInformationGroupLength)
    file.seek(0)
    pixels = []

    def at_pixels(element: int, vr: str | None, length: int) -> bool:
        if element >> 16 == 0x7FE0:
            pixels.append(length)
        return bool(pixels)

    found = filereader.read_partial(file, at_pixels, specific_tags=_tags())
    if not _is_image(found, bool(pixels)):
        return None
    _check(found, bool(pixels))
    _check_decoder(found.file_meta.get("TransferSyntaxUID"), path)
    _check_bits(found, path)
    texts = {name: str(found.get(keyword) or "").strip() for name, keyword in _TEXTS.items()}
    if texts["frame"].startswith(_WELL_KNOWN):
        texts["frame"] = ""
    return Header(**texts, values=found.Rows * found.Columns * found.get("SamplesPerPixel", 1))


@functools.cache
def _tags() -> list:
    from pydicom.tag import Tag

    return [Tag(keyword) for keyword in _KEYWORDS]


def _check_inflated(file: BinaryIO, start: int) -> None:
    """Refused for a deflated data set (PS3.5 A.5) that pydicom, which inflates it whole, had better not open."""
    file.seek(start)
    inflate, size = zlib.decompressobj(-zlib.MAX_WBITS), 0
    packed = file.read(1 << 16)
    while packed and not inflate.eof:
        size += len(inflate.decompress(packed, 1 << 20))
        if size > _MAX_INFLATED:
            raise Refused(f"it inflates to more than {_MAX_INFLATED:,} bytes")
        packed = inflate.unconsumed_tail or file.read(1 << 16)


def _is_image(found, pixels: bool) -> bool:
    """By the name of the SOP class, "CT Image Storage"; by its pixels where the class is private or not given."""
    from pydicom.uid import UID

    kind = UID(found.get("SOPClassUID") or found.file_meta.get("MediaStorageSOPClassUID") or "")
    return "Image Storage" in kind.name if kind.name != kind else pixels


def _check(found, pixels: bool) -> None:
    """Refused that says why the image cannot be used."""
    if not (pixels and found.get("Rows") and found.get("Columns")):
        raise Refused("it says it is an image but holds no pixels")
    if not found.get("SOPInstanceUID"):
        raise Refused("it has no SOPInstanceUID")
    if (frames := int(found.get("NumberOfFrames") or 1)) > 1:
        raise Refused(f"it holds {frames} frames, and one image a file is read: save each frame as a file")
    if found.Rows * found.Columns > MAX_PIXELS:
        raise Refused(f"{found.Columns}x{found.Rows} is more than {MAX_PIXELS:,} pixels")
    if found.BitsAllocated > 16:
        raise Refused(f"it stores {found.BitsAllocated} bits a pixel; 16 are the most that are read")


def _check_decoder(syntax, path: Path) -> None:
    if not syntax:
        raise Refused("it names no transfer syntax")
    missing = _missing_decoder(syntax)
    if missing is None:
        raise Refused(f"its transfer syntax, {syntax.name}, is not one of images")
    if missing:
        raise UserError(
            f"{path} is compressed as {syntax.name} ({syntax}), which no installed package decodes: "
            f'pip install -e ".[dicom]" does ({missing}).'
        )


def _check_bits(found, path: Path) -> None:
    """UserError for JPEG of 12 bits: pydicom counts decoders of its 8-bit kind, which raise when they see the image."""
    from pydicom.pixels import get_decoder
    from pydicom.uid import JPEGExtended12Bit

    syntax = found.file_meta.TransferSyntaxUID
    if syntax != JPEGExtended12Bit or found.get("BitsStored") in (None, 8):
        return
    if "pylibjpeg" not in get_decoder(syntax).available_plugins:
        raise UserError(
            f"{path} is compressed as {syntax.name} ({syntax}) with {found.BitsStored} bits a value, which no "
            "installed package decodes: pip install pylibjpeg pylibjpeg-libjpeg does."
        )


def _missing_decoder(syntax) -> str | None:
    """The packages of which one would decode a transfer syntax; "" when one is there, None when there is none."""
    from pydicom.pixels import get_decoder

    try:
        decoder = get_decoder(syntax)
    except NotImplementedError:
        return None
    return "" if decoder.is_available else "; ".join(decoder.missing_dependencies)


def unreadable(path: Path, reason: str) -> CorruptImage:
    """One sentence, whatever the lines of the reason."""
    return CorruptImage(f"{path} cannot be read ({' '.join(reason.split()).rstrip('.')}){WAY_OUT}")


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Without pydicom's warnings, one a file and more, which quote the elements that they complain of."""
    logger = logging.getLogger("pydicom")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
