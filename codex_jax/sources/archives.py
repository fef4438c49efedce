"""The sources tar:, zip:, wheel: and sdist:PATH: the Python files in archives."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from email.message import Message
from email.parser import HeaderParser
from functools import partial

from codex_jax.errors import InputError
from codex_jax.sources.files import find_files
from codex_jax.sources.members import Member, UnreadableError, members, path_parts
from codex_jax.sources.source import Item, Part
from codex_jax.storage.paths import StoragePath, size_of
from codex_jax.text.document import Rejected
from codex_jax.text.encoding import MAX_BYTES, escape_surrogates, python_item
from codex_jax.text.licences import combine, detect, is_licence_file, normalise

TARS = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tbz", ".tar.xz", ".txz", ".tar.zst", ".tzst")
SUFFIXES = {"tar": TARS, "zip": (".zip",), "wheel": (".whl",), "sdist": (".tar.gz", ".tgz", ".zip")}
ALL_SUFFIXES = sorted({suffix for suffixes in SUFFIXES.values() for suffix in suffixes}, key=len, reverse=True)
METADATA_FILES = {"wheel": "METADATA", "sdist": "PKG-INFO"}
MAX_METADATA = 1 << 20  # bytes read of a licence or metadata file
SHORT_LICENCE = 100  # characters; a longer License field is the licence's full text


def _parts(kind: str, argument: str) -> Iterator[Part]:
    """KIND:PATH: an archive, a folder of archives or a glob."""
    for label, path in find_files(kind, argument, SUFFIXES[kind]):
        yield Part(f"{kind}:{label}", size_of(path), read, (kind, path, label))


tar, zip_, wheel, sdist = (partial(_parts, kind) for kind in SUFFIXES)


@dataclass
class Survey:
    """The metadata of an archive."""

    top_folders: set[str] = field(default_factory=set)  # at most the first two
    files_at_top: bool = False
    licences: dict[str, list[str]] = field(default_factory=dict)  # by top folder, "" for files at the top
    name: str = ""
    version: str = ""
    license: str = ""


def survey(kind: str, path: StoragePath) -> Survey:
    """Reads a whole archive for metadata, which may follow the files it applies to. InputError if it is corrupt."""
    result = Survey()
    for member in members(path):
        names = path_parts(member.name)
        if not member.safe or not names:
            continue
        if len(names) == 1:
            result.files_at_top = True
        elif len(result.top_folders) < 2:
            result.top_folders.add(names[0])
        if len(names) == 2 and names[1] == METADATA_FILES.get(kind):
            if kind == "sdist" or names[0].endswith(".dist-info"):
                _read_metadata(result, _read_text(member))
        elif is_licence_file(names[-1]) and (len(names) <= 2 or names[0].endswith(".dist-info")):
            result.licences.setdefault("" if len(names) == 1 else names[0], []).append(detect(_read_text(member)))
    return result


def _read_text(member: Member) -> str:
    try:
        return member.read(MAX_METADATA).decode("utf-8", "replace")
    except UnreadableError:
        return ""


def _read_metadata(result: Survey, text: str) -> None:
    metadata = HeaderParser().parsestr(text)
    result.name = normalise_name(metadata.get("Name", ""))
    result.version = metadata.get("Version", "").strip()
    result.license = licence_of_metadata(metadata)


def licence_of_metadata(metadata: Message) -> str:
    """The SPDX expression of a distribution's metadata, or "". Several licence classifiers are joined by AND."""
    expression = " ".join(metadata.get("License-Expression", "").split())
    if expression:
        return escape_surrogates(expression)
    text = metadata.get("License", "").strip()
    classifiers = [value for value in metadata.get_all("Classifier", []) if value.startswith("License ::")]
    licence = normalise(text) if len(text) <= SHORT_LICENCE else detect(text)
    return licence or combine(map(normalise, classifiers))


def normalise_name(name: str) -> str:
    """A distribution's name, normalised by PEP 503."""
    words = escape_surrogates(name).strip().lower().replace("_", "-").replace(".", "-").split("-")
    return "-".join(filter(None, words))


def stem(path: StoragePath) -> str:
    """A file's name without the suffix of its archive format."""
    known = (suffix for suffix in ALL_SUFFIXES if path.name.endswith(suffix))
    return next((path.name.removesuffix(suffix) for suffix in known), path.stem)


def read(kind: str, path: StoragePath, label: str) -> Iterator[Item]:
    """Yields the archive's items in its own order. InputError if it is corrupt, truncated or an archive bomb.

    repo: the distribution's name for a wheel or sdist. Otherwise the file's top folder, or the archive's name without
    suffix for a file at the top.
    """
    info = survey(kind, path)
    if kind == "wheel" and not info.name:
        raise InputError(f"{path} is not a wheel: it has no METADATA with its name")
    top = ""  # an sdist's only top folder, which is not part of its files' paths
    if kind == "sdist" and len(info.top_folders) == 1 and not info.files_at_top:
        (top,) = info.top_folders
    distribution = info.name
    if kind == "sdist" and not distribution:
        distribution = normalise_name((top or stem(path)).rpartition("-")[0]) or stem(path)
    # All licence files of a distribution apply to all of its files.
    all_licences = info.license or combine(one for several in info.licences.values() for one in several)
    copies: Counter[str] = Counter()
    for member in members(path):
        names = path_parts(member.name)
        if not member.safe:
            yield Rejected(f"{label}/{escape_surrogates(member.name)}", "unsafe_member")
            continue
        if not names or not names[-1].endswith(".py"):
            continue
        names = names[1:] if top else names
        name = escape_surrogates("/".join(names))
        copies[name] += 1  # an archive may hold the same path more than once
        id_ = f"{label}/{name}" + (f"#{copies[name]}" if copies[name] > 1 else "")
        first = names[0] if len(names) > 1 else ""
        own_licence = combine(info.licences.get(first, [])) or combine(info.licences.get("", []))
        repo = distribution or escape_surrogates(first) or escape_surrogates(stem(path))
        try:
            data = member.read(MAX_BYTES + 1)
        except UnreadableError as error:
            yield Rejected(id_, str(error))
            continue
        yield python_item(id_, repo, name, data, all_licences if distribution else own_licence)
