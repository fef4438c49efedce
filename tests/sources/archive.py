"""Builds archives by hand, including content that ordinary tools refuse to write."""

import io
import tarfile
import zipfile


def tar_bytes(entries):
    """An uncompressed tar of (name, content) pairs or complete TarInfos."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for entry in entries:
            if isinstance(entry, tarfile.TarInfo):
                tar.addfile(entry)
            else:
                name, content = entry
                info = tarfile.TarInfo(name)
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def special(name, kind, target=""):
    """A link, device or pipe."""
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def zip_bytes(entries, method=zipfile.ZIP_DEFLATED):
    """A zip of (name or ZipInfo, content) pairs."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, content in entries:
            archive.writestr(name, content)
    return buffer.getvalue()


def wheel(folder, name="Some_Pkg", version="1.2", files=(("some_pkg/x.py", b"x = 1\n"),), metadata=""):
    """Writes a wheel that pip accepts; returns its path."""
    info = f"{name}-{version}.dist-info"
    head = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    entries = [
        *files,
        (f"{info}/METADATA", f"{head}{metadata}\nA long description.\n".encode()),
        (f"{info}/WHEEL", b"Wheel-Version: 1.0\nGenerator: hand\nRoot-Is-Purelib: true\nTag: py3-none-any\n"),
        (f"{info}/RECORD", b""),
    ]
    path = folder / f"{name}-{version}-py3-none-any.whl"
    path.write_bytes(zip_bytes(entries))
    return path
