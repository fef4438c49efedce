"""Maps licence texts, classifiers and informal names to SPDX ids and expressions, and says which are permissive."""

import re
from collections.abc import Iterable

MAX_EXPRESSION = 1000  # characters; longer values are not licence expressions

PERMISSIVE_IDS = (
    "0BSD AFL-3.0 Apache-1.1 Apache-2.0 BlueOak-1.0.0 BSD-1-Clause BSD-2-Clause BSD-2-Clause-Patent BSD-3-Clause "
    "BSD-3-Clause-Clear BSD-4-Clause BSL-1.0 CC0-1.0 CNRI-Python HPND ISC MIT MIT-0 MIT-CMU MulanPSL-2.0 NCSA "
    "PostgreSQL PSF-2.0 Python-2.0 Python-2.0.1 UPL-1.0 Unlicense W3C WTFPL X11 Zlib ZPL-2.0 ZPL-2.1"
)
OTHER_IDS = (
    "AFL-2.1 Artistic-1.0 Artistic-2.0 CC-BY-4.0 CC-BY-SA-4.0 CDDL-1.0 CECILL-2.1 EPL-1.0 EPL-2.0 EUPL-1.2 MPL-1.0 "
    "MPL-1.1 MPL-2.0"
)
PERMISSIVE = frozenset(PERMISSIVE_IDS.split())
NOT_PERMISSIVE = tuple(OTHER_IDS.split())
# Informal names as _key leaves them. "BSD" alone nearly always means the licence with three clauses.
ALIASES = {
    "0BSD": "bsd zero clause, zero clause bsd",
    "AFL-3.0": "afl, academic free",
    "Apache-2.0": "apache, apache 2, apache software, apache software 2, asl 2",
    "BSD-2-Clause": "bsd 2 clause, 2 clause bsd, simplified bsd, bsd simplified",
    "BSD-3-Clause": "bsd, bsd 3 clause, 3 clause bsd, bsd 3, bsd new, new bsd, modified bsd, revised bsd",
    "BSL-1.0": "boost software, boost software 1",
    "CC0-1.0": "cc0, cc0 1 universal, cc0 1 universal cc0 1 public domain dedication",
    "EPL-2.0": "eclipse public 2 epl 2",
    "HPND": "historical permission notice and disclaimer hpnd",
    "ISC": "isc iscl, iscl",
    "MIT": "expat, mit expat",
    "MIT-0": "mit no attribution mit 0",
    "MPL-2.0": "mozilla public 2, mozilla public 2 mpl 2, mpl 2, mpl",
    "PSF-2.0": "psf, psfl, psf 2, python software foundation, python software foundation 2",
    "ZPL-2.1": "zope public",
    "Zlib": "zlib libpng",
}
GNU = re.compile(
    r"(?!.*\b(?:and|or (?!later|lesser)))"  # not an expression of several licences
    r"(?:gnu )?(?:(affero|lesser|library|library or lesser) )?(?:general public|(a|l|)gpl)\b(.*)"
)
OR_LATER = re.compile(r"[\s-]+or[\s-]+(?:any[\s-]+)?(?:later|newer|greater)(?:[\s-]+versions?)?", re.I)
GNU_FAMILY = {"affero": "AGPL", "a": "AGPL", "": "GPL"} | dict.fromkeys(
    ("lesser", "library", "library or lesser", "l"), "LGPL"
)
GNU_WITHOUT_VERSION = {"AGPL": "AGPL-3.0", "GPL": "GPL-1.0-or-later", "LGPL": "LGPL-2.0-or-later"}
OPERATORS = {"AND": "&", "OR": "|", "(": "(", ")": ")"}

# Sentences that identify a licence's text, strictest licence first: a text with several licences gets the strictest.
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
PATTERNS = tuple((spdx, re.compile(sentence)) for spdx, sentence in SENTENCES)
MIT_CONDITION = "this permission notice shall be included"  # MIT-0 is MIT without it


def is_licence_file(name: str) -> bool:
    """Whether a file name starts with LICENSE, LICENCE or COPYING, in any case, and is not Python code."""
    return name.lower().startswith(("license", "licence", "copying")) and not name.endswith(".py")


def detect(text: str) -> str:
    """The SPDX id of a licence text (the strictest if it contains several), or "" if unknown."""
    flat = re.sub(r"[\s#*>]+", " ", text.lower())
    spdx = next((spdx for spdx, pattern in PATTERNS if pattern.search(flat)), "")
    return "MIT-0" if spdx == "MIT" and MIT_CONDITION not in flat else spdx


def combine(licences: Iterable[str]) -> str:
    """The SPDX expression that requires all of these licences; empty ones are ignored."""
    unique = sorted({licence for licence in licences if licence})
    return " AND ".join(f"({one})" if " OR " in one and len(unique) > 1 else one for one in unique)


def _key(name: str) -> str:
    # One spelling for "The BSD 3-Clause License", "BSD-3-Clause" and "bsd 3 clause", or for "GPLv2" and "GPL 2.0".
    name = re.sub(r"[^a-z0-9.+]+", " ", name.lower())
    name = re.sub(r"(?<=[a-z])v(?=\.?\d)", " ", name)
    name = re.sub(r"\b(?:the|licen[sc]ed?|version|ver|v)\b\.?|\bv\.?(?=\d)", " ", name)
    return re.sub(r"\.0\b", "", " ".join(name.split()))


SPDX_IDS = {_key(spdx): spdx for spdx in (*sorted(PERMISSIVE), *NOT_PERMISSIVE)}
SPDX_IDS |= {alias: spdx for spdx, aliases in ALIASES.items() for alias in aliases.split(", ")}


def normalise(value: str) -> str:
    """The SPDX id or expression for a classifier, informal name or expression; "" if any part of it is unknown."""
    tokens = _tokens(value)
    licences = [token if token in OPERATORS else _spdx_id(token) for token in tokens]
    if not all(licences) or _evaluate("".join(OPERATORS.get(token, "0") for token in tokens)) is None:
        return ""
    return " ".join(licences).replace("( ", "(").replace(" )", ")")


def is_permissive(expression: str) -> bool:
    """Whether an SPDX expression or comma-separated list allows use under permissive licences only.

    Every licence of an AND or a comma list, and one alternative of each OR, must be permissive. False if malformed.
    """
    tokens = _tokens(expression)
    values = (OPERATORS.get(token) or str(int(_spdx_id(token) in PERMISSIVE)) for token in tokens)
    return _evaluate("".join(values)) == "1"


def _spdx_id(name: str) -> str:
    key = _key(name)
    gnu = GNU.fullmatch(key)
    return SPDX_IDS.get(key) or (_gnu_id(gnu) if gnu else "")


def _gnu_id(match: re.Match[str]) -> str:
    family = GNU_FAMILY[match[1] or match[2] or ""]
    version = re.search(r"\b(1|2\.1|2|3)(?![\d.])", match[3])
    if not version:
        return GNU_WITHOUT_VERSION[family]
    suffix = "-or-later" if re.search(r"\+|later", match[3]) else "-only" if "only" in match[3] else ""
    return f"{family}-{version[1]}{'' if '.' in version[1] else '.0'}{suffix}"


def _tokens(expression: str) -> list[str]:
    # Splits an expression into licence names and OPERATORS. Commas, semicolons and slashes mean AND. WITH exceptions
    # are dropped, because they only add permissions.
    name = expression.rsplit("::", 1)[-1].strip()
    if len(name) > MAX_EXPRESSION:
        return []
    name = OR_LATER.sub("-or-later", name)
    abbreviated = re.fullmatch(r"([^()]*[^()\s])\s*\([^()]*\)", name)  # "GNU General Public License (GPL)"
    if abbreviated and not re.search(r"(?:\b(?:and|or|with)|[,;/])$", abbreviated[1], re.I):
        name = abbreviated[1]
    name = re.sub(r"\s+with\s+[\w.-]+", "", name, flags=re.I)
    if name.count("(") == name.count(")") and _spdx_id(name):  # "zlib/libpng" is a single licence
        return [name]
    chunks = re.split(r"([(),;/])", name)
    tokens = [token for chunk in chunks for token in re.split(r"(?:^|\s)(and|or)(?=\s|$)", chunk, flags=re.I)]
    tokens = [token.strip() for token in tokens if token.strip()]
    return ["AND" if token in ",;/" else token.upper() if token.upper() in OPERATORS else token for token in tokens]


def _evaluate(expression: str) -> str | None:
    """Evaluates zeros and ones with &, | and parentheses to "0" or "1"; None if malformed. Never recurses."""
    before = ""
    while expression != before:
        before = expression
        expression = re.sub(r"\(([01])\)", r"\1", expression)
        expression = re.sub(r"[01]&[01]", lambda pair: min(pair[0][0], pair[0][2]), expression)
        if expression == before:  # AND binds more tightly, so OR waits until no AND is left
            expression = re.sub(r"(?<!&)([01])\|([01])(?!&)", lambda pair: max(pair[1], pair[2]), expression)
    return expression if expression in ("0", "1") else None
