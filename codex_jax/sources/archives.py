"""tar:, zip:, wheel: and sdist:PATH: the Python files of archives."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from email.message import Message
from email.parser import HeaderParser

from codex_jax.errors import InputError
from codex_jax.sources.files import find
from codex_jax.sources.members import Member, UnreadableError, members, parts_of
from codex_jax.sources.source import Item, Part, Source, register
from codex_jax.storage.paths import StoragePath, size_of
from codex_jax.text.document import Rejected
from codex_jax.text.encoding import MAX_BYTES, clean, python_item
from codex_jax.text.licences import combine, detect, is_licence_file, normalise

TARS = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz", ".tar.zst")
SUFFIXES = {"tar": TARS, "zip": (".zip",), "wheel": (".whl",), "sdist": (".tar.gz", ".tgz", ".zip")}
NOTICE_BYTES = 1 << 20  # of a licence or metadata
SHORT_LICENCE = 100  # characters; a longer License field is the licence's text


def _source(kind: str) -> Source:
    def source(argument: str) -> Iterator[Part]:
        for label, path in find(kind, argument, SUFFIXES[kind]):
            yield Part(f"{kind}:{clean(label)}", size_of(path), read, (kind, path, clean(label)))

    source.__doc__ = f"{kind}:PATH: an archive, a folder of them or a glob."
    return source


for _kind in SUFFIXES:
    register(_kind)(_source(_kind))


@dataclass
class Survey:
    """What a first pass over an archive finds; names go by their folder."""

    tops: set[str] = field(default_factory=set)  # first folders, two at most
    loose: bool = False  # whether there are files beside them
    licences: dict[str, list[str]] = field(default_factory=dict)
    name: str = ""
    version: str = ""
    license: str = ""


def survey(kind: str, path: StoragePath) -> Survey:
    """Licences and metadata, which may stand behind the files that they are about; the archive is sound to its end."""
    found = Survey()
    for member in members(path):
        names = parts_of(member.name)
        if not member.safe or not names:
            continue
        if len(names) == 1:
            found.loose = True
        elif len(found.tops) < 2:
            found.tops.add(names[0])
        if len(names) == 2 and names[1] == {"wheel": "METADATA", "sdist": "PKG-INFO"}.get(kind):
            if kind == "sdist" or names[0].endswith(".dist-info"):
                _read_metadata(found, _notice(member))
        elif is_licence_file(names[-1]) and (len(names) <= 2 or names[0].endswith(".dist-info")):
            found.licences.setdefault("" if len(names) == 1 else names[0], []).append(detect(_notice(member)))
    return found


def _notice(member: Member) -> str:
    try:
        return member.read(NOTICE_BYTES).decode("utf-8", "replace")
    except UnreadableError:
        return ""


def _read_metadata(found: Survey, text: str) -> None:
    metadata = HeaderParser().parsestr(text)
    found.name = normalised(metadata.get("Name", ""))
    found.version = metadata.get("Version", "").strip()
    found.license = licence_of(metadata)


def licence_of(metadata: Message) -> str:
    """The SPDX expression of a distribution's metadata, or ""; several classifiers must all hold."""
    expression = " ".join(metadata.get("License-Expression", "").split())
    if expression:
        return clean(expression)
    text = metadata.get("License", "").strip()
    classifiers = [value for value in metadata.get_all("Classifier", []) if value.startswith("License ::")]
    found = normalise(text) if len(text) <= SHORT_LICENCE else detect(text)
    return found or combine(map(normalise, classifiers))


def normalised(name: str) -> str:
    """A distribution's name as PEP 503 compares it."""
    return "-".join(filter(None, clean(name).strip().lower().replace("_", "-").replace(".", "-").split("-")))


def stem(path: StoragePath) -> str:
    """A file's name without what says that it is an archive."""
    known = sorted({suffix for suffixes in SUFFIXES.values() for suffix in suffixes}, key=len, reverse=True)
    return next((path.name.removesuffix(suffix) for suffix in known if path.name.endswith(suffix)), path.stem)


def read(kind: str, path: StoragePath, label: str) -> Iterator[Item]:
    """The archive's items in its own order; InputError where it is corrupt, cut short or a bomb.

    repo is a distribution's name, or the first folder in other archives, or the archive's stem for what is in none.
    """
    found = survey(kind, path)
    if kind == "wheel" and not found.name:
        raise InputError(f"{path} is no wheel: it has no METADATA that names it")
    top = next(iter(found.tops)) if kind == "sdist" and len(found.tops) == 1 and not found.loose else ""
    whole = found.name
    if kind == "sdist" and not whole:
        whole = normalised((top or stem(path)).rpartition("-")[0]) or stem(path)
    # All of a distribution's licences are in its metadata's folder or at the top.
    everything = found.license or combine(one for several in found.licences.values() for one in several)
    seen: Counter[str] = Counter()
    for member in members(path):
        names = parts_of(member.name)
        if not member.safe:
            yield Rejected(f"{label}/{clean(member.name)}", "unsafe_member")
            continue
        if not names or not names[-1].endswith(".py"):
            continue
        names = names[1:] if top else names
        name = clean("/".join(names))
        seen[name] += 1  # an archive may hold a path twice
        id_ = f"{label}/{name}" + (f"#{seen[name]}" if seen[name] > 1 else "")
        first = names[0] if len(names) > 1 else ""
        licence = everything if whole else combine(found.licences.get(first, [])) or combine(found.licences.get("", []))
        try:
            data = member.read(MAX_BYTES + 1)
        except UnreadableError:
            yield Rejected(id_, "unreadable")
            continue
        yield python_item(id_, whole or clean(first) or clean(stem(path)), name, data, licence)
