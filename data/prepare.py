"""Preparation: source -> records (tfds, array_record) -> arrays at the run's size. Whole, or not at all."""

import dataclasses
import errno
import importlib
import shutil
from pathlib import Path

from data import cache, files, progress, splits
from data.errors import UserError
from data.options import DataOptions

DRAWN = {
    "phantom_cxr": "cxr",
    "phantom_mri": "mri",
    "phantom_us": "us",
    "phantom_tissue": "tissue",
    "natural": "natural",
}  # datasets that are drawn, not read: the module of data/phantom that draws them, and those NAME_* beside it
READ = {
    "nih": "nih.Nih",
    "chexpert": "chexpert.Chexpert",
    "medmnist": "medmnist.Medmnist",
    "folder": "folder.Folder",
    "brain_mri": "published.BrainMri",
    "all_smears": "published.AllSmears",
    "sars_cov_2_ct": "published.SarsCov2Ct",
    "brats": "brats.Brats",
    "ixi": "ixi.Ixi",
    "dicom": "dicom.Dicom",
    "pcam": "pcam.Pcam",
    "camelyon17": "camelyon17.Camelyon17",
    "tfds": "tfds_images.TfdsImages",
}  # datasets that are read: module of data/builders and class
MIX = "mix"  # several of them, see data/mix.py
_DRAWING = ("chunks.py", "factors.py", "raster.py", "stream.py")  # what modules of data/phantom share
_FORMAT = 4  # raise it when records or arrays change their meaning: old caches are then prepared anew
_RECORDS = ("name", "split", "official_split", "on_error", "masks")  # options the records depend on
_DRAWN = ("image_size", "bits", "num_images", "seed")  # and those of what is drawn, at its size
_CUT = ("modalities", "slices", "slice_step", "brain_fraction", "percentiles")  # and of slices cut out of volumes
_RECORDS_OF = {
    **dict.fromkeys(("folder", "brain_mri", "all_smears", "sars_cov_2_ct"), ("near_duplicates", "labels")),
    "dicom": ("labels", "window"),
    "brats": _CUT,
    "ixi": _CUT,
}  # and those of one kind of dataset
_ARRAYS = ("image_size", "channels", "bits", "window", "resize", "classes", "attributes", "view", "uncertain",
           "fraction")  # fmt: skip


def prepared(options: DataOptions, show: bool) -> Path:
    """The folder with the arrays of a dataset, prepared now if it is not there.

    Raises:
        UserError: anything wrong with the options or the source; nothing of this preparation then stays.
    """
    options.check()
    if options.name not in (*DRAWN, MIX) and kind(options.name) not in READ:
        raise UserError(f"data.name={options.name!r} is not known: use one of {', '.join([*DRAWN, *READ, MIX])}.")
    root = cache.root(options.cache, options.dir)
    if options.name == MIX:
        return _mixed(options, root, show)
    cache.sweep(root)
    records_key, arrays_key = _keys(options)
    label = options.name.replace(":", "_").replace("/", "_")
    records = root / "records" / f"{label}-{records_key}"
    arrays = root / "arrays" / f"{label}-{options.image_size}-{arrays_key}"
    if not arrays.is_dir():
        arrays.parent.mkdir(exist_ok=True)
        records.parent.mkdir(exist_ok=True)
        with cache.locked(records), cache.locked(arrays):
            if not arrays.is_dir():
                _prepare(options, records, arrays, show)
    return arrays


def _mixed(options: DataOptions, root: Path, show: bool) -> Path:
    """The folder of a mix, whose members are prepared first."""
    from data import mix

    chosen, shares = mix.members(options)
    folders = [prepared(member, show) for member in chosen]
    key = mix.digest(folders, options)
    arrays = root / "arrays" / f"mix-{options.image_size}-{key}"
    with cache.locked(arrays):
        if not arrays.is_dir():
            with cache.building(arrays) as temporary:
                mix.write(folders, options, shares, temporary)
    return arrays


def kind(name: str) -> str:
    """What stands before the colon of a data.name such as tfds:cifar10."""
    return name.partition(":")[0]


def _keys(options: DataOptions) -> tuple[str, str]:
    """Keys of the records and of the arrays: source files and every option that each depends on."""
    names = _RECORDS + _RECORDS_OF.get(kind(options.name), ())
    if options.name in DRAWN:
        folder, module = Path(__file__).parent / "phantom", DRAWN[options.name]
        sources = [cache.contents(folder, (f"{module}.py", f"{module}_*.py", *_DRAWING))]  # its source is code
        names += _DRAWN
    else:
        sources = [cache.fingerprint(path) for path in _paths(options) if path.exists()]
    values = dataclasses.asdict(options)
    records = cache.digest(_FORMAT, sources, *(values[name] for name in names))
    return records, cache.digest(records, *(values[name] for name in _ARRAYS))


def _paths(options: DataOptions) -> list[Path]:
    """Folder or file of the source, and of masks and labels that may lie elsewhere; of tfds' datasets the one named."""
    if kind(options.name) == "tfds":
        return [files.tfds_folder(options.name.partition(":")[2], files.tfds_root(options.dir))]
    if not options.dir:
        return []
    origin = Path(options.dir).expanduser()
    return [origin, *(origin / Path(one).expanduser() for one in (options.masks, options.labels) if one)]


def _prepare(options: DataOptions, records: Path, arrays: Path, show: bool) -> None:
    fresh = not records.is_dir()
    try:
        if fresh:
            _write_records(options, records, show)
        _write_arrays(options, records, arrays, show)
    except UserError:
        if fresh:  # the records are whole, but of a source that must change first
            shutil.rmtree(records, ignore_errors=True)
        raise
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        raise UserError(
            f"The disk of data.cache={options.cache} is full: free space or set data.cache elsewhere."
        ) from error
    if not options.keep_records:
        shutil.rmtree(records)


def _write_records(options: DataOptions, records: Path, show: bool) -> None:
    module, name = READ.get(kind(options.name), "drawn.Drawn").split(".")
    builder_class = getattr(importlib.import_module(f"data.builders.{module}"), name)
    with cache.building(records) as temporary:
        builder = builder_class(options, temporary, show)
        _check_before(builder.source, options)
        verb = "drawing" if options.name in DRAWN else "copying"
        total = sum(builder.source.counts.values())
        with progress.bar(f"{options.name}: {verb}", total, show) as advance:
            builder.advance = advance
            made = builder.prepare()
        for path in made.iterdir():  # out of tfds' NAME/VERSION, whose names the key already carries
            path.rename(temporary / path.name)
        shutil.rmtree(temporary / builder.name)


def _check_before(source, options: DataOptions) -> None:
    """What can be known to be wrong before any image is copied."""
    from data.decode import View, check_sizes

    View(source, options)
    check_sizes({name: source.counts.get(name, 0) for name in splits.NAMES}, source.skipped, options)


def _write_arrays(options: DataOptions, records: Path, arrays: Path, show: bool) -> None:
    from data.builders.base import Source
    from data.decode import write_arrays

    total = sum(Source.load(records).counts.values())
    with cache.building(arrays) as temporary:
        with progress.bar(f"{options.name}: decoding at {options.image_size}", total, show) as advance:
            write_arrays(records, options, temporary, advance)
