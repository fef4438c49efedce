"""Licences: from a text, a classifier or a loose name to SPDX, and which of them are permissive."""

import re
from collections.abc import Iterable

LONGEST_EXPRESSION = 1000  # characters; whatever is longer is no expression

PERMISSIVE = frozenset(
    {
        "0BSD",
        "AFL-3.0",
        "Apache-1.1",
        "Apache-2.0",
        "BlueOak-1.0.0",
        "BSD-1-Clause",
        "BSD-2-Clause",
        "BSD-2-Clause-Patent",
        "BSD-3-Clause",
        "BSD-3-Clause-Clear",
        "BSD-4-Clause",
        "BSL-1.0",
        "CC0-1.0",
        "CNRI-Python",
        "HPND",
        "ISC",
        "MIT",
        "MIT-0",
        "MIT-CMU",
        "MulanPSL-2.0",
        "NCSA",
        "PostgreSQL",
        "PSF-2.0",
        "Python-2.0",
        "Python-2.0.1",
        "UPL-1.0",
        "Unlicense",
        "W3C",
        "WTFPL",
        "X11",
        "Zlib",
        "ZPL-2.0",
        "ZPL-2.1",
    }
)
OTHERS = (
    "AFL-2.1",
    "Artistic-1.0",
    "Artistic-2.0",
    "CC-BY-4.0",
    "CC-BY-SA-4.0",
    "CDDL-1.0",
    "CECILL-2.1",
    "EPL-1.0",
    "EPL-2.0",
    "EUPL-1.2",
    "MPL-1.0",
    "MPL-1.1",
    "MPL-2.0",
)

# Loose names, as _key leaves them. A bare "BSD" is nearly always the one with three clauses.
ALIASES = {
    "afl": "AFL-3.0",
    "academic free": "AFL-3.0",
    "apache": "Apache-2.0",
    "apache 2": "Apache-2.0",
    "apache software": "Apache-2.0",
    "apache software 2": "Apache-2.0",
    "asl 2": "Apache-2.0",
    "boost software": "BSL-1.0",
    "boost software 1": "BSL-1.0",
    "bsd": "BSD-3-Clause",
    "bsd 2 clause": "BSD-2-Clause",
    "2 clause bsd": "BSD-2-Clause",
    "simplified bsd": "BSD-2-Clause",
    "bsd simplified": "BSD-2-Clause",
    "bsd 3 clause": "BSD-3-Clause",
    "3 clause bsd": "BSD-3-Clause",
    "bsd 3": "BSD-3-Clause",
    "bsd new": "BSD-3-Clause",
    "new bsd": "BSD-3-Clause",
    "modified bsd": "BSD-3-Clause",
    "revised bsd": "BSD-3-Clause",
    "bsd zero clause": "0BSD",
    "zero clause bsd": "0BSD",
    "cc0": "CC0-1.0",
    "cc0 1 universal cc0 1 public domain dedication": "CC0-1.0",
    "cc0 1 universal": "CC0-1.0",
    "eclipse public 2 epl 2": "EPL-2.0",
    "expat": "MIT",
    "mit expat": "MIT",
    "mit no attribution mit 0": "MIT-0",
    "historical permission notice and disclaimer hpnd": "HPND",
    "isc iscl": "ISC",
    "iscl": "ISC",
    "mozilla public 2": "MPL-2.0",
    "mozilla public 2 mpl 2": "MPL-2.0",
    "mpl 2": "MPL-2.0",
    "mpl": "MPL-2.0",
    "psf": "PSF-2.0",
    "psfl": "PSF-2.0",
    "psf 2": "PSF-2.0",
    "python software foundation": "PSF-2.0",
    "python software foundation 2": "PSF-2.0",
    "zlib libpng": "Zlib",
    "zope public": "ZPL-2.1",
}
GNU = re.compile(
    r"(?!.*\b(?:and|or (?!later|lesser)))"  # those are expressions
    r"(?:gnu )?(?:(affero|lesser|library|library or lesser) )?(?:general public|(a|l|)gpl)\b(.*)"
)
LATER = re.compile(r"[\s-]+or[\s-]+(?:any[\s-]+)?(?:later|newer|greater)(?:[\s-]+versions?)?", re.I)
LESSER = ("lesser", "library", "library or lesser", "l")
FAMILY = {"affero": "AGPL", "a": "AGPL", "": "GPL"} | dict.fromkeys(LESSER, "LGPL")
OLDEST = {"AGPL": "AGPL-3.0", "GPL": "GPL-1.0-or-later", "LGPL": "LGPL-2.0-or-later"}  # where no version is named
OPERATORS = {"AND": "&", "OR": "|", "(": "(", ")": ")"}

# The strict ones stand first: a text that holds several licences goes by the strictest.
SENTENCES = (
    ("AGPL-3.0", r"remote network interaction; use with the gnu general public license"),
    ("AGPL-3.0", r"terms of the gnu affero general public license.{0,120}?version 3"),
    ("GPL-3.0", r"use with the gnu affero general public license"),
    ("GPL-3.0", r"terms of the gnu general public license.{0,120}?version 3"),
    ("GPL-2.0", r"gnu general public license version 2, june 1991"),
    ("GPL-2.0", r"terms of the gnu general public license.{0,120}?version 2"),
    ("LGPL-3.0", r"this version of the gnu lesser general public license incorporates the terms"),
    ("LGPL-3.0", r"terms of the gnu lesser general public license.{0,120}?version 3"),
    ("LGPL-2.1", r"gnu lesser general public license version 2\.1, february 1999"),
    ("LGPL-2.1", r"terms of the gnu lesser general public license.{0,120}?version 2\.1"),
    ("LGPL-2.0", r"gnu library general public license version 2, june 1991"),
    ("MPL-2.0", r"mozilla public license,? (?:version|v\.) ?2\.0"),
    ("PSF-2.0", r"python software foundation license version 2"),
    ("Apache-2.0", r"apache license,? version 2\.0"),
    ("BSD-4-Clause", r"all advertising materials mentioning features or use of this software must display"),
    ("BSD-3-Clause", r"redistribution and use in source and binary forms.*?endorse or promote products"),
    ("BSD-2-Clause", r"redistribution and use in source and binary forms"),
    ("MIT", r"permission is hereby granted, free of charge, to any person obtaining a copy of this software"),
    ("ISC", r"permission to use, copy, modify,? and(?:/or)? distribute this software.{0,80}? provided that"),
    ("0BSD", r"permission to use, copy, modify,? and(?:/or)? distribute this software.{0,60}?is hereby granted"),
    ("Unlicense", r"this is free and unencumbered software released into the public domain"),
    ("CC0-1.0", r"cc0 1\.0 universal"),
)
COMPILED = tuple((spdx, re.compile(pattern)) for spdx, pattern in SENTENCES)
MIT_CONDITION = "this permission notice shall be included"


def is_licence_file(name: str) -> bool:
    """LICENSE, LICENCE and COPYING, whatever follows; not Python code of that name."""
    return name.lower().startswith(("license", "licence", "copying")) and not name.endswith(".py")


def detect(text: str) -> str:
    """The SPDX id of a licence's text, the strictest where it holds several; "" for an unknown one."""
    flat = re.sub(r"[\s#*>]+", " ", text.lower())
    for spdx, pattern in COMPILED:
        if pattern.search(flat):
            return "MIT-0" if spdx == "MIT" and MIT_CONDITION not in flat else spdx
    return ""


def combine(licences: Iterable[str]) -> str:
    """One expression of which all must hold; those that are "" are left out."""
    found = sorted({licence for licence in licences if licence})
    return " AND ".join(f"({one})" if " OR " in one and len(found) > 1 else one for one in found)


def _key(name: str) -> str:
    # "The BSD 3-Clause License", "BSD-3-Clause" and "bsd 3 clause" read the same; so do GPLv2 and GPL 2.0.
    name = re.sub(r"[^a-z0-9.+]+", " ", name.lower())
    name = re.sub(r"(?<=[a-z])v(?=\.?\d)", " ", name)
    name = re.sub(r"\b(?:the|licen[sc]ed?|version|ver|v)\b\.?|\bv\.?(?=\d)", " ", name)
    return re.sub(r"\.0\b", "", " ".join(name.split()))


KEYS = {_key(spdx): spdx for spdx in (*sorted(PERMISSIVE), *OTHERS)} | ALIASES


def normalise(value: str) -> str:
    """The SPDX id or expression of a classifier or a loose name; "" for an unknown one."""
    words = _words(value)
    licences = [word if word in OPERATORS else _one(word) for word in words]
    if not all(licences) or _reduce("".join(OPERATORS.get(word, "0") for word in words)) is None:
        return ""
    return " ".join(licences).replace("( ", "(").replace(" )", ")")


def is_permissive(expression: str) -> bool:
    """Whether all licences of an SPDX expression or a comma list, or one of each OR, are permissive; "" is not."""
    words = _words(expression)
    return _reduce("".join(OPERATORS.get(word) or str(int(_one(word) in PERMISSIVE)) for word in words)) == "1"


def _one(name: str) -> str:
    key = _key(name)
    gnu = GNU.fullmatch(key)
    return KEYS.get(key) or (_gnu(gnu) if gnu else "")


def _gnu(found: re.Match[str]) -> str:
    family = FAMILY[found[1] or found[2] or ""]
    version = re.search(r"\b(1|2\.1|2|3)(?![\d.])", found[3])
    if not version:
        return OLDEST[family]
    suffix = "-or-later" if re.search(r"\+|later", found[3]) else "-only" if "only" in found[3] else ""
    return f"{family}-{version[1]}{'' if '.' in version[1] else '.0'}{suffix}"


def _words(expression: str) -> list[str]:
    """Licences and OPERATORS; commas and slashes are ANDs, and an exception to a licence is left out."""
    name = expression.rsplit("::", 1)[-1].strip()
    if len(name) > LONGEST_EXPRESSION:
        return []
    name = LATER.sub("-or-later", name)
    abbreviated = re.fullmatch(r"([^()]*[^()\s])\s*\([^()]*\)", name)  # "GNU General Public License (GPL)"
    if abbreviated and not re.search(r"(?:\b(?:and|or|with)|[,;/])$", abbreviated[1], re.I):
        name = abbreviated[1]
    name = re.sub(r"\s+with\s+[\w.-]+", "", name, flags=re.I)
    if name.count("(") == name.count(")") and _one(name):  # "zlib/libpng" is one licence
        return [name]
    chunks = re.split(r"([(),;/])", name)
    split = [word for chunk in chunks for word in re.split(r"(?:^|\s)(and|or)(?=\s|$)", chunk, flags=re.I)]
    words = [word.strip() for word in split if word.strip()]
    return ["AND" if word in ",;/" else word.upper() if word.upper() in OPERATORS else word for word in words]


def _reduce(expression: str) -> str | None:
    """ "0" or "1", the value of zeros and ones with &, | and parentheses; None where it is malformed."""
    before = ""
    while expression != before:
        before = expression
        expression = re.sub(r"\(([01])\)", r"\1", expression)
        expression = re.sub(r"[01]&[01]", lambda pair: min(pair[0][0], pair[0][2]), expression)
        if expression == before:
            # AND binds closer, so it goes first.
            expression = re.sub(r"(?<!&)([01])\|([01])(?!&)", lambda pair: max(pair[1], pair[2]), expression)
    return expression if expression in ("0", "1") else None
