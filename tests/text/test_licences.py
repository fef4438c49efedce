import pytest

from codex_jax.text.licences import (
    NOT_PERMISSIVE,
    PERMISSIVE,
    combine,
    detect,
    is_licence_file,
    is_permissive,
    normalise,
)

HEADER = "Copyright (c) 2020 Somebody\n\n"
MIT = """Permission is hereby granted, free of charge, to any person obtaining a copy
of this software and associated documentation files (the "Software"), to deal
in the Software without restriction"""
BSD = "Redistribution and use in source and binary forms, with or without\n modification, are permitted provided that: "
PERMISSION = "Permission to use, copy, modify, and/or distribute this software for any purpose with or\n"
PERMISSION += "without fee is hereby"
TEXTS = {
    "MIT": MIT + "\nThe above copyright notice and this permission notice shall be included in all\ncopies",
    "MIT-0": MIT,
    "Apache-2.0": "                         Apache License\n                   Version 2.0, January 2004",
    "BSD-2-Clause": BSD,
    "BSD-3-Clause": BSD + "Neither the name of X may be used to endorse or promote products derived from it",
    "BSD-4-Clause": BSD + "All advertising materials mentioning features or use of this software must display x",
    "ISC": PERMISSION + " granted, provided that the above copyright notice",
    "0BSD": PERMISSION + " granted.",
    "PSF-2.0": "PYTHON SOFTWARE FOUNDATION LICENSE VERSION 2\n-----",
    "MPL-2.0": "Mozilla Public License Version 2.0\n====",
    "GPL-2.0": "GNU GENERAL PUBLIC LICENSE\n   Version 2, June 1991",
    "GPL-3.0": "GNU GENERAL PUBLIC LICENSE\n Version 3\n 13. Use with the GNU Affero General Public License.",
    "AGPL-3.0": "13. Remote Network Interaction; Use with the GNU General Public License.",
    "LGPL-2.1": "GNU LESSER GENERAL PUBLIC LICENSE\n  Version 2.1, February 1999",
    "LGPL-3.0": "This version of the GNU Lesser General Public License incorporates\nthe terms and conditions of",
    "Unlicense": "This is free and unencumbered software released into the public domain.",
    "CC0-1.0": "CC0 1.0 Universal",
    "": "All rights reserved.",
}


@pytest.mark.parametrize("spdx", TEXTS)
def test_licence_texts_are_detected(spdx):
    assert detect(HEADER + TEXTS[spdx]) == spdx
    assert detect("\n".join(f"# {line}" for line in TEXTS[spdx].splitlines())) == spdx


def test_licence_notices_are_detected():
    gpl = "You can redistribute it under the terms of the GNU General Public License as published by the FSF; version 2"
    assert detect(gpl) == "GPL-2.0"
    assert detect(gpl.replace("GNU", "GNU Affero").replace("version 2", "version 3")) == "AGPL-3.0"
    assert detect('Licensed under the Apache License, Version 2.0 (the "License")') == "Apache-2.0"
    assert detect("subject to the terms of the Mozilla Public License, v. 2.0") == "MPL-2.0"


def test_the_strictest_of_several_texts_is_reported():
    assert detect(TEXTS["MIT"] + TEXTS["GPL-3.0"]) == "GPL-3.0"
    assert detect(TEXTS["MIT"] + TEXTS["MPL-2.0"]) == "MPL-2.0"


@pytest.mark.parametrize(
    ("value", "spdx"),
    [
        ("License :: OSI Approved :: MIT License", "MIT"),
        ("The MIT License (MIT)", "MIT"),
        ("mit", "MIT"),
        ("License :: OSI Approved :: Apache Software License", "Apache-2.0"),
        ("Apache 2.0", "Apache-2.0"),
        ("Apache License, Version 2.0", "Apache-2.0"),
        ("License :: OSI Approved :: BSD License", "BSD-3-Clause"),
        ("BSD", "BSD-3-Clause"),
        ("3-Clause BSD License", "BSD-3-Clause"),
        ("BSD 2-Clause", "BSD-2-Clause"),
        ("License :: OSI Approved :: ISC License (ISCL)", "ISC"),
        ("License :: OSI Approved :: Python Software Foundation License", "PSF-2.0"),
        ("License :: OSI Approved :: The Unlicense (Unlicense)", "Unlicense"),
        ("License :: OSI Approved :: Mozilla Public License 2.0 (MPL 2.0)", "MPL-2.0"),
        ("License :: OSI Approved :: GNU General Public License v3 or later (GPLv3+)", "GPL-3.0-or-later"),
        ("License :: OSI Approved :: GNU General Public License (GPL)", "GPL-1.0-or-later"),
        ("License :: OSI Approved :: GNU Library or Lesser General Public License (LGPL)", "LGPL-2.0-or-later"),
        ("License :: OSI Approved :: GNU Affero General Public License v3", "AGPL-3.0"),
        ("GPLv2", "GPL-2.0"),
        ("GPL-2.0-only", "GPL-2.0-only"),
        ("LGPLv2.1+", "LGPL-2.1-or-later"),
        ("GNU GPL version 3 or any later version", "GPL-3.0-or-later"),
        ("zlib/libpng License", "Zlib"),
        ("MIT or Apache 2.0", "MIT OR Apache-2.0"),
        ("(MIT AND BSD) OR GPL-3.0", "(MIT AND BSD-3-Clause) OR GPL-3.0"),
        ("MIT, ISC", "MIT AND ISC"),
        ("Apache-2.0 WITH LLVM-exception", "Apache-2.0"),
        ("License :: Other/Proprietary License", ""),
        ("License :: OSI Approved", ""),
        ("MIT OR something", ""),
        ("MIT AND", ""),
        (")(", ""),
        ("see LICENSE", ""),
        ("UNKNOWN", ""),
        ("", ""),
        ("MIT" * 1000, ""),
    ],
)
def test_names_are_normalised(value, spdx):
    assert normalise(value) == spdx
    assert normalise(spdx) == spdx


def test_spdx_ids_normalise_to_themselves():
    for spdx in [*PERMISSIVE, *NOT_PERMISSIVE, "GPL-2.0", "GPL-3.0-only", "LGPL-2.1-or-later", "AGPL-3.0-only"]:
        assert normalise(spdx) == spdx
        assert normalise(spdx.lower()) == spdx


@pytest.mark.parametrize(
    ("expression", "permissive"),
    [
        ("MIT", True),
        ("mit", True),
        ("MIT License", True),
        ("MIT OR GPL-3.0", True),
        ("GPL-3.0 OR MIT", True),
        ("MIT AND GPL-3.0", False),
        ("MIT AND Apache-2.0", True),
        ("MIT,Apache-2.0", True),
        ("MIT,GPL-2.0", False),
        ("MIT, unknown", False),
        ("GPL-2.0 OR GPL-3.0 AND MIT", False),
        ("GPL-2.0 AND GPL-3.0 OR MIT", True),
        ("MIT AND (GPL-2.0 OR BSD-2-Clause)", True),
        ("(MIT OR GPL-2.0) AND GPL-3.0", False),
        ("((MIT))", True),
        ("Apache-2.0 WITH LLVM-exception", True),
        ("GPL-2.0 WITH Classpath-exception-2.0", False),
        ("GPLv2 or later", False),
        ("GPL-2.0-or-later", False),
        ("MPL-2.0", False),
        ("LGPL-2.1", False),
        ("CC-BY-SA-4.0", False),
        ("MIT-like", False),
        ("not MIT", False),
        ("MIT OR", False),
        ("(MIT", False),
        ("MIT)", False),
        ("", False),
        ("(" * 400 + "MIT" + ")" * 400, True),
        ("(" * 10_000, False),
    ],
)
def test_permissive_expressions(expression, permissive):
    assert is_permissive(expression) is permissive


def test_combined_licences_must_all_hold():
    assert combine(["MIT", "", "Apache-2.0", "MIT"]) == "Apache-2.0 AND MIT"
    assert combine(["MIT OR GPL-3.0", "ISC"]) == "ISC AND (MIT OR GPL-3.0)"
    assert combine(["MIT OR GPL-3.0"]) == "MIT OR GPL-3.0"
    assert combine([""]) == ""


def test_names_of_licence_files():
    assert all(map(is_licence_file, ["LICENSE", "license.md", "LICENCE.txt", "COPYING.LESSER", "LICENSE-MIT"]))
    assert not any(map(is_licence_file, ["license.py", "README", "NOTICE"]))
