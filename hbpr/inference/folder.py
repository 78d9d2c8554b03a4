"""A saved recommender's folder: ``arrays.safetensors`` and ``system.json``, nothing pickled.

The folder appears in one step. ``system.json`` lists every array with its type and shape, the
checksum of the arrays' file, and one of itself, so a folder that was cut short or changed is
refused. Reading it runs no code that it holds: numbers, texts and names of kinds are all there is.

Formats:
    1: ``arrays.npz`` instead, without checksums.
    2: ``arrays.safetensors``; texts as one UTF-8 array and where each ends.
"""

import hashlib
import json
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from hbpr.errors import DataError
from hbpr.files import fresh_folder

Arrays = Mapping[str, NDArray[Any]]

VERSION: Final = 2
ABOUT: Final = "system.json"
ARRAYS: Final = "arrays.safetensors"
_ARRAYS_1: Final = "arrays.npz"
_CHECKSUM: Final = "sha256"
_FILES: Final = "files"
_UTF8, _ENDS = "/utf8", "/ends"


class StoredArrays(Mapping[str, NDArray[Any]]):
    """The arrays of a folder, each read when it is asked for.

    Args:
        folder: Where they are.
        listed: Type and shape of each, by name.
        numbers: Reads one array of numbers by its name, KeyError if there is none.
    """

    def __init__(self, folder: Path, listed: Mapping[str, Any], numbers: Any) -> None:
        self._folder, self._listed, self._numbers = folder, listed, numbers

    def __getitem__(self, name: str) -> NDArray[Any]:
        kind, shape = self._listed[name]
        array = self._read(name, str(kind))
        if [array.dtype.str, list(array.shape)] != [kind, shape]:
            raise DataError(
                f"{self._folder}: array {name} must be of {kind} {shape}, got {array.dtype.str} "
                f"{list(array.shape)}; save the recommender again"
            )
        return array

    def _read(self, name: str, kind: str) -> NDArray[Any]:
        try:
            if "U" in kind and name + _UTF8 in self._numbers:
                return _texts(self._numbers[name + _UTF8], self._numbers[name + _ENDS], kind)
            return np.asarray(self._numbers[name])
        except KeyError:
            raise DataError(f"{self._folder}: there is no array {name}, though it is listed") from (
                None
            )
        except (OSError, EOFError, ValueError, zipfile.BadZipFile) as error:
            raise _damaged(self._folder, error) from error

    def __iter__(self) -> Iterator[str]:
        return iter(self._listed)

    def __len__(self) -> int:
        return len(self._listed)


def write_folder(folder: Path, arrays: Arrays, about: Mapping[str, Any]) -> None:
    """Write arrays and JSON into a new folder, or replace one that was written here.

    Args:
        folder: The folder.
        arrays: Of numbers, truth values or texts.
        about: Anything that JSON holds.

    Raises:
        DataError: The folder holds something else.
        OSError: The disk is full or cannot be written; what was there before is left as it was.
    """
    from safetensors.numpy import save_file

    names = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    if folder.is_file() or not names <= {ARRAYS, _ARRAYS_1, ABOUT}:
        raise DataError(f"{folder}: save needs a new folder, or a saved recommender to replace")
    with fresh_folder(folder) as fresh:
        save_file(_as_numbers(arrays), fresh / ARRAYS)
        whole = {
            "format": VERSION,
            **about,
            "arrays": {
                name: [array.dtype.str, list(array.shape)] for name, array in arrays.items()
            },
            _FILES: {
                ARRAYS: {
                    "bytes": (fresh / ARRAYS).stat().st_size,
                    _CHECKSUM: _file_checksum(fresh / ARRAYS),
                }
            },
        }
        write_about(fresh, whole)


def write_about(folder: Path, about: Mapping[str, Any]) -> None:
    """Write ``system.json`` with its checksum."""
    whole = {**about, _CHECKSUM: _checksum(about)}
    (folder / ABOUT).write_text(json.dumps(whole, indent=1), encoding="utf-8")


def read_about(folder: Path) -> dict[str, Any]:
    """Read and check ``system.json`` alone.

    Raises:
        DataError: There is none, it is damaged, or of a format that is not known here.
    """
    try:
        about: dict[str, Any] = json.loads((folder / ABOUT).read_text(encoding="utf-8"))
        number = about["format"]
        if number not in (1, VERSION):
            raise DataError(
                f"{folder}: this hbpr reads saved recommenders of formats 1 and {VERSION}, got "
                f"{number!r}; load it with the hbpr that saved it "
                f"({about.get('hbpr', 'unknown')}), or a newer one"
            )
        if not isinstance(about["arrays"], dict):
            raise TypeError(f"arrays: expected names, got {about['arrays']!r:.80}")
        if number >= 2 and about.pop(_CHECKSUM) != _checksum(about):
            raise DataError(
                f"{folder}: {ABOUT} was changed after it was saved (its checksum differs); "
                "save the recommender again, or restore the folder"
            )
    except FileNotFoundError as error:
        raise _missing(folder, error) from error
    except DataError:
        raise
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise _damaged(folder, error) from error
    return about


def read_folder(folder: Path) -> tuple[StoredArrays, dict[str, Any]]:
    """Read what `write_folder` wrote, or wrote in an earlier format; arrays when they are used.

    Raises:
        DataError: The folder holds no whole saved recommender, or one of another version.
    """
    about = read_about(folder)
    listed = about["arrays"]
    try:
        if about["format"] == 1:
            archive = np.load(folder / _ARRAYS_1, allow_pickle=False)
            missing = next((name for name in listed if name not in archive.files), None)
            if missing is not None:
                kind, shape = listed[missing]
                raise DataError(f"{folder}: {_ARRAYS_1} has no array {missing} of {kind} {shape}")
            return StoredArrays(folder, listed, archive), about
        expected = about[_FILES][ARRAYS]
        path = folder / ARRAYS
        size = path.stat().st_size
        if size != expected["bytes"]:
            raise DataError(
                f"{folder}: {ARRAYS} must have {expected['bytes']:,} bytes, got {size:,}: it was "
                "not copied whole; copy the folder again"
            )
        if _file_checksum(path) != expected[_CHECKSUM]:
            raise DataError(
                f"{folder}: {ARRAYS} was changed after it was saved (its checksum differs); save "
                "the recommender again, or restore the folder"
            )
        return StoredArrays(folder, listed, _SafeTensors(path)), about
    except FileNotFoundError as error:
        raise _missing(folder, error) from error
    except DataError:
        raise
    except (OSError, EOFError, ValueError, KeyError, TypeError, zipfile.BadZipFile) as error:
        raise _damaged(folder, error) from error


def checksum_of(about: Mapping[str, Any]) -> str:
    """Return a short text that changes with what a folder holds, of what `read_about` returned."""
    return _checksum(about)[:12]


class _SafeTensors(Mapping[str, NDArray[Any]]):
    """The tensors of a file, each copied into memory when it is asked for."""

    def __init__(self, path: Path) -> None:
        from safetensors import SafetensorError, safe_open

        try:
            self._file = safe_open(path, framework="numpy")
        except SafetensorError as error:
            raise ValueError(str(error)) from error
        self._names: set[str] = set(self._file.keys())  # type: ignore[no-untyped-call]

    def __getitem__(self, name: str) -> NDArray[Any]:
        if name not in self._names:
            raise KeyError(name)
        return np.asarray(self._file.get_tensor(name))  # type: ignore[no-untyped-call]

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


def _as_numbers(arrays: Arrays) -> dict[str, NDArray[Any]]:
    """Texts as their bytes and ends; the others as they are."""
    numbers = {}
    for name, array in arrays.items():
        if array.dtype.kind != "U":
            numbers[name] = np.asarray(array, order="C")
            continue
        encoded = [text.encode("utf-8", "surrogatepass") for text in array.tolist()]
        numbers[name + _UTF8] = np.frombuffer(b"".join(encoded), np.uint8)
        numbers[name + _ENDS] = np.cumsum([len(each) for each in encoded], dtype=np.int64)
    return numbers


def _texts(utf8: NDArray[Any], ends: NDArray[Any], kind: str) -> NDArray[Any]:
    whole, start, texts = utf8.tobytes(), 0, list[str]()
    for end in ends.tolist():
        texts.append(whole[start:end].decode("utf-8", "surrogatepass"))
        start = end
    return np.array(texts, dtype=np.dtype(kind))


def _checksum(about: Mapping[str, Any]) -> str:
    plain = {key: value for key, value in about.items() if key != _CHECKSUM}
    return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()


def _file_checksum(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _missing(folder: Path, error: FileNotFoundError) -> DataError:
    return DataError(
        f"{folder}: no saved recommender here, {Path(str(error.filename)).name} is missing"
    )


def _damaged(folder: Path, error: Exception) -> DataError:
    return DataError(f"{folder}: the saved recommender is damaged: {error}")
